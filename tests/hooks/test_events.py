"""What plugins hear of a run: its start, every pass, its end; and that they cannot disturb it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from models import GOLDENS

pytest.importorskip("mindspore")

import promptkit
from promptkit import EpochInfo, RunInfo, RunOutcome, UserError
from promptkit.hooks import get_host
from promptkit.runs import RunRecord, Store

BERT = GOLDENS / "bert-onelayer"
LISTENER = """
    from promptkit import hookimpl

    heard = []

    @hookimpl
    def promptkit_run_started(run):
        heard.append(("started", run))

    @hookimpl
    def promptkit_epoch_ended(run, epoch):
        heard.append(("epoch", run, epoch))

    @hookimpl
    def promptkit_run_ended(run, outcome):
        heard.append(("ended", run, outcome))
"""
FAULTY = """
    import random
    import sys
    import numpy
    from promptkit import hookimpl

    calls = []

    @hookimpl
    def promptkit_run_started(run):
        calls.append("started")
        print("hello")
        numpy.random.random(100), random.random()
        run.settings["strategy_options"]["tokens"] = "many"

    @hookimpl
    def promptkit_epoch_ended(run, epoch):
        calls.append(epoch.epoch)
        numpy.random.random(100), random.random()
        sys.exit(3)

    @hookimpl
    def promptkit_run_ended(run, outcome):
        calls.append("ended")
        raise ValueError("two\\nlines")
"""
# Initial values from the generator that everybody shares, and a class that goes wrong when it is told to.
DRAWING = """
    from promptkit import Defaults, Strategy, UserError, hookimpl

    class Drawing(Strategy):
        name = "drawing"
        summary = "Draws where it should not."
        trouble = ""
        defaults = Defaults(epochs=3, lr=0.1, templates=(("en", ("{text} it was {mask} .",)),))

        def build(self, backbone, task):
            import numpy
            from mindspore import Parameter, Tensor
            from promptkit.nn import ClozePrompt

            class Model(ClozePrompt):
                def __init__(self):
                    super().__init__(backbone, task)
                    start = numpy.random.normal(0.0, 0.1, len(task.labels)).astype(numpy.float32)
                    self.bias = Parameter(Tensor(start), name="bias")

                def scores(self, features):
                    return super().scores(features) + self.bias

            return Model()

        def fold(self, model):
            if self.trouble == "bug":
                raise ValueError("a bug")
            if self.trouble == "input":
                raise UserError("that does not fold.")
            if self.trouble == "exit":
                raise SystemExit(4)
            if self.trouble == "interrupt":
                raise KeyboardInterrupt
            return model

    @hookimpl
    def promptkit_register_strategies(register):
        register(Drawing)
"""

Install = Callable[..., Any]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a small data set of the words that the tiny model knows."""
    monkeypatch.chdir(tmp_path)
    words = {"positive": ("good", "great"), "negative": ("bad", "terrible")}
    rows = [(label, word, "it " * n) for label in words for word in words[label] for n in range(6)]
    lines = [f"the film was {more}{word}\t{label}" for label, word, more in rows]
    Path("reviews.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n", encoding="utf-8")


@pytest.fixture
def install(install_plugin: Callable[..., str]) -> Iterator[Install]:
    """Install plugins and return the module of the first."""

    def add(**sources: str) -> Any:
        modules = [install_plugin(name, source) for name, source in sources.items()]
        get_host.cache_clear()
        assert not get_host().refusals
        return sys.modules[modules[0]]

    yield add
    get_host.cache_clear()


def run(**settings: Any) -> Any:
    usual = {
        "strategy": "drawing", "data": "reviews.tsv", "model": str(BERT), "shots": 4, "mode": "pynative",
        "max_length": 32, "quiet": True,
    }  # fmt: skip
    return promptkit.run(**{**usual, **settings})


def measured(record: RunRecord) -> dict[str, Any]:
    """What must not depend on who listens."""
    return record.model_dump(exclude={"cost", "created", "command"})


def test_a_listener_hears_start_passes_and_end(install: Install) -> None:
    listener = install(listener=LISTENER, drawing=DRAWING)
    result = run()
    started, *epochs, ended = listener.heard
    assert [name for name, *_ in listener.heard] == ["started", "epoch", "epoch", "epoch", "ended"]
    about: RunInfo = started[1]
    assert (about.strategy, about.data, about.model) == ("drawing", "reviews.tsv", str(BERT))
    assert (about.shots, about.seed, about.resumed, len(about.key)) == (4, 0, False, 16)
    options = json.loads(result.record.to_json())["options"]
    assert {**about.settings, "device": "CPU"} == options
    assert all(event[1] is about for event in listener.heard)
    passes: list[EpochInfo] = [event[2] for event in epochs]
    assert [each.epoch for each in passes] == [1, 2, 3]
    # Dev is scored after about ten steps, and at the end.
    assert [each.dev_accuracy is None for each in passes] == [True, True, False]
    (last,) = result.record.history
    assert (passes[2].dev_accuracy, passes[2].dev_loss, passes[2].lr) == (last.dev_accuracy, last.dev_loss, last.lr)
    assert sum(each.loss for each in passes) / 3 == pytest.approx(last.loss)
    assert 0 < passes[0].seconds < passes[1].seconds < passes[2].seconds
    outcome: RunOutcome = ended[2]
    assert (outcome.status, outcome.failure, outcome.record) == ("finished", "", result.record)
    assert outcome.directory == result.directory


def test_what_a_listener_gets_cannot_be_changed(install: Install) -> None:
    listener = install(listener=LISTENER, drawing=DRAWING)
    run(save=False, epochs=1)
    _, (_, about, epoch), (_, _, outcome) = listener.heard
    for part, name in ((about, "seed"), (epoch, "loss"), (outcome, "status")):
        with pytest.raises(FrozenInstanceError):
            setattr(part, name, 1)
    with pytest.raises(TypeError):
        about.settings["seed"] = 1
    assert outcome.directory is None


