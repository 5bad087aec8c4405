"""The engine `bag`: to begin with a bag of words with a mask, in a checkpoint format of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from promptkit import UserError, hookimpl
from promptkit.backbones.face import Backbone, BackboneInfo, Engine, ModelFiles

FILE = "bag.npz"
SPECIAL = ("<pad>", "<unk>", "<start>", "<end>", "<mask>")


class Words:
    """The tokenizer: splits at white space; no text is ever a special token."""

    pad_id, unk_id, cls_id, sep_id, mask_id = range(5)
    marks_spaces = False

    def __init__(self, words: Sequence[str]) -> None:
        self.words = [*SPECIAL, *words]
        self.ids = {word: number for number, word in enumerate(self.words) if number >= len(SPECIAL)}
        self.vocab_size = len(self.words)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text's words."""
        return [self.ids.get(word, self.unk_id) for word in text.lower().split()]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of many texts' words."""
        return [self.encode(text) for text in texts]

    def token(self, id: int) -> str:
        """Return the word with this id."""
        return self.words[id]


class BagEngine:
    """Takes folders that hold words, their vectors (V, H), and a bias for each (V,)."""

    name = "bag"
    summary = f"bags of words ({FILE})"

    def claims(self, directory: Path) -> bool:
        """Return whether a folder holds such a model."""
        return (directory / FILE).is_file()

    def describe(self, directory: Path) -> ModelFiles:
        """Read all but the weights."""
        path = directory / FILE
        if not path.is_file():
            raise UserError(f"model '{directory}': no {FILE} there.")
        with np.load(path) as stored:
            words, shape = Words(stored["words"].tolist()), stored["vectors"].shape
        width = int(shape[1])
        info = BackboneInfo(
            kind="masked", architecture="bag-of-words", layers=0, hidden_size=width, heads=1, kv_heads=1,
            head_width=width, vocab_size=words.vocab_size, max_length=64,
            parameters=words.vocab_size * (width + 1), flops_per_token=2 * width,
        )  # fmt: skip
        fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        return ModelFiles(directory, self.name, info, words, fingerprint)

    def load(self, files: ModelFiles, source: str) -> Backbone:
        """Read the weights."""
        with np.load(files.directory / FILE) as stored:
            return make_backbone(files, source, stored["vectors"], stored["bias"], None)


def make_backbone(files: ModelFiles, source: str, vectors: Any, bias: Any, learns: Any) -> Any:
    """Return the model. MindSpore is imported here, for promptkit lists engines without it."""
    from mindspore import Parameter, Tensor, nn, ops

    class Bag(nn.Cell):
        """What is read is the mean of the example's word vectors, wherever in the example it is read."""

        def __init__(self) -> None:
            super().__init__()
            self.info, self.tokenizer, self.source = files.info, files.tokenizer, source
            self.fingerprint, self.learns = files.fingerprint, learns
            every = learns == "all"
            self.vectors = Parameter(Tensor(vectors.astype(np.float32)), name="vectors", requires_grad=every)
            self.bias = Parameter(Tensor(bias.astype(np.float32)), name="bias", requires_grad=every)

        def embed(self, ids: Any) -> Any:
            return ops.gather(self.vectors, ids, 0)

        def run(
            self, embeddings: Any, inputs: Any, prefix: Any = None, dropout: Any = None, front: Any = None
        ) -> Any:
            if prefix is not None or dropout is not None:
                raise UserError(f"a bag of words takes no {'prefix' if dropout is None else 'dropout'}.")
            rows, examples, slots = inputs["read"].shape
            segments = inputs["segment_ids"]
            own = ops.gather_elements(segments, 1, inputs["read"].reshape(rows, examples * slots))
            same = ops.equal(own.expand_dims(2), segments.expand_dims(1)).astype(embeddings.dtype)
            mean = ops.bmm(same, embeddings) / same.sum(-1, keepdims=True)
            return mean.reshape(rows * examples, slots, embeddings.shape[2])

        def keys_and_values(self, embeddings: Any, before: bool = False) -> Any:
            raise UserError("a bag of words has no keys and values.")

        def logits(self, hidden: Any, rows: Any = None, normalised: bool = False) -> Any:
            scores = ops.matmul(hidden, ops.transpose(self.vectors, (1, 0))) + self.bias
            if normalised:
                scores = ops.log_softmax(scores, -1)
            return scores if rows is None else ops.gather(scores, rows, 2)

        def trainable(self, part: Any) -> Any:
            return make_backbone(files, source, self.vectors.asnumpy().copy(), self.bias.asnumpy().copy(), part)

    return Bag()


def write_checkpoint(folder: Path, words: Sequence[str], width: int = 8, seed: int = 0) -> Path:
    """Write a checkpoint with random vectors, to try the engine on; return its folder."""
    rng, count = np.random.default_rng(seed), len(SPECIAL) + len(words)
    folder.mkdir(parents=True, exist_ok=True)
    vectors = rng.normal(0, 0.5, (count, width))
    np.savez(folder / FILE, words=np.array(words), vectors=vectors, bias=rng.normal(0, 0.1, count))
    return folder


@hookimpl
def promptkit_register_engines(register: Callable[[Engine], None]) -> None:
    """Called by promptkit when it loads its plugins."""
    register(BagEngine())
