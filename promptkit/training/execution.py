"""Runs a prompted model: compiled as a graph where MindSpore can, eagerly where it cannot."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from tqdm import tqdm

from promptkit.backbones.compiled import CompiledFunctions
from promptkit.backbones.device import Mode
from promptkit.backbones.fusion import compiling, fuse
from promptkit.data import Batch
from promptkit.errors import UserError, kind_of
from promptkit.evaluation.probabilities import mean_log_softmax
from promptkit.interrupts import held_interrupts, restore_interrupts
from promptkit.nn import Inputs, PromptedModel, packed
from promptkit.training.objective import Objective
from promptkit.training.sources import BatchSource


class Executor:
    """The compiled or eager functions of one model.

    Kernels that cannot be fused are compiled unfused from then on, and a model that does not compile is run in
    PyNative mode, each with a warning. If it fails there too, that is the plugin's bug and its traceback is shown, or
    what it refuses, in one line.

    Args:
        model: the prompted model.
        mode: `graph` and `fused` compile, once for every static shape, unless the backbone says that it cannot;
            `pynative` never does. Whether kernels are fused is MindSpore's setting; see `promptkit.backbones.fusion`.
        warn: is told, in one line, that a model could not be compiled.
        objective: what is trained for; only `loss_and_gradients` and `judge` need one.
        label: what the progress bar calls the model.
        quiet: no progress bar. Otherwise there is one where scoring takes more than two seconds.

    Attributes:
        mode: as it was asked for, or what it fell back to.
        objective: as given; None where nothing is trained.
        compile_seconds: time of the first calls for each shape, which is nearly all compilation.
    """

    def __init__(
        self,
        model: PromptedModel,
        mode: Mode,
        warn: Callable[[str], None],
        objective: Objective | None = None,
        *,
        label: str = "",
        quiet: bool = True,
    ) -> None:
        self.model, self.objective = model, objective
        self.mode: Mode = mode if _compiles(model) else "pynative"
        self._scale = _loss_scale(model)
        self._warn, self._label, self._quiet = warn, label, quiet
        self.compile_seconds = 0.0
        self._seen: set[tuple[Any, ...]] = set()
        self._compiled = CompiledFunctions()
        model.set_train(False)

    def begin_as(self, other: Executor) -> None:
        """Start over in the place of another executor, with whatever is compiled."""
        self._warn, self._label, self._quiet = other._warn, other._label, other._quiet
        self.compile_seconds = other.compile_seconds

    def release(self) -> None:
        """Let go of the model and of what was compiled for it; what is called again is compiled again."""
        self._compiled.clear()
        self._seen.clear()

    def features(self, source: BatchSource) -> Any:
        """Return the model's fixed features of every example, (N, ...) float32."""
        return self._collect("features", source)

    def scores(self, source: BatchSource) -> Any:
        """Return the class scores of every example, (N, C), in the order of the data set, from texts or features.

        Those of several views are the mean of their log-probabilities.
        """
        found = self._collect("scores", source)
        if source.views > 1 and found.ndim == 2:
            return mean_log_softmax(np.split(found, source.views)).astype(np.float32)
        return found

    def scores_of_batch(self, batch: Batch) -> Any:
        """Return the class scores of one batch's places, (N, C) float32."""
        return self._of_batch("scores", batch).asnumpy()

    def judge(self, scores: Any, labels: Any) -> tuple[float | None, float]:
        """Return the share of right answers, if that is asked, and the mean loss of scores; see `Objective.judge`.

        Raises:
            UserError: for scores that no answer can be read from.
            ValueError: if there is no objective.
        """
        objective = self._sought()
        objective.check(scores)
        return objective.judge(scores, labels)

    def loss_and_gradients(
        self, batch: Batch, *, rng: np.random.Generator | None = None
    ) -> tuple[Any, tuple[Any, ...]]:
        """Return the objective's loss of a batch and its gradients by trainable parameter.

        Args:
            batch: of texts or features.
            rng: draws what the model asks for in a training step of texts; without it, nothing is drawn.
        """
        of_features = "features" in batch.inputs
        noise = () if rng is None or of_features else self.model.noise(batch.inputs, rng)
        name = "learn_features" if of_features else "learn_noisy" if noise else "learn"
        loss, gradients = self._call(name, (*batch.inputs.values(), batch.labels, batch.weights, *noise))
        if self._scale != 1.0:
            loss, gradients = loss / self._scale, tuple(each / self._scale for each in gradients)
        return loss, gradients

    def _sought(self) -> Objective:
        if self.objective is None:
            raise ValueError("an executor without an objective does not train")
        return self.objective

    def _collect(self, name: str, source: BatchSource) -> Any:
        result: Any = None
        hidden = True if self._quiet else None
        total = source.size * source.views
        with tqdm(total=total, desc=f"{self._label}: scoring", disable=hidden, leave=False, delay=2) as bar:
            for batch in source.epoch(None):
                given = self._of_batch(name, batch)
                if not isinstance(given, Tensor):
                    wanted = "of features" if name == "features" else "of scores"
                    raise UserError(f"{self._label or 'the model'} gives {kind_of(given)}, not a tensor {wanted}.")
                values = given.asnumpy()
                try:
                    numbers, own = batch.by_example(values)
                except ValueError as error:
                    raise UserError(f"{self._label or 'the model'} gives scores of {error}.") from None
                if result is None:
                    result = np.zeros((total, *own.shape[1:]), np.float32)
                result[numbers] = own
                bar.update(len(numbers))
        return result

    def _of_batch(self, name: str, batch: Batch) -> Any:
        if name == "scores" and "features" not in batch.inputs:
            name = "construct"
        return self._call(name, tuple(batch.inputs.values()))

    def _call(self, name: str, arrays: tuple[Any, ...]) -> Any:
        tensors = [Tensor(a) for a in arrays]
        key = (name, *(a.shape for a in arrays))
        if key in self._seen:
            return self._function(name)(*tensors)
        started, failure = time.perf_counter(), None
        try:
            # Ctrl-C while MindSpore compiles would end in its own call stack and a dump beside the user's files.
            with held_interrupts(), compiling():
                if self.mode == "pynative" and name.startswith("learn"):
                    # What is refused within a gradient leaves MindSpore (2.10) in the middle of one, and in the next
                    # run the tensor's own `[0]` fails: so it is refused here, before a gradient is begun.
                    self._loss(name)(*tensors)
                result = self._function(name)(*tensors)
        except Exception as error:
            if self.mode == "pynative" or isinstance(error, MemoryError):
                raise
            failure = error
        if failure is not None:
            return self._otherwise(name, arrays, failure)
        restore_interrupts()
        self._seen.add(key)
        self.compile_seconds += time.perf_counter() - started if self.mode != "pynative" else 0.0
        return result

    def _otherwise(self, name: str, arrays: tuple[Any, ...], failure: Exception) -> Any:
        """Go on without fusing, or without compiling, and warn once that works.

        What is refused in PyNative mode as well is no fallback.
        """
        fall: Mode = "graph" if self.mode == "fused" else "pynative"
        if self.mode == "fused":
            fuse(False, "CPU")
        self.mode = fall
        self.release()
        result = self._call(name, arrays)
        if self.mode == fall:
            lines = (line.strip() for line in str(failure).splitlines())
            reason = next(filter(None, lines), type(failure).__name__)[:160]
            self._warn(
                f"kernels of the prompted model are not fused ({reason}); it is compiled without"
                if fall == "graph"
                else f"the prompted model does not compile ({reason}); it runs in PyNative mode, slower"
            )
        return result

    def _function(self, name: str) -> Callable[..., Any]:
        if name not in self._compiled:
            self._compiled.add(name, self._plain(name), self.mode)
        return self._compiled[name]

    def _plain(self, name: str) -> Callable[..., Any]:
        """Return one of the model's functions over positional arrays.

        The arrays come one by one and are put together within the graph: MindSpore 2.10 takes a structure that is
        passed to a compiled function for a constant, and compiles again at every call.
        """
        model = self.model

        def forward(*arrays: Any) -> Any:
            return model(packed(*arrays))

        def features(*arrays: Any) -> Any:
            return model.features(packed(*arrays))

        def scores(values: Any) -> Any:
            return model.scores(values)

        if not name.startswith("learn"):
            return {"construct": forward, "features": features, "scores": scores}[name]
        gradient = ms.value_and_grad(self._loss(name), None, list(model.trainable_params()))

        def learn(*arrays: Any) -> Any:
            return gradient(*arrays)

        return learn

    def _loss(self, name: str) -> Callable[..., Any]:
        """Return the loss that one of the learning functions takes the gradient of, scaled."""
        model, objective, fields, scale = self.model, self._sought(), len(Inputs.__annotations__), self._scale
        learning = _Learning(model)

        def scaled(value: Any) -> Any:
            return value if scale == 1.0 else value * scale

        def loss(*arrays: Any) -> Any:
            return scaled(objective.loss(model(packed(*arrays[:fields])), arrays[fields], arrays[fields + 1]))

        def noisy_loss(*arrays: Any) -> Any:
            given = learning(packed(*arrays[:fields]), *arrays[fields + 2 :])
            return scaled(objective.loss(given, arrays[fields], arrays[fields + 1]))

        def loss_of_features(*arrays: Any) -> Any:
            return scaled(objective.loss(model.scores(arrays[0]), arrays[1], arrays[2]))

        return {"learn": loss, "learn_noisy": noisy_loss, "learn_features": loss_of_features}[name]


class _Learning(nn.Cell):
    """`PromptedModel.learning` as a cell: as a method it keeps its model in memory for good (MindSpore 2.10)."""

    def __init__(self, model: PromptedModel) -> None:
        super().__init__(auto_prefix=False)  # the parameters keep their names
        self.model = model

    def construct(self, inputs: Any, *noise: Any) -> Any:
        return self.model.learning(inputs, *noise)


def _compiles(model: PromptedModel) -> bool:
    """Return whether every cell can be compiled, as all can that do not say otherwise."""
    return all(getattr(cell, "compiles", True) for _, cell in model.cells_and_names())


def _loss_scale(model: PromptedModel) -> float:
    """Return what the loss is multiplied by before its gradient is taken: the most that any cell asks for."""
    return max(float(getattr(cell, "loss_scale", 1.0)) for _, cell in model.cells_and_names())
