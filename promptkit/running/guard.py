"""What a run asks of the model that a strategy builds; a strategy that breaks its word is named, in one line."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from promptkit.errors import UserError, kind_of
from promptkit.nn import Backbone, PromptedModel
from promptkit.prompting.resolved import PromptTask
from promptkit.strategies.contract import Defaults, Strategy
from promptkit.strategies.fronts import FrontStates
from promptkit.strategies.models import part_of
from promptkit.training.likeness import array_of

if TYPE_CHECKING:
    from promptkit.running.plan import Plan


class Guard:
    """Remembers what things were like before a model was built, and says what became of them.

    What a strategy draws from NumPy's or Python's own generators goes unnoticed: MindSpore's layers draw from them
    whenever one is made, also where nothing is left of what they drew.

    Args:
        backbone: the frozen model that others share.
        prompt: what the strategy is told, with its source of random numbers.
        depends_on: what the strategy declares, see `Strategy.depends_on`.
        plugin: how errors name the strategy and where it comes from.
    """

    def __init__(self, backbone: Backbone, prompt: PromptTask, depends_on: frozenset[str], plugin: str) -> None:
        self._backbone, self._prompt, self._depends_on, self._plugin = backbone, prompt, depends_on, plugin
        self._weights = _digest(backbone)
        self._drawn = prompt.rng.bit_generator.state

    def check_dependence(self, learns_from: str) -> None:
        """Refuse a model that learns from what it does not declare to depend on, or that draws without a word.

        Args:
            learns_from: `training`, `examples`, or nothing.
        """
        declared = ", ".join(sorted(self._depends_on)) or "nothing"
        if learns_from and learns_from not in self._depends_on:
            # Where there is no epoch to train, training and what comes with it are not counted as declared.
            without = "" if learns_from == "training" else ", and not training: it learns without an epoch"
            raise UserError(
                f"{self._plugin} has parameters that learn, but declares that its numbers depend on {declared}; "
                f"its depends_on must name {learns_from}{without}."
            )
        if self._prompt.rng.bit_generator.state != self._drawn and "seed" not in self._depends_on:
            raise UserError(
                f"{self._plugin} draws random numbers, but declares that its numbers depend on {declared}; "
                "its depends_on must name seed."
            )

    def check_backbone(self) -> None:
        """Refuse a model that has changed a weight of the frozen backbone."""
        if _digest(self._backbone) != self._weights:
            raise UserError(
                f"{self._plugin}: the frozen backbone's weights were changed; every other score would be wrong."
            )


def check_draws(plan: Plan, rng: np.random.Generator, before: Any, where: str) -> None:
    """Refuse a strategy that has drawn from a generator, whose state was `before`, and does not say so."""
    if rng.bit_generator.state != before and "seed" not in plan.depends_on:
        raise UserError(f"{plan.plugin}: {where} draws random numbers, so its depends_on must name seed.")


def build_model(strategy: Strategy, backbone: Backbone, prompt: PromptTask, plugin: str) -> PromptedModel:
    """Return the model that a strategy builds.

    Raises:
        UserError: if it is no prompted model, the backbone that others share is to learn, what learns is in another
            precision than gradients are, a layer would drop what is never dropped, or the front of the prompts goes
            nowhere.
    """
    model = strategy.build(backbone, prompt)
    if not isinstance(model, PromptedModel):
        raise UserError(f"{plugin}: build returned {kind_of(model)}, not a promptkit.nn.PromptedModel.")
    if backbone.trainable_params():  # type: ignore[attr-defined]  # every backbone is a cell
        raise UserError(
            f"{plugin}: build lets the frozen backbone learn; backbone.trainable('all') returns a copy that may."
        )
    for path, parameter in model.parameters_and_names():
        if parameter.requires_grad and parameter.dtype != ms.float32:
            kind = str(parameter.dtype).lower()
            raise UserError(
                f"{plugin}: '{path}' is {kind}; what learns is float32, so make it from an array .astype(np.float32)."
            )
    cells = [cell for _, cell in model.cells_and_names()]
    if any(isinstance(cell, nn.Dropout) and (1 - cell.keep_prob if cell.p is None else cell.p) for cell in cells):
        raise UserError(
            f"{plugin}: an nn.Dropout drops nothing here; what a step draws at random comes from the model's noise."
        )
    if prompt.front is not None and not any(isinstance(cell, FrontStates) for cell in cells):
        raise UserError(
            f"{plugin}: it says that it takes what all prompts begin with (fronts), but its model leaves that out; "
            "only a ClozePrompt or a SoftPrompt takes it."
        )
    return model


def check_learning(model: PromptedModel, defaults: Defaults, plugin: str) -> None:
    """Refuse a model of which nothing learns though its strategy trains it.

    Args:
        model: that was built.
        defaults: of the strategy for this kind of model.
        plugin: how errors name the strategy.

    Raises:
        UserError: in one line.
    """
    trains = defaults.epochs > 0 and not model.fits and not model.searches
    if trains and not model.trainable_params():
        raise UserError(
            f"{plugin}: nothing in its model learns. MindSpore finds a Parameter that is an attribute of a cell, and "
            "none in a list or tuple; where nothing is meant to learn, its defaults have epochs=0."
        )


def check_features(model: PromptedModel, plugin: str) -> None:
    """Refuse a model that learns and whose features are no fixed ones, or that finds its values from none.

    Raises:
        UserError: in one line.
    """
    if model.fits and not model.fixed_features:
        raise UserError(f"{plugin}: a model that finds its values by fit has fixed_features as well.")
    if not model.fixed_features:
        return
    if any(part_of(path) == "backbone" for path, p in model.parameters_and_names() if p.requires_grad):
        raise UserError(
            f"{plugin}: its features are computed once, but a language model learns before them; "
            "set fixed_features to False."
        )
    if type(model).noise is not PromptedModel.noise:
        raise UserError(
            f"{plugin}: its features are computed once, so that noise is never drawn; set fixed_features to False."
        )


def fold_model(strategy: Strategy, model: PromptedModel, plugin: str) -> PromptedModel:
    """Return the model that a strategy keeps.

    Raises:
        UserError: if it is no prompted model.
    """
    kept = strategy.fold(model)
    if not isinstance(kept, PromptedModel):
        raise UserError(f"{plugin}: fold returned {kind_of(kept)}, not a promptkit.nn.PromptedModel.")
    return kept


def load_tensors(model: PromptedModel, tensors: dict[str, Any]) -> str | None:
    """Copy an artifact's tensors into a model; return what does not fit, or None."""
    own = model.own_parameters()
    if set(own) != set(tensors):
        odd = sorted(set(own) ^ set(tensors))
        return f"it has other tensors than this model: {', '.join(odd[:3])}"
    for path, parameter in own.items():
        if tuple(parameter.shape) != tensors[path].shape:
            return f"{path} has shape {tensors[path].shape}, the model {tuple(parameter.shape)}"
    for path, parameter in own.items():
        parameter.set_data(Tensor(tensors[path]))
    return None


def _digest(backbone: Backbone) -> int:
    """Return a checksum over every weight, in order."""
    digest = 0
    for parameter in backbone.get_parameters():  # type: ignore[attr-defined]  # every backbone is a cell
        digest = zlib.crc32(np.ascontiguousarray(array_of(parameter)).data, digest)
    return digest
