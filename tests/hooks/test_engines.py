"""An engine of a third party: another architecture, file format and tokenizer, behind the same face."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import promptkit_bag
import pytest
from models import GOLDENS

import promptkit
from promptkit import UserError
from promptkit.cli import main
from promptkit.hooks import PluginHost, get_host, hookimpl
from promptkit.testing import write_tiny_model

WORDS = ["good", "great", "bad", "terrible", "film", "movie", "plot", "it", "was", "the", "a", "not", "."]
TEXTS = ["the film was good", "a terrible plot"]
HARD, SOFT = "{text} it was {mask} .", "{soft:3}{text} it was {mask} ."
FAULTY = """
    from promptkit_bag import BagEngine
    from promptkit import hookimpl

    class Faulty(BagEngine):
        name = "faulty"

        def METHOD

    @hookimpl
    def promptkit_register_engines(register):
        register(Faulty())
"""


@pytest.fixture
def install(install_plugin: Callable[..., str]) -> Iterator[Callable[..., None]]:
    """Install a plugin, and have promptkit look again."""

    def installed(name: str, source: str) -> None:
        install_plugin(name, source)
        get_host.cache_clear()

    yield installed
    get_host.cache_clear()


@pytest.fixture
def bag(install: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The toy engine installed, and the settings of a run on a checkpoint and data made for it."""
    install("toy", inspect.getsource(promptkit_bag))
    monkeypatch.chdir(tmp_path)
    promptkit_bag.write_checkpoint(tmp_path / "bag", WORDS)
    for split, count in (("train", 32), ("dev", 12), ("test", 16)):
        rows = ["label\ttext"]
        for i in range(count):
            label, words = (("positive", ("good", "great")), ("negative", ("bad", "terrible")))[i % 2]
            rows.append(f"{label}\tthe {('film', 'movie', 'plot')[i % 3]} was {words[i // 2 % 2]}{' film' * (i % 4)}")
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return {
        "data": "data", "model": "bag", "verbalizer": "positive=great; negative=terrible", "mode": "pynative",
        "batch_size": 8, "quiet": True, "out": tmp_path / "out",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("strategy", "settings", "learns"),
    [
        ("hard", {"templates": (HARD,), "options": {"calibrate": "content-free"}}, None),
        ("hard", {"templates": (HARD,), "verbalizer": "positive=not bad; negative=bad", "slots": "mean"}, None),
        ("pet", {"templates": (HARD,), "lr": 0.1, "epochs": 6}, "head"),
        ("pet", {"templates": (HARD,), "lr": 0.05, "epochs": 6, "options": {"tune": "all"}}, "backbone"),
        ("soft", {"templates": (SOFT,), "lr": 0.3, "epochs": 6, "mode": "graph"}, "prompt"),
        ("soft", {"templates": (SOFT,), "lr": 0.3, "epochs": 6, "readout": "head"}, "head"),
        ("ptuning", {"templates": (SOFT,), "lr": 0.1, "epochs": 6, "options": {"lstm_layers": 1}}, "encoder"),
        ("finetune", {"templates": (HARD,), "lr": 0.05, "epochs": 6, "options": {"dropout": 0.0}}, "backbone"),
    ],
)
def test_every_strategy_runs_on_it_and_predicts_from_its_artifact(bag, strategy, settings, learns, capsys) -> None:
    pytest.importorskip("mindspore")
    result = promptkit.run(strategy, **{**bag, **settings})
    record = result.record
    assert (record.backbone.engine, record.backbone.architecture) == ("bag", "bag-of-words")
    assert record.parameters.total == 0 if learns is None else getattr(record.parameters, learns) > 0
    losses = [epoch.loss for epoch in record.history]
    assert not losses or min(losses) < losses[0]
    tests = Path("data/test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    predictor = promptkit.load(bag["out"])
    assert predictor.card["backbone"]["engine"] == "bag"
    again = predictor.probabilities([line.split("\t")[1] for line in tests])
    assert np.abs(again - result.probabilities).max() < 1e-5
    assert main(["predict", str(bag["out"]), *TEXTS]) == 0
    assert capsys.readouterr().out.count("\n") == 2
    assert main(["inspect", str(bag["out"]), *([] if "{soft" in settings["templates"][0] else TEXTS[:1])]) == 0
    shown = capsys.readouterr().out
    assert "V0" in shown if "{soft" in settings["templates"][0] else "film" in shown


def test_what_its_backbone_refuses_is_one_line(bag, install) -> None:
    pytest.importorskip("mindspore")
    install(
        "prefixed",
        """
        from promptkit import Strategy, hookimpl

        class Prefixed(Strategy):
            name = "prefixed"
            summary = "Keys and values in every layer."

            def build(self, backbone, task):
                from mindspore import ops
                from promptkit.nn import ClozePrompt

                class Model(ClozePrompt):
                    def features(self, inputs):
                        return self.backbone.run(self.embeddings(inputs), inputs, ops.zeros((1, 2, 1, 2, 8)))

                return Model(backbone, task)

        @hookimpl
        def promptkit_register_strategies(register):
            register(Prefixed)
        """,
    )
    with pytest.raises(UserError, match="a bag of words takes no prefix"):
        promptkit.run("prefixed", **{**bag, "templates": (HARD,)})
    assert not bag["out"].exists()


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("prefix", "a prefix for all layers: model 'bag' has none"),
        ("finetune", "a bag of words takes no dropout"),
        ("bitfit", "model 'bag' has no biases that could learn"),
    ],
)
def test_what_a_built_in_strategy_cannot_do_on_it_is_one_line(bag, tmp_path, strategy: str, said: str) -> None:
    pytest.importorskip("mindspore")
    with pytest.raises(UserError, match=said):
        promptkit.run(strategy, **{**bag, "templates": (HARD,)})
    assert not bag["out"].exists()
    if strategy != "finetune":
        return
    # What is refused within a training step leaves MindSpore such that the next run of the process compiles.
    tiny = {"model": str(write_tiny_model(tmp_path / "tiny")), "templates": (SOFT,), "mode": "graph", "epochs": 1}
    next_one = promptkit.run("soft", **{**bag, **tiny, "save": False, "out": None})
    assert next_one.record.options.mode == "graph"


