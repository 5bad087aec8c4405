"""Writing texts with a causal model: token by token, with the keys and values of what stands there kept."""

from promptkit.generation.sampling import Sampling, pick

__all__ = ["Sampling", "pick"]
