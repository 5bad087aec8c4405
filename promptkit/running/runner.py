"""One run from settings to result: the only place where all rooms meet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptkit.backbones.fusion import prepare
from promptkit.errors import UserError
from promptkit.hooks import no_exit
from promptkit.ranks import Ranks, launched
from promptkit.running.config import RunConfig, make_config
from promptkit.running.events import RunEvents
from promptkit.running.memory import peak_memory_mb
from promptkit.running.plan import Plan, make_plan
from promptkit.running.predictor import Prediction, Predictor, load
from promptkit.running.session import Session

if TYPE_CHECKING:
    from promptkit.backbones.face import Backbone
    from promptkit.prompting.resolved import EncodedTask
    from promptkit.running.rounds import Trained
    from promptkit.runs import RunDirectory, RunRecord

__all__ = ["Prediction", "Predictor", "RunConfig", "RunResult", "execute", "load", "run"]


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        record: everything measured; what `run.json` holds.
        directory: where it was written, or None.
        probabilities: of the test examples, (N, C); None of texts.
        predictions: their classes, (N,), as indices into `record.task.labels`; of texts the answers, where a metric
            had them written.
        truth: their true classes, (N,), likewise, or answers.
    """

    record: RunRecord
    directory: Path | None
    probabilities: Any
    predictions: Any
    truth: Any


def run(strategy: str, **settings: Any) -> RunResult:
    """Train and judge one prompt.

    Args:
        strategy: name of the strategy.
        **settings: the fields of `RunConfig`, e.g. `data`, `shots`, `seed`, `options={"tokens": 20}`.

    Returns:
        The record, and the run directory it was written to.

    Raises:
        UserError: for bad input, in one line; nothing is written then.
    """
    config, session = make_config(strategy=strategy, **settings), Session()
    try:
        return execute(config, session=session)
    finally:
        session.close()


@no_exit()
def execute(
    config: RunConfig,
    *,
    announce: Callable[[str], None] | None = None,
    session: Session | None = None,
    key: str | None = None,
) -> RunResult:
    """Carry out a checked configuration; see `run`. Without `config.out` the run is listed in the store.

    Args:
        config: the settings.
        session: what earlier runs in this process have read and compiled.
        announce: is told in two lines what is about to be run, once it is known to be possible.
        key: what the run's key has to be; by default any.

    Raises:
        UserError: for bad input, in one line, and for another key: what a comparison planned is not there any more.
    """
    started = time.perf_counter()
    if config.mode == "fused":
        prepare()
    session = session or Session()
    plan = make_plan(_shared(config, session.ranks), session.inputs, processes=session.ranks.size)
    if plan.config.save:
        _check_places(plan.config)
    if key is not None and plan.key != key:
        raise UserError(
            "its data, its model or a plugin is not what it was when the comparison was planned; run it again."
        )
    if launched():
        # Not before now: what is wrong with the settings ends all processes, that which watches them as well.
        session.use(config.device, config.mode)
    with RunEvents(plan, session.warned, heard=session.ranks.leads) as events:
        result = _execute_and_store(plan, session, started, announce, events)
        events.finished(result.record, result.directory)
    return result


def _shared(config: RunConfig, ranks: Ranks) -> RunConfig:
    """Return the configuration of one of several processes: the first alone writes and speaks."""
    return config if ranks.leads else config.model_copy(update={"save": False, "quiet": True})


def _check_places(config: RunConfig) -> None:
    """Refuse a place that the run could not be written to, and a store that is locked, damaged or of a newer version.

    Of several processes the first asks, which writes: before they have met its end is the end of all.
    """
    from promptkit.runs import STORE_NAME, RunDirectory, Store
    from promptkit.runs.faults import check_writable

    place = config.store.absolute() if config.out is None else RunDirectory.check(config.out).parent
    there = next(folder for folder in (place, *place.parents) if os.path.exists(folder))
    if os.path.isdir(there):
        check_writable(there)
    if config.out is None and os.path.exists(config.store / STORE_NAME):
        Store.open(config.store).close()


