"""Models in one GGUF file, the format of llama.cpp: configuration, weights and tokenizer as a checkpoint has them.

The format: github.com/ggml-org/ggml, docs/gguf.md. Nothing here imports MindSpore; the `gguf` package is imported
when a quantised tensor is read.
"""

from promptkit.backbones.native.gguf.config import read_config
from promptkit.backbones.native.gguf.header import Header, find_gguf, read_header
from promptkit.backbones.native.gguf.tokenizer import GgufTokenizer, read_tokenizer
from promptkit.backbones.native.gguf.weights import read_weights

__all__ = ["GgufTokenizer", "Header", "find_gguf", "read_config", "read_header", "read_tokenizer", "read_weights"]