def test_it_is_listed_with_what_it_takes(bag, capsys) -> None:
    assert main(["models"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("bag ")]
    assert line.split()[1:] == ["plugin", "'toy'", "of", "toy-dist", "1.2", "bags", "of", "words", "(bag.npz)"]


def test_preview_asks_it_for_the_pieces(bag, capsys) -> None:
    words = "positive=great; negative=terrible"
    arguments = ["preview", "--model", "bag", "--template", HARD, "--verbalizer", words, "--text", TEXTS[0]]
    assert main(arguments) == main([*arguments, "--engine", "bag"]) == 0
    assert "<start>" in capsys.readouterr().out
    assert main([*arguments, "--engine", "native"]) == 2


@pytest.mark.parametrize(
    ("model", "engine", "said"),
    [
        ("bag", "nonsense", "unknown engine 'nonsense'. Known: bag, mindnlp, native."),
        ("bag", "bga", "unknown engine 'bga'. Did you mean 'bag'? Known: bag, mindnlp, native."),
        ("bag", "native", "no config.json there"),
        (str(GOLDENS / "bert-odd"), "bag", "no bag.npz there"),
    ],
)
def test_engine_forces_one_and_what_it_does_not_take_is_one_line(bag, capsys, model, engine, said) -> None:
    words = ["--strategy", "hard", "--data", "data", "--model", model, "--engine", engine]
    assert main(["run", *words, "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1


def test_a_checkpoint_that_two_engines_take_is_another_model_with_each(bag, install) -> None:
    """The engine is in the run's key, for another engine is other numbers."""
    from promptkit.running.config import make_config
    from promptkit.running.plan import make_plan

    install("zweite", FAULTY.replace("METHOD", "unused(self): ..."))
    asked = {name: bag[name] for name in ("data", "model", "verbalizer")}
    plans = [make_plan(make_config(strategy="hard", engine=name, **asked)) for name in (None, "bag", "faulty")]
    assert [plan.model.engine for plan in plans] == ["bag", "bag", "faulty"]
    assert plans[0].key == plans[1].key != plans[2].key
    assert plans[0].model.fingerprint == plans[2].model.fingerprint


def test_an_artifact_remembers_its_engine_and_says_so_when_it_is_gone(bag, install, capsys) -> None:
    pytest.importorskip("mindspore")
    install("zweite", FAULTY.replace("METHOD", "unused(self): ..."))
    promptkit.run("hard", **{**bag, "templates": (HARD,), "engine": "faulty"})
    assert promptkit.load(bag["out"]).card["backbone"]["engine"] == "faulty"
    (bag["out"].parent / "zweite_dist-1.2.dist-info" / "entry_points.txt").unlink()
    get_host.cache_clear()
    assert main(["predict", str(bag["out"]), *TEXTS]) == 2
    said = "made with engine 'faulty', which is not installed. Installed: native, bag, mindnlp."
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("claims(self, directory): raise ValueError('no idea')", "engine 'faulty' cannot tell whether it takes"),
        ("describe(self, directory): return None", "engine 'faulty' describes 'bag' by nothing, not by ModelFiles"),
        (
            "describe(self, directory):\n            return BagEngine.describe(BagEngine(), directory)",
            "engine 'faulty' says that engine 'bag' described 'bag'",
        ),
        ("load(self, files, source): return files", "engine 'faulty' loads 'bag' as a ModelFiles, not as a Backbone"),
        ("load(self, files, source): return type('B', (), {})()", "not as a Backbone"),
        (
            "load(self, files, source): return BagEngine.load(self, files, source).trainable('all')",
            "engine 'faulty' loads 'bag' with weights that learn",
        ),
    ],
)  # fmt: skip
def test_an_engine_that_breaks_its_word_is_one_line(install, bag, method, said) -> None:
    pytest.importorskip("mindspore")
    get_host.cache_clear()
    install("faulty", FAULTY.replace("METHOD", method))
    # Asked before the toy engine, for its name comes first.
    assert list(get_host().engines) == ["native", "faulty", "bag", "mindnlp"]
    with pytest.raises(UserError, match=said):
        promptkit.run("hard", **{**bag, "templates": (HARD,)})


def test_an_engine_that_claims_nothing_is_loaded_only_by_name(bag, install) -> None:
    pytest.importorskip("mindspore")
    install("faulty", FAULTY.replace("METHOD", "claims(self, directory): return False"))
    for name, engine in ((None, "bag"), ("faulty", "faulty")):
        run = promptkit.run("hard", **{**bag, "templates": (HARD,), "engine": name, "save": False, "out": None})
        assert run.record.backbone.engine == engine


class Taker(promptkit_bag.BagEngine):
    """An engine with an attribute to spoil."""

    def __init__(self, **spoilt: Any) -> None:
        vars(self).update(spoilt)


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        (object(), "is no engine: it lacks claims, describe, load"),
        (None, "is no engine: it lacks claims, describe, load"),
        (promptkit_bag.BagEngine, "BagEngine is a class; register an engine, that is BagEngine()"),
        (Taker(load="bag.npz"), "is no engine: it lacks load"),
        (Taker(name="two words"), "'two words' is no name for an engine"),
        (Taker(name=3), "3 is no name for an engine"),
        (Taker(summary=""), "engine 'bag' has no summary"),
        (Taker(name="native"), "the engine name 'native' is taken by plugin 'native'"),
    ],
)
def test_an_object_that_is_no_engine_is_refused_at_registration(offered: Any, said: str) -> None:
    def plugin(engine: Any) -> Any:
        return SimpleNamespace(promptkit_register_engines=hookimpl(_registering(engine)))

    host = PluginHost.from_plugins({"native": plugin(Taker(name="native")), "odd": plugin(offered)})
    assert list(host.engines) == ["native"]
    (refusal,) = host.refusals
    assert said in str(refusal)
    assert str(refusal).startswith("plugin 'odd' of odd 0 is refused: ")


def _registering(engine: Any) -> Callable[[Any], None]:
    def promptkit_register_engines(register: Any) -> None:
        register(engine)

    return promptkit_register_engines