def _execute_and_store(
    plan: Plan, session: Session, started: float, announce: Callable[[str], None] | None, events: RunEvents
) -> RunResult:
    from promptkit.runs import RunDirectory, Store

    config = plan.config
    if not config.save:
        return _execute(plan, session, None, started, announce, events)
    listed, key = config.out is None, plan.key
    with RunDirectory.create(config.out, plan.stem, runs=config.store) as directory:
        result = _execute(plan, session, directory, started, announce, events)
    if listed and result.directory is not None:
        # The store keeps classes; answers are in the run's own files.
        classes = (result.truth, result.predictions) if result.record.task.labels else ((), ())
        try:
            with Store.open(config.store) as store:
                store.add(result.record, *classes, name=result.directory.name, key=key, single=True)
        except UserError as error:
            raise UserError(f"the run is in '{result.directory}', but it is not listed: {error}") from None
    return result


def _execute(
    plan: Plan,
    session: Session,
    directory: RunDirectory | None,
    started: float,
    announce: Callable[[str], None] | None,
    events: RunEvents,
) -> RunResult:
    from promptkit.runs.checkpoint import Checkpoints

    config = plan.config
    leads = session.ranks.leads
    checkpoints = (
        None
        if config.checkpoint is None
        else Checkpoints(config.checkpoint, plan.key, writes=leads, peak_mb=peak_memory_mb)
    )
    asks = plan.asks_model or bool(plan.strategy.proposes)
    encoded = [] if asks else plan.encode()
    if announce and leads:
        announce(plan.describe())
    events.started(resumed=checkpoints is not None and checkpoints.earlier_seconds > 0)
    device = session.use(config.device, config.mode)
    import mindspore as ms

    from promptkit.backbones.face import Writing
    from promptkit.running.rounds import run_rounds

    # For third parties that initialise with MindSpore's own generators; ours all come from `rng`.
    ms.set_seed(config.seed)
    backbone = session.backbone(plan.model, config.model, device)
    if plan.aim.writes(config) and not isinstance(backbone, Writing):
        # Better said now than behind the training.
        raise UserError(f"--metric has answers written, and engine '{plan.model.engine}' writes none; leave it out.")
    if asks:
        plan, encoded = _ask_model(plan, session, backbone)
    trained = run_rounds(plan, session, encoded, backbone, checkpoints, events)
    started += events.seconds
    if checkpoints is not None:
        started -= checkpoints.earlier_seconds
    earlier_peak = 0.0 if checkpoints is None else checkpoints.earlier_peak_mb
    return _finish(plan, backbone, device, trained, directory, started, earlier_peak)


def _ask_model(plan: Plan, session: Session, backbone: Backbone) -> tuple[Plan, list[EncodedTask]]:
    """Return the final plan and its data, where the strategy proposes prompts or shows examples by likeness."""
    from promptkit.running.proposing import propose
    from promptkit.running.states import States

    if plan.strategy.proposes:
        plan = propose(plan, session, backbone)
    for prompt in plan.prompts:
        if prompt.context is not None and prompt.context.showing.by_likeness:
            prompt.context.measure = States(backbone, prompt, plan.config.mode, plan.warn, session.executors)
    return plan, plan.encode()


def _finish(
    plan: Plan,
    backbone: Backbone,
    device: str,
    trained: Trained,
    directory: RunDirectory | None,
    started: float,
    earlier_peak_mb: float,
) -> RunResult:
    from promptkit.running import record as record_of
    from promptkit.runs import ARTIFACT_NAME, save_artifact
    from promptkit.runs.predictions import PREDICTIONS_NAME
    from promptkit.runs.record import RECORD_NAME

    members, judged = trained.members, plan.aim.judge(plan, trained)
    size = 0
    if directory is not None:
        tensors = {f"{i}.{path}": value for i, member in enumerate(members) for path, value in member.tensors.items()}
        card = record_of.card(plan, backbone, trained.weights)
        size = save_artifact(directory.file(ARTIFACT_NAME), tensors, card)
        judged.write(directory.file(PREDICTIONS_NAME))
    record = record_of.build(
        plan, backbone, trained.rounds, judged, device=device, artifact_bytes=size,
        seconds=time.perf_counter() - started, peak_memory_mb=max(earlier_peak_mb, peak_memory_mb()),
    )  # fmt: skip
    place = None
    if directory is not None:
        directory.file(RECORD_NAME).write_text(record.to_json(), encoding="utf-8")
        place = directory.commit()
    return RunResult(record, place, judged.probabilities, judged.predictions, judged.truth)
