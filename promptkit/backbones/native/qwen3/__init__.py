"""Qwen3 (Yang et al. 2025): Llama with a norm on each head's queries and keys."""
