"""The settings of a run: what strategy and model say where the user says nothing."""

from __future__ import annotations

from collections.abc import Sequence

from promptkit.backbones.face import BackboneInfo
from promptkit.prompting import Readout, Template, Verbalizer
from promptkit.running.config import RunConfig
from promptkit.runs.record import RunOptions
from promptkit.strategies.contract import Strategy

HELD = 5e9
"""Bytes that a backward pass may find held, about; weights and what the runtime needs come on top."""
_HELD_OF_OUTPUTS = 1.5  # of what a layer's matrices give out: norms, activations and sums come on top


def settle(
    config: RunConfig,
    strategy: Strategy,
    readout: Readout,
    templates: Sequence[Template],
    verbalizer: Verbalizer | None,
    examples: int,
    info: BackboneInfo,
    longest: int,
    processes: int = 1,
) -> RunOptions:
    """Return the settings with every default filled in.

    Where neither batches nor how many make a step are given, a step of a large model takes its examples in several
    batches, see `batches_of_step`.

    Args:
        config: what was asked for.
        strategy: its defaults fill in what was not.
        readout: how the prompts are read.
        templates: as they are used.
        verbalizer: as it is used.
        examples: of train.
        info: the model's shape.
        longest: positions that an example takes at most, its answer's among them.
        processes: that train together. A step takes the batches of all, and so the record says: one process that
            gathers as many learns the same.
    """
    defaults = strategy.defaults.for_kind(info.kind) if config.objective == "classes" else strategy.defaults
    chosen = {name: getattr(config, name) for name in RunOptions.model_fields if name in RunConfig.model_fields}
    chosen["readout"] = readout
    for name in ("lr", "batch_size", "weight_decay", "patience"):
        if chosen[name] is None:
            chosen[name] = getattr(defaults, name)
    chosen["accumulate"] = config.accumulate or 1
    if config.batch_size is None and config.accumulate is None and "training" in strategy.depends_on:
        chosen["accumulate"] = batches_of_step(info, chosen["batch_size"], longest)
        chosen["batch_size"] //= chosen["accumulate"]
    chosen["accumulate"] *= processes
    if config.epochs is None:
        chosen["epochs"] = defaults.epochs_for(examples, chosen["batch_size"] * chosen["accumulate"])
    chosen["round_epochs"] = config.epochs if strategy.rounds > 1 else None
    chosen |= {
        "templates": [str(template) for template in templates],
        "verbalizer": None if verbalizer is None else str(verbalizer),
        "strategy_options": strategy.options.model_dump(mode="json"),
    }
    return RunOptions(**chosen)


def batches_of_step(info: BackboneInfo, examples: int, length: int) -> int:
    """Return how many equal batches a step of so many examples is taken in, so that memory holds each.

    They are the fewest of which the backward pass holds `HELD` bytes at most, by an estimate: for each token what the
    matrices give out, two operations for H inputs each (`BackboneInfo.flops_per_token`), and half of that again. It
    goes by the model and the settings alone, so that a run is the same on every machine.

    Args:
        info: the model's shape.
        examples: of a step.
        length: the longest example, in tokens.
    """
    token = 4 * _HELD_OF_OUTPUTS * info.flops_per_token / (2 * info.hidden_size)
    wanted = examples * length * token / HELD
    return next((n for n in range(1, examples) if examples % n == 0 and n >= wanted), examples)
