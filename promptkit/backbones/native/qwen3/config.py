"""`config.json` of a Qwen3 checkpoint (Yang et al. 2025, arXiv:2505.09388)."""

from __future__ import annotations

from typing import Any

from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.llama.config import llama_shape
from promptkit.backbones.native.qwen2.config import QwenConfig
from promptkit.checking import Count, checked


class Qwen3Config(QwenConfig):
    """Qwen2's fields; heads are 128 wide unless another width is named."""

    head_dim: Count = 128


def read_shape(raw: dict[str, Any], where: str) -> DecoderShape:
    """Return the shape that a configuration describes.

    Raises:
        UserError: for a field that is missing or does not fit, or for what is not supported.
    """
    config = checked(Qwen3Config, raw, where)
    config.refuse_windows(where)
    bias = config.attention_bias
    return llama_shape(config, raw, where, "qwen3", qkv_bias=bias, output_bias=bias, head_norms=True)
