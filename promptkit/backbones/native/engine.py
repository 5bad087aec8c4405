"""The native engine: the architectures that promptkit brings itself, compiled as whole graphs by MindSpore."""

from __future__ import annotations

from pathlib import Path

from promptkit.backbones.face import Backbone, ModelFiles, Precision


class NativeEngine:
    """Loads the checkpoints of `reading.ARCHITECTURES`; fulfils `promptkit.backbones.face.Engine`.

    Every command registers it and few read a model, so how that is done is imported when it is.
    """

    name = "native"
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "bf16")
    summary = "bert, roberta (masked); llama, qwen2, qwen3, gpt2, bloom (causal); GGUF files"

    def claims(self, directory: Path) -> bool:
        """Return whether `config.json` names one of the architectures, or there is a GGUF file in its place."""
        from promptkit.backbones.native.reading import claims

        return claims(directory)

    def describe(self, directory: Path) -> ModelFiles:
        """Read the configuration and the tokenizer, and hash all that numbers depend on.

        Raises:
            UserError: for anything that is missing, unreadable or not supported.
        """
        from promptkit.backbones.native.reading import describe

        return describe(directory, self.name)

    def load(self, files: ModelFiles, source: str) -> Backbone:
        """Load the weights onto the device that is set.

        Raises:
            UserError: for weights that are missing, extra or misshapen.
        """
        from promptkit.backbones.native.reading import load

        return load(files, source)
