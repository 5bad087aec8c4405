"""What the native engine makes of a directory or a GGUF file: its description, then its model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptkit.backbones.face import Backbone, Kind, ModelFiles, hash_file
from promptkit.backbones.native import gguf
from promptkit.backbones.native.bert import config as bert_config
from promptkit.backbones.native.bert import tokenizer as bert_tokenizer
from promptkit.backbones.native.bert import weights as bert_weights
from promptkit.backbones.native.bloom import config as bloom_config
from promptkit.backbones.native.bloom import weights as bloom_weights
from promptkit.backbones.native.checkpoint import CONFIG, WeightPlan, read_weights, weights_files
from promptkit.backbones.native.decoder import tokenizer as decoder_tokenizer
from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.decoder.tokenizer import make_tokenizer
from promptkit.backbones.native.engine import NativeEngine
from promptkit.backbones.native.gpt2 import config as gpt2_config
from promptkit.backbones.native.gpt2 import weights as gpt2_weights
from promptkit.backbones.native.llama import config as llama_config
from promptkit.backbones.native.llama import weights as llama_weights
from promptkit.backbones.native.qwen2 import config as qwen2_config
from promptkit.backbones.native.qwen3 import config as qwen3_config
from promptkit.backbones.native.roberta import config as roberta_config
from promptkit.backbones.native.roberta import tokenizer as roberta_tokenizer
from promptkit.backbones.native.roberta import weights as roberta_weights
from promptkit.backbones.native.shape import EncoderShape
from promptkit.backbones.native.tokenizer import NativeTokenizer, fitting
from promptkit.checking import read_json_object, shortened
from promptkit.errors import UserError

Shape = EncoderShape | DecoderShape


@dataclass(frozen=True)
class Architecture:
    """What an architecture's folder brings; its MindSpore part is imported when a model is loaded."""

    kind: Kind
    read_shape: Callable[[dict[str, Any], str], Shape]
    weight_plan: Callable[[Any], WeightPlan]
    load_tokenizer: Callable[[Path, int], NativeTokenizer]
    tokenizer_files: Callable[[Path], list[Path]]


ARCHITECTURES = {
    "bert": Architecture(
        "masked",
        bert_config.read_shape,
        bert_weights.weight_plan,
        bert_tokenizer.load_tokenizer,
        bert_tokenizer.tokenizer_files,
    ),
    "roberta": Architecture(
        "masked",
        roberta_config.read_shape,
        roberta_weights.weight_plan,
        roberta_tokenizer.load_tokenizer,
        roberta_tokenizer.tokenizer_files,
    ),
    **{
        name: Architecture(
            "causal",
            config.read_shape,
            weights.weight_plan,
            decoder_tokenizer.load_tokenizer,
            decoder_tokenizer.tokenizer_files,
        )
        for name, config, weights in (
            ("llama", llama_config, llama_weights),
            ("qwen2", qwen2_config, llama_weights),
            ("qwen3", qwen3_config, llama_weights),
            ("gpt2", gpt2_config, gpt2_weights),
            ("bloom", bloom_config, bloom_weights),
        )
    },
}


def claims(directory: Path) -> bool:
    """Return whether `config.json` names one of the architectures, or there is a GGUF file in its place."""
    try:
        if _gguf_file(directory) is not None:
            return True
        kind = read_json_object(directory / CONFIG, nan=True).get("model_type")
    except UserError:
        return False
    return isinstance(kind, str) and kind in ARCHITECTURES


def describe(directory: Path, engine: str) -> ModelFiles:
    """Read the configuration and the tokenizer, and hash all that numbers depend on.

    Raises:
        UserError: for anything that is missing, unreadable or not supported.
    """
    header = _gguf_header(directory)
    architecture, shape = _read_shape(directory, header)
    if header is not None:
        found, where = gguf.read_tokenizer(header), f"model '{header.path}'"
        tokenizer = make_tokenizer(
            found.backend, found.special, marks_spaces=True, where=where, chat_template=found.chat_template,
            ends=found.ends,
        )  # fmt: skip
        tokenizer = fitting(tokenizer, shape.vocab_size, where)
        return ModelFiles(directory, engine, shape.info(), tokenizer, _fingerprint([header.path], []))
    tokenizer = architecture.load_tokenizer(directory, shape.vocab_size)
    model = [directory / CONFIG, *weights_files(directory)]
    fingerprint = _fingerprint(model, architecture.tokenizer_files(directory))
    return ModelFiles(directory, engine, shape.info(), tokenizer, fingerprint)


def load(files: ModelFiles, source: str) -> Backbone:
    """Load the weights onto the device that is set.

    Raises:
        UserError: for weights that are missing, extra or misshapen.
    """
    header = _gguf_header(files.directory)
    architecture, shape = _read_shape(files.directory, header)
    if header is None:
        weights = read_weights(files.directory, architecture.weight_plan(shape))
    else:
        assert isinstance(shape, DecoderShape)
        weights = gguf.read_weights(header, shape)
    # A file with output rows of its own is read as it is, tied or not, as transformers 5 does.
    shape = replace(shape, tied=shape.tied and weights.are_same("head.decoder", "word"))
    return _model_of(shape)(
        shape, weights, files.tokenizer, source=source, fingerprint=files.fingerprint, precision=files.precision
    )


def _model_of(shape: Shape) -> Callable[..., Backbone]:
    if isinstance(shape, DecoderShape):
        from promptkit.backbones.native.decoder.model import DecoderBackbone

        return DecoderBackbone
    from promptkit.backbones.native.bert.model import EncoderBackbone

    return EncoderBackbone


def _gguf_file(directory: Path) -> Path | None:
    """Return the GGUF file that is meant, or None where a checkpoint's directory is."""
    return None if os.path.lexists(directory / CONFIG) else gguf.find_gguf(directory)


def _gguf_header(directory: Path) -> gguf.Header | None:
    """Return the header of that file, for all that is made of it: a large vocabulary takes a third of a second."""
    file = _gguf_file(directory)
    return None if file is None else gguf.read_header(file)


def _read_shape(directory: Path, header: gguf.Header | None) -> tuple[Architecture, Shape]:
    where = f"model '{directory}': {CONFIG}" if header is None else f"model '{header.path}'"
    if header is not None:
        raw = gguf.read_config(header)
    elif os.path.lexists(directory / CONFIG):
        raw = read_json_object(directory / CONFIG, where, nan=True)
    else:
        raise UserError(
            f"model '{directory}': no {CONFIG} there; a Hugging Face checkpoint has one, and a GGUF file needs none."
        )
    kind = raw.get("model_type")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise UserError(
            f"{where}: architecture {shortened(kind)} is not supported. Supported: {NativeEngine.summary}."
        )
    architecture = ARCHITECTURES[kind]
    return architecture, architecture.read_shape(raw, where)


def _fingerprint(model: Iterable[Path], tokenizer: Iterable[Path]) -> str:
    """Return 16 hexadecimal digits of the SHA-256 over the model's files, and the tokenizer's with their names."""
    digest = hashlib.sha256()
    for path in model:
        hash_file(digest, path)
    for path in tokenizer:
        digest.update(path.name.encode())
        hash_file(digest, path)
    return digest.hexdigest()[:16]
