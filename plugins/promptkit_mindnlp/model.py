"""What stands for the model here: a cell whose numbers and gradients the model's process computes."""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn

from promptkit import UserError
from promptkit.backbones.face import Dropout, Inputs, ModelFiles, Part
from promptkit_mindnlp.process import ModelProcess


class _Run(nn.Cell):
    """Embeddings and where examples stand -> hidden states at the positions read."""

    def __init__(self, process: ModelProcess) -> None:
        super().__init__()
        self._process = process

    def construct(self, embeddings: Any, segments: Any, positions: Any, read: Any, *prefix: Any) -> Any:
        """See `Backbone.run`."""
        given = [each.asnumpy() for each in (embeddings, segments, positions, read)]
        return Tensor(self._process.ask("run", *given, prefix[0].asnumpy() if prefix else None))

    def bprop(self, embeddings: Any, segments: Any, positions: Any, read: Any, *rest: Any) -> Any:
        """Gradients by embeddings, and by the prefix where there is one."""
        *prefix, _, towards = rest
        given = [each.asnumpy() for each in (embeddings, segments, positions, read)]
        given.append(prefix[0].asnumpy() if prefix else None)
        first, *others = (Tensor(each) for each in self._process.ask("run_gradients", *given, towards.asnumpy()))
        return (first, *(Tensor(np.zeros_like(each)) for each in given[1:4]), *others)


class _Logits(nn.Cell):
    """Hidden states, and the values of a head that learns -> scores of vocabulary rows."""

    def __init__(self, process: ModelProcess, rows: Any, normalised: bool) -> None:
        super().__init__()
        self._process, self._which = process, (rows, normalised)

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
        process: holds the model.
        learns: `head`, or None.
    """

    compiles = False

    def __init__(self, files: ModelFiles, source: str, process: ModelProcess, learns: Part | None = None) -> None:
        super().__init__()
        self.info, self.tokenizer, self.fingerprint = files.info, files.tokenizer, files.fingerprint
        self.source, self.learns = source, learns
        self._files, self._process = files, process
        self._running = _Run(process)
        self._names = []
        for name, value in process.head.items() if learns == "head" else ():
            self._names.append(f"head_{name.replace('.', '_')}")
            setattr(self, self._names[-1], Parameter(Tensor(value), name=self._names[-1]))

    def embed(self, ids: Any) -> Any:
        """Word embeddings of vocabulary ids: int32 (...) -> (..., H); their width is `info.embedding_size`."""
        return Tensor(self._process.ask("embed", ids.asnumpy()))

    def run(self, embeddings: Any, inputs: Inputs, prefix: Any = None, dropout: Dropout | None = None) -> Any:
        """Last hidden states at the read positions, (R * E, M, H); see `promptkit.backbones.face.Backbone`."""
        if dropout is not None:
            raise UserError(f"engine 'mindnlp' runs model '{self.source}' without dropout.")
        if prefix is not None and prefix.shape[0] != self.info.layers:
            raise UserError("engine 'mindnlp' puts a prefix before all layers or none.")
        given = [] if prefix is None else [prefix]
        where = [inputs["segment_ids"], inputs["position_ids"], inputs["read"]]
        return self._running(embeddings, *where, *given)

    def keys_and_values(self, ids: Any) -> Any:
        """Those of every layer for a text, (L, 2, A, P, D); see `promptkit.backbones.face.Backbone`."""
        return Tensor(self._process.ask("keys_and_values", ids.asnumpy()))

    def logits(self, hidden: Any, rows: Any = None, normalised: bool = False) -> Any:
        """Scores of vocabulary rows, (N, M, W); see `promptkit.backbones.face.Backbone`."""
        chosen = None if rows is None else np.asarray(rows.asnumpy())
        values = [getattr(self, name) for name in self._names]
        return _Logits(self._process, chosen, normalised)(hidden, *values)

    def trainable(self, part: Part) -> MindNLPBackbone:
        """Return a copy whose head learns; it shares the process.

        Raises:
            UserError: for another part.
        """
        if part != "head":
            raise UserError(
                f"engine 'mindnlp' keeps model '{self.source}' frozen: of its weights, the head's alone can learn."
            )
        return MindNLPBackbone(self._files, self.source, self._process, part)
