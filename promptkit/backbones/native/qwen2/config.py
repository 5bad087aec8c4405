"""`config.json` of a Qwen2 checkpoint (Yang et al. 2024, arXiv:2407.10671)."""

from __future__ import annotations

from typing import Any

from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.llama.config import LlamaConfig, llama_shape
from promptkit.checking import checked
from promptkit.errors import UserError


class QwenConfig(LlamaConfig):
    """Llama's fields, and whether some layers see a part of the past only."""

    use_sliding_window: bool = False

    def refuse_windows(self, where: str) -> None:
        """Raise an error where they do."""
        if self.use_sliding_window:
            raise UserError(f"{where}: use_sliding_window is true; attention to a window is not supported.")


def read_shape(raw: dict[str, Any], where: str) -> DecoderShape:
    """Return the shape that a configuration describes.

    Raises:
        UserError: for a field that is missing or does not fit, or for what is not supported.
    """
    config = checked(QwenConfig, raw, where)
    config.refuse_windows(where)
    return llama_shape(config, raw, where, "qwen2", qkv_bias=True, output_bias=False)
