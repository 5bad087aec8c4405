"""Prompted models: cells from packed inputs to class scores, and what of them is kept and counted.

The name of the attribute that holds a parameter says what it counts as: `prompt`, `encoder` or `head` are what a
strategy learns and keeps, `backbone` is the language model. Dimensions: R rows, S positions a row, E examples a row,
M positions read of each, N = R * E, H hidden, P virtual tokens, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn

from promptkit.backbones.face import Backbone, Inputs
from promptkit.errors import UserError, kind_of
from promptkit.prompting.resolved import PromptTask
from promptkit.strategies.fronts import FrontStates, front_states, run_behind
from promptkit.strategies.readouts import readout
from promptkit.strategies.searching import Search
from promptkit.strategies.virtual import VirtualTokens, mix_in

PARTS = ("prompt", "encoder", "head", "backbone")


def tensors(inputs: Inputs) -> Inputs:
    """Return the arrays of a batch as MindSpore tensors: `model(tensors(batch.inputs))`."""
    return packed(*(Tensor(array) for array in inputs.values()))


def packed(token_ids: Any, segment_ids: Any, position_ids: Any, virtual_ids: Any, read: Any) -> Inputs:
    """Return the structure of five arrays or tensors; within a graph as well, where `Inputs(...)` is not known.

    The arguments are the keys of `Inputs`, with their shapes.
    """
    return {
        "token_ids": token_ids,
        "segment_ids": segment_ids,
        "position_ids": position_ids,
        "virtual_ids": virtual_ids,
        "read": read,
    }


@dataclass(frozen=True)
class Trial:
    """A setting that was tried on dev: its accuracy and mean cross entropy there."""

    dev_accuracy: float
    dev_loss: float


class PromptedModel(nn.Cell):
    """Packed inputs -> class scores. Subclasses write `construct`, or `features` and `scores`.

    Attributes:
        fixed_features: set it to True if nothing learns before `scores`; the host then computes `features`
            once for every example instead of once for every epoch, and keeps those of train, dev and test in memory.
        fits: set it to True, and `fixed_features` as well, if `fit` finds the values that are learnt, and not steps.
        searches: set it to True if `search` looks for them: among tokens of the vocabulary, say. What is kept of such
            a model, `own_parameters`, may be less than what requires gradient.
        keeps_graph: set it to False if `construct` draws random numbers. Otherwise its compiled graph may serve the
            next model that differs from it in nothing but parameters' values, as those of two seeds do.
    """

    fixed_features = False
    fits = False
    searches = False
    keeps_graph = True

    def fit(self, train: Any, labels: Any, dev: Any, dev_labels: Any) -> list[Trial]:
        """Set what learns from features, all at once.

        Values go in by `mindspore.ops.assign`: a graph that is compiled does not see `Parameter.set_data`.

        Args:
            train: features of the training examples, (N, ...) NumPy.
            labels: their classes, (N,).
            dev: features of the dev examples.
            dev_labels: their classes.

        Returns:
            What was tried on dev, so that a table can say how many candidates a figure was picked from.
        """
        raise NotImplementedError

    def search(self, search: Search) -> None:
        """Look for the values of `own_parameters`, turn by turn, and offer those worth judging to dev.

        Args:
            search: gives losses and gradients of training batches; see `promptkit.nn.Search`.
        """
        raise NotImplementedError

    def found(self) -> str:
        """Return in words what was found, for people to read; empty where there is nothing to read."""
        return ""

    def features(self, inputs: Inputs) -> Any:
        """What the frozen part computes from a batch: one tensor, (N, ...), kept as float32.

        A run has rows of one length S for all its splits, padding included; another run, or a prediction, may have
        another.
        """
        raise NotImplementedError

    def scores(self, features: Any) -> Any:
        """Class scores from features, (N, C).

        Where these are fixed N is a number of examples that belong to no rows any more.
        """
        raise NotImplementedError

    def construct(self, inputs: Inputs) -> Any:
        """Return class scores.

        Args:
            inputs: R rows of E examples each; see `promptkit.nn.Inputs`.

        Returns:
            (R * E, C) unnormalised log-probabilities of the classes, row by row.
        """
        return self.scores(self.features(inputs))

    def embeddings(self, inputs: Inputs) -> Any:
        """What the language model reads at every position, (R, S, H); of a model that writes answers."""
        raise NotImplementedError

    def in_front(self) -> Any:
        """Keys and values in front of the layers of a model that writes answers, (K, 2, A_kv, P, D), or None."""
        return None

    def noise(self, inputs: Inputs, rng: np.random.Generator) -> tuple[Any, ...]:
        """Return what a training step draws at random, e.g. what dropout keeps; by default nothing.

        It is drawn here, outside of the graph, so that a seed repeats a run and a training that goes on after a kill
        draws the same. Whoever draws something writes `learning` as well.

        Args:
            inputs: of the step, NumPy arrays.
            rng: of this step alone.

        Returns:
            NumPy arrays whose shapes follow from those of `inputs`.
        """
        return ()

    def learning(self, inputs: Inputs, *noise: Any) -> Any:
        """Return class scores in a training step for which `noise` drew something; see `construct`."""
        raise NotImplementedError

    def folded(self) -> PromptedModel:
        """Return the model to keep for prediction, if a smaller one gives the same scores; by default this one."""
        return self

    def own_parameters(self) -> dict[str, Parameter]:
        """What prediction needs besides the frozen backbone: everything outside it, and what learns in it.

        The keys are attribute paths (`prompt.vectors`), not MindSpore's parameter names, which change with
        every model a shared backbone is put into.
        """
        return {
            path: parameter
            for path, parameter in _paths(self)
            if parameter.requires_grad or not path.startswith("backbone.")
        }


def _paths(model: nn.Cell) -> Iterator[tuple[str, Parameter]]:
    """Yield every parameter once with its attribute path.

    Those of a frozen or wholly learning backbone begin with `backbone.`, those of a learning head with `head.`.
    """
    inside: dict[int, str] = {}
    for _, cell in model.cells_and_names():
        if isinstance(cell, Backbone):
            for path, parameter in cell.parameters_and_names():  # type: ignore[attr-defined]
                part = "head" if cell.learns == "head" and parameter.requires_grad else "backbone"
                inside[id(parameter)] = f"{part}.{path}"
        elif isinstance(cell, FrontStates) and not cell.learns:
            inside[id(cell.values)] = "backbone.front.values"
    for path, parameter in model.parameters_and_names():
        yield inside.get(id(parameter), path), parameter


def part_of(path: str) -> str:
    """Return which part a parameter counts as, by the first word of its path; `head` if it is no known part."""
    first = path.split(".")[0]
    return first if first in PARTS else "head"


def count_parameters(model: PromptedModel) -> dict[str, int]:
    """Count what learns, by part: `prompt`, `encoder`, `head`, `backbone`; what is kept of a model that searches."""
    counts = dict.fromkeys(PARTS, 0)
    for path, parameter in model.own_parameters().items() if model.searches else _paths(model):
        if model.searches or parameter.requires_grad:
            counts[part_of(path)] += int(np.prod(parameter.shape))
    return counts


class ClozePrompt(PromptedModel):
    """A fixed template read by label words or by a linear head; the frozen part is computed once.

    Args:
        backbone: the language model.
        task: the resolved prompt; its readout decides how classes are scored.
        head_learns: whether the readout learns: the linear layer, or a copy of the language model's head.

    Raises:
        UserError: for a template with virtual tokens.

    Attributes:
        fixed_features: True for the frozen language model, False for a copy that learns before its head.
    """

    fixed_features = True

    def __init__(self, backbone: Backbone, task: PromptTask, *, head_learns: bool = False) -> None:
        super().__init__()
        self.fixed_features = self.fixed_features and backbone.learns in (None, "head")
        if task.num_virtual:
            raise UserError(f"template '{task.template}' has virtual tokens, which this strategy does not learn.")
        self.backbone = backbone
        self.front: Any = front_states(backbone, task)
        self.head = readout(backbone, task, learns=head_learns)
        self.writes = task.readout == "answer"

    def embeddings(self, inputs: Inputs) -> Any:
        """Those of the words, (R, S, H)."""
        return self.backbone.embed(inputs["token_ids"])

    def features(self, inputs: Inputs) -> Any:
        """Hidden states at the positions read, (N, M, H)."""
        front = None
        if self.front is not None:
            front = self.front()
        return run_behind(self.backbone, self.embeddings(inputs), inputs, front)

    def construct(self, inputs: Inputs) -> Any:
        """Class scores, (N, C), or how likely the tokens of answers are, (R, Q)."""
        hidden = self.features(inputs)
        return self.head(hidden, inputs) if self.writes else self.scores(hidden)

    def scores(self, features: Any) -> Any:
        """(N, M, H) -> (N, C)."""
        return self.head(features)


class FrozenPrompted(PromptedModel):
    """A frozen model with what a cell without arguments gives it: the `prompt` itself, or an `encoder`.

    Raises:
        UserError: if there is not one cell of the two.
    """

    def __init__(
        self,
        backbone: Backbone,
        task: PromptTask,
        *,
        prompt: nn.Cell | None = None,
        encoder: nn.Cell | None = None,
        head: nn.Cell | None = None,
    ) -> None:
        super().__init__()
        _check_cell(type(self).__name__, prompt, encoder)
        self.backbone = backbone
        self.encoded = encoder is not None
        if encoder is not None:
            self.encoder: Any = encoder
            self.task = task
        else:
            self.prompt: Any = prompt
        self.head = head if head is not None else readout(backbone, task, learns=task.readout == "head")
        self.writes = task.readout == "answer"
        self._check_given()

    def _check_given(self) -> None:
        """Refuse what the cell gives where the model cannot take it; called once, when everything is in place."""

    def construct(self, inputs: Inputs) -> Any:
        """Class scores, (N, C), or how likely the tokens of answers are, (R, Q); see `PromptedModel.construct`."""
        hidden = self.backbone.run(self.embeddings(inputs), inputs, self.in_front())
        return self.head(hidden, inputs) if self.writes else self.head(hidden)

    def given(self) -> Any:
        """What the cell gives now."""
        if self.encoded:
            return self.encoder()
        return self.prompt()


def _check_cell(who: str, prompt: Any, encoder: Any) -> None:
    """Refuse anything but one cell."""
    if (prompt is None) == (encoder is None):
        raise UserError(f"{who} takes a prompt or an encoder, not {'none' if prompt is None else 'both'}.")
    name, cell = ("encoder", encoder) if prompt is None else ("prompt", prompt)
    if not isinstance(cell, nn.Cell):
        raise UserError(
            f"{who} takes a cell as {name}, e.g. VirtualTokens(...) or LayerPrefix(...), not {kind_of(cell)}."
        )


class SoftPrompt(FrozenPrompted):
    """A template whose virtual tokens come from a cell that takes nothing and returns (P, H).

    Args:
        backbone: the language model.
        task: the resolved prompt. The cloze readout stays frozen, the head readout learns.
        prompt: the virtual tokens themselves, counted as `prompt`.
        encoder: or a cell that computes them, counted as `encoder`.
        head: the readout of another model, to share it; a new one by default.

    Raises:
        UserError: if there is not one cell of the two, or if the template has no virtual tokens.
    """

    def __init__(
        self,
        backbone: Backbone,
        task: PromptTask,
        *,
        prompt: nn.Cell | None = None,
        encoder: nn.Cell | None = None,
        head: nn.Cell | None = None,
    ) -> None:
        if not task.num_virtual:
            raise UserError(f"template '{task.template}' has no virtual tokens, e.g. {{soft:10}}.")
        super().__init__(backbone, task, prompt=prompt, encoder=encoder, head=head)
        self.front: Any = front_states(backbone, task)

    def folded(self) -> SoftPrompt:
        """Return the model with what the encoder gives now in the encoder's place; itself where there is none."""
        if not self.encoded:
            return self
        vectors = VirtualTokens(self.virtual_vectors().asnumpy())
        return SoftPrompt(self.backbone, self.task, prompt=vectors, head=self.head)

    def virtual_vectors(self) -> Any:
        """The virtual tokens' vectors, (P, H)."""
        return self.given()

    def embeddings(self, inputs: Inputs) -> Any:
        """Those of the words, with virtual tokens in their places, (R, S, H)."""
        return mix_in(self.backbone.embed(inputs["token_ids"]), self.virtual_vectors(), inputs["virtual_ids"])

    def construct(self, inputs: Inputs) -> Any:
        """Class scores, (N, C), or how likely the tokens of answers are, (R, Q); see `PromptedModel.construct`."""
        vectors, front = self.virtual_vectors(), None
        if self.front is not None:
            front = self.front(vectors)
        embeddings = mix_in(self.backbone.embed(inputs["token_ids"]), vectors, inputs["virtual_ids"])
        hidden = run_behind(self.backbone, embeddings, inputs, front)
        return self.head(hidden, inputs) if self.writes else self.head(hidden)
