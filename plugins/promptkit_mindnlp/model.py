"""What stands for the model here: a cell whose numbers and gradients the model's process computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from promptkit import UserError
from promptkit.backbones.face import Dropout, Inputs, ModelFiles, Part
from promptkit_mindnlp.process import ModelProcess


class _Run(nn.Cell):
    """Embeddings, where examples stand, a prefix or none, values that learn -> hidden states at positions read."""

    def __init__(self, process: ModelProcess, names: Sequence[str], prefixed: bool) -> None:
        super().__init__()
        self._process, self._names, self._prefixed = process, names, prefixed

    def construct(self, embeddings: Any, segments: Any, positions: Any, read: Any, *rest: Any) -> Any:
        """See `Backbone.run`."""
        return Tensor(self._process.ask("run", *self._given(embeddings, segments, positions, read, *rest)))

    def bprop(self, embeddings: Any, segments: Any, positions: Any, read: Any, *rest: Any) -> Any:
        """Gradients by embeddings, by the prefix where there is one, and by the values."""
        *values, _, towards = rest
        given = self._given(embeddings, segments, positions, read, *values)
        first, *others = self._process.ask("run_gradients", *given, towards.asnumpy())
        return tuple(Tensor(each) for each in (first, *map(np.zeros_like, given[1:4]), *others))

    def _given(self, *tensors: Any) -> tuple[Any, ...]:
        *where, rest = (*(each.asnumpy() for each in tensors[:4]), [each.asnumpy() for each in tensors[4:]])
        prefix = rest.pop(0) if self._prefixed else None
        return (*where, prefix, self._names, rest)


class _Logits(nn.Cell):
    """Hidden states, and values that learn -> scores of vocabulary rows."""

    def __init__(self, process: ModelProcess, names: Sequence[str], rows: Any, normalised: bool) -> None:
        super().__init__()
        self._process, self._which = process, (rows, normalised, names)

    def construct(self, hidden: Any, *values: Any) -> Any:
        """See `Backbone.logits`."""
        return Tensor(self._process.ask("logits", hidden.asnumpy(), *self._which, [v.asnumpy() for v in values]))

    def bprop(self, hidden: Any, *rest: Any) -> Any:
        """Gradients by hidden states and values."""
        *values, _, towards = rest
        given = (hidden.asnumpy(), *self._which, [v.asnumpy() for v in values], towards.asnumpy())
        return tuple(Tensor(each) for each in self._process.ask("logits_gradients", *given))


class MindNLPBackbone(nn.Cell):
    """A language model that mindnlp runs; fulfils `promptkit.backbones.face.Backbone`.

    Args:
        files: the checkpoint.
        source: name or path it was loaded from.
        process: holds the model. What learns is held here, and handed over with every call.
        learns: a part, or None.
    """

    compiles = False

    def __init__(self, files: ModelFiles, source: str, process: ModelProcess, learns: Part | None = None) -> None:
        super().__init__()
        self.info, self.tokenizer, self.fingerprint = files.info, files.tokenizer, files.fingerprint
        self.source, self.learns = source, learns
        self._files, self._process = files, process
        encoder, head, table = process.ask("parameters", learns) if learns else ({}, {}, "")
        self._encoder_names, self._head_names = list(encoder), list(head)
        for name, value in (encoder | head).items():
            setattr(self, _attribute(name), Parameter(Tensor(value), name=_attribute(name)))
        self._table = table

    def embed(self, ids: Any) -> Any:
        """Word embeddings of vocabulary ids: int32 (...) -> (..., H); their width is `info.embedding_size`."""
        if self._table:
            return ops.gather(getattr(self, _attribute(self._table)), ids, 0)
        return Tensor(self._process.ask("embed", ids.asnumpy()))

    def run(
        self, embeddings: Any, inputs: Inputs, prefix: Any = None, dropout: Dropout | None = None, front: Any = None
    ) -> Any:
        """Last hidden states at the read positions, (R * E, M, H); see `promptkit.backbones.face.Backbone`.

        Nothing gives it a front: `info.takes_front` is False.
        """
        if dropout is not None:
            raise UserError(f"engine 'mindnlp' runs model '{self.source}' without dropout.")
        if prefix is not None and prefix.shape[0] != self.info.layers:
            raise UserError("engine 'mindnlp' puts a prefix before all layers or none.")
        where = [inputs["segment_ids"], inputs["position_ids"], inputs["read"]]
        rest = [*([] if prefix is None else [prefix]), *self._values(self._encoder_names)]
        return _Run(self._process, self._encoder_names, prefix is not None)(embeddings, *where, *rest)

    def keys_and_values(self, embeddings: Any, before: bool = False) -> Any:
        """Those of every layer for a text, (L, 2, A, P, D); see `promptkit.backbones.face.Backbone`.

        Outside of gradients, when a model is built.
        """
        return Tensor(self._process.ask("keys_and_values", embeddings.asnumpy(), before))

    def logits(self, hidden: Any, rows: Any = None, normalised: bool = False) -> Any:
        """Scores of vocabulary rows, (N, M, W); see `promptkit.backbones.face.Backbone`."""
        chosen = None if rows is None else rows.asnumpy()
        return _Logits(self._process, self._head_names, chosen, normalised)(hidden, *self._values(self._head_names))

    def trainable(self, part: Part) -> MindNLPBackbone:
        """Return a copy in which a part learns; it shares the process."""
        return MindNLPBackbone(self._files, self.source, self._process, part)

    def _values(self, names: Sequence[str]) -> list[Any]:
        return [getattr(self, _attribute(name)) for name in names]


def _attribute(name: str) -> str:
    return f"weight_{name.replace('.', '_')}"