def test_the_record_is_stored_when_the_end_is_told(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    reading = """
        from promptkit import hookimpl
        from promptkit.runs import RunRecord, Store

        @hookimpl
        def promptkit_run_ended(run, outcome):
            assert RunRecord.read(outcome.directory) == outcome.record
            with Store.open(outcome.directory.parent, create=False) as store:
                print("stored", store.find(outcome.directory.name).record == outcome.record)
    """
    install(reading=reading, drawing=DRAWING)
    run(epochs=1)
    assert capsys.readouterr().err == "stored True\n"


def test_a_hook_that_raises_costs_one_line_and_changes_no_number(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(drawing=DRAWING)
    # Two templates: the second starts from the common generator after the first was told of.
    templates = ("{text} it was {mask} .", "{mask} : {text}")
    alone = run(templates=templates).record
    assert capsys.readouterr().err == ""
    faulty = install(faulty=FAULTY, listener=LISTENER, other=FAULTY)
    result = run(templates=templates)
    captured = capsys.readouterr()
    assert measured(result.record) == measured(alone)
    assert faulty.calls == ["started", 1, "ended"]
    assert [line for line in captured.err.splitlines() if line != "hello"] == [
        f"warning: plugin '{name}' of {name}-dist 1.2: {hook} failed: {fault} (made_up_plugin_{name}.py, line {line})"
        for hook, fault, line in (
            ("promptkit_epoch_ended", "SystemExit: 3", 20),
            ("promptkit_run_ended", "ValueError: two lines", 25),
        )
        for name in ("faulty", "other")
    ]
    assert captured.out == ""
    heard = sys.modules["made_up_plugin_listener"].heard
    assert [event[2].template for event in heard if event[0] == "epoch"] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("trouble", "raised", "status", "failure"),
    [
        ("bug", ValueError, "failed", "ValueError: a bug (made_up_plugin_drawing.py, line "),
        ("input", UserError, "failed", "that does not fold."),
        ("exit", UserError, "failed", "plugin 'drawing' of drawing-dist 1.2 tried to end promptkit: SystemExit: 4 "),
        ("interrupt", KeyboardInterrupt, "interrupted", ""),
    ],
)
def test_a_run_that_does_not_finish_says_so_once(
    install: Install, trouble: str, raised: type[BaseException], status: str, failure: str
) -> None:
    listener = install(listener=LISTENER, drawing=DRAWING)
    get_host().strategy("drawing").cls.trouble = trouble  # type: ignore[attr-defined]
    with pytest.raises(raised):
        run(epochs=1)
    assert [name for name, *_ in listener.heard] == ["started", "epoch", "ended"]
    outcome = listener.heard[-1][2]
    assert (outcome.status, outcome.record, outcome.directory) == (status, None, None)
    assert outcome.failure.startswith(failure)
    assert bool(outcome.failure) == bool(failure)
    assert not list(Path("runs").glob("*"))


def test_what_never_began_has_no_events(install: Install, tmp_path: Path) -> None:
    listener = install(listener=LISTENER, drawing=DRAWING)
    (tmp_path / "file").touch()
    for wrong in ({"metrics": ("acuracy",)}, {"out": tmp_path / "file"}):
        with pytest.raises(UserError):
            run(**wrong)
    assert listener.heard == []


def test_an_interrupt_in_a_listener_at_the_end_interrupts_and_tells_no_second_end(install: Install) -> None:
    pressing = """
        from promptkit import hookimpl

        heard = []

        @hookimpl
        def promptkit_run_ended(run, outcome):
            heard.append(outcome.status)
            raise KeyboardInterrupt
    """
    plugin = install(pressing=pressing, drawing=DRAWING)
    with pytest.raises(KeyboardInterrupt):
        run(epochs=1)
    assert plugin.heard == ["finished"]
    with Store.open("runs") as store:
        assert len(store.runs()) == 1


def test_a_resumed_run_tells_only_of_what_it_does(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTKIT_CHECKPOINT_SECONDS", "0")
    stopping = """
        from promptkit import hookimpl

        heard, stop_at = [], 0

        @hookimpl
        def promptkit_run_started(run):
            heard.append((run.key, run.resumed))

        @hookimpl
        def promptkit_epoch_ended(run, epoch):
            heard.append((epoch.epoch, epoch.loss, epoch.dev_loss))
            if epoch.epoch == stop_at:
                raise KeyboardInterrupt

        @hookimpl
        def promptkit_run_ended(run, outcome):
            heard.append(outcome.status)
    """
    plugin = install(stopping=stopping, drawing=DRAWING)
    run(save=False)
    (key, _), first, second, third, _ = plugin.heard
    plugin.heard.clear()
    plugin.stop_at = 2
    with pytest.raises(KeyboardInterrupt):
        run(save=False, checkpoint=tmp_path / "state")
    assert plugin.heard == [(key, False), first, second, "interrupted"]
    plugin.heard.clear()
    plugin.stop_at = 0
    # The state was saved after the last step of the second pass, before it was told of.
    run(save=False, checkpoint=tmp_path / "state")
    assert plugin.heard == [(key, True), second, third, "finished"]
    plugin.heard.clear()
    run(save=False, checkpoint=tmp_path / "state")
    assert plugin.heard == [(key, True), "finished"]


def test_a_model_that_is_fitted_takes_no_passes(install: Install) -> None:
    listener = install(listener=LISTENER)
    run(strategy="probe", save=False)
    assert [name for name, *_ in listener.heard] == ["started", "ended"]
