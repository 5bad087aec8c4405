"""Strategies that break the contract: each is caught, in one line that names the plugin, and nothing is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import promptkit
from promptkit import Defaults, Strategy, StrategyOptions, UserError
from promptkit.hooks import get_host
from promptkit.hooks.entries import Origin, StrategyEntry

TITLE = r"strategy 'broken' \(plugin 'broke' of broke 0\)"
Build = Callable[[Any, Any], Any]


def biased(scores: Callable[[Any, Any], Any] | None = None, *, fixed: bool = True, learns: bool = True) -> Build:
    """Return a `build` of a cloze prompt with a bias a class, whose scores may be others."""

    def build(backbone: Any, task: Any) -> Any:
        import numpy as np
        from mindspore import Parameter, Tensor

        from promptkit.nn import ClozePrompt

        class Biased(ClozePrompt):
            fixed_features = fixed

            def __init__(self) -> None:
                super().__init__(backbone, task)
                self.bias = Parameter(Tensor(np.zeros(2, np.float32)), name="bias", requires_grad=learns)

            def scores(self, features: Any) -> Any:
                return super().scores(features) + self.bias if scores is None else scores(self, features)

        return Biased()

    return build


def broken(build: Build | None = None, fold: Callable[[Any], Any] | None = None, **attributes: Any) -> type[Strategy]:
    """Return a strategy that would train for long."""
    make = build or biased()
    usual = {"name": "broken", "summary": "Breaks the contract.", "defaults": Defaults(epochs=200, min_steps=2000)}
    methods: dict[str, Any] = {"build": lambda self, backbone, task: make(backbone, task)}
    if fold is not None:
        methods["fold"] = lambda self, model: fold(model)
    return type("Broken", (Strategy,), {**usual, **methods, **attributes})


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Strategy]], None]:
    """Have a strategy class as if a plugin had brought it."""

    def installed(cls: type[Strategy]) -> None:
        entry = StrategyEntry("broken", Origin("broke", "broke", "0"), cls)
        monkeypatch.setitem(get_host()._registered.strategies, "broken", entry)

    return installed


@pytest.fixture
def run(tiny_run: Any, install: Any, tmp_path: Path) -> Any:
    """Run a strategy class, and see that nothing is kept."""
    pytest.importorskip("mindspore")

    def run(cls: type[Strategy], **settings: Any) -> Any:
        install(cls)
        own = {"templates": ("{text} it was {mask} .",), "mode": "pynative", "out": tmp_path / "out"}
        return tiny_run("broken", **{**own, **settings})

    yield run
    assert not list(tmp_path.iterdir())


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every training step that is taken."""
    pytest.importorskip("mindspore")
    from promptkit.training import Executor

    taken: list[int] = []
    step = Executor.loss_and_gradients

    def counted(self: Executor, *arguments: Any, **more: Any) -> Any:
        taken.append(1)
        return step(self, *arguments, **more)

    monkeypatch.setattr(Executor, "loss_and_gradients", counted)
    return taken


def test_fixed_features_come_from_rows_of_one_length_whatever_the_split(tiny_run: Any, install: Any) -> None:
    rows = set()

    def build(backbone: Any, task: Any) -> Any:
        model = biased()(backbone, task)
        features = model.features

        def seen(inputs: Any) -> Any:
            rows.add((inputs["token_ids"].shape, inputs["read"].shape))
            return features(inputs)

        model.features = seen
        return model

    install(broken(build, defaults=Defaults(epochs=1)))
    tiny_run("broken", mode="pynative", templates=("{text} it was {mask} .",))
    assert len(rows) == 1


def test_features_are_one_tensor(run: Any, steps: list[int]) -> None:
    def build(backbone: Any, task: Any) -> Any:
        model = biased()(backbone, task)
        model.features = lambda inputs: (model.bias, model.bias)
        return model

    with pytest.raises(UserError, match="gives a tuple, not a tensor"):
        run(broken(build))
    assert not steps


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (
            lambda model, hidden: model.head(hidden)[:, :1],
            r"scores of shape \(\d+, 1\), not \(N, 2\)",
        ),
        (lambda model, hidden: model.bias * 1.0, r"gives scores of shape \(2,\) for \d+ places"),
        (
            lambda model, hidden: model.head(hidden).sum(-1),
            r"scores of shape \(\d+,\), not \(N, 2\)",
        ),
        (lambda model, hidden: model.head(hidden) + (model.bias - 1.0).log(), "no finite numbers, for 16 of 16"),
        (lambda model, hidden: None, "gives nothing, not a tensor"),
        (lambda model, hidden: (model.head(hidden), model.bias), "gives a tuple, not a tensor"),
    ],
)
def test_bad_scores_are_found_before_a_step_is_taken(
    run: Any, steps: list[int], fixed: bool, scores: Any, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        run(broken(biased(scores, fixed=fixed)))
    assert not steps


def test_bad_scores_of_what_does_not_learn_are_found_too(run: Any) -> None:
    build = biased(lambda model, hidden: model.head(hidden) / 0.0, learns=False)
    with pytest.raises(UserError, match=f"{TITLE} gives scores that are no finite numbers, for 16 of 16 examples"):
        run(broken(build, defaults=Defaults()))


def unfreezing(backbone: Any, task: Any) -> Any:
    backbone.encoder.word.requires_grad = True
    return biased()(backbone, task)


def drawing(backbone: Any, task: Any) -> Any:
    task.rng.normal()
    return biased()(backbone, task)


@pytest.mark.parametrize(
    ("build", "depends_on", "said"),
    [
        (lambda backbone, task: None, {"training"}, "build returned nothing, not a promptkit.nn.PromptedModel"),
        (lambda backbone, task: backbone, {"training"}, "build returned an EncoderBackbone, not"),
        (unfreezing, {"training"}, "build lets the frozen backbone learn"),
        (biased(), set(), "has parameters that learn, but declares that its numbers depend on nothing"),
        (drawing, {"training"}, "draws random numbers, but declares that its numbers depend on training; its"),
    ],
)
def test_a_bad_build_is_found_before_a_step_is_taken(
    run: Any, steps: list[int], build: Build, depends_on: set[str], said: str
) -> None:
    with pytest.raises(UserError, match=f"{TITLE}:? .*{said}"):
        run(broken(build, depends_on=frozenset(depends_on)))
    assert not steps


def tuning(backbone: Any, task: Any) -> Any:
    model = biased()(backbone.trainable("all"), task)
    model.fixed_features = True
    return model


def fitting(backbone: Any, task: Any) -> Any:
    model = biased(fixed=False)(backbone, task)
    model.fits = True
    return model


def noisy(backbone: Any, task: Any) -> Any:
    model = biased()(backbone, task)
    type(model).noise = lambda self, inputs, rng: ()
    return model


def doubled(backbone: Any, task: Any) -> Any:
    import numpy as np
    from mindspore import Parameter, Tensor

    model = biased()(backbone, task)
    model.bias = Parameter(Tensor(np.zeros(2)), name="bias")
    return model


def dropping(backbone: Any, task: Any) -> Any:
    from mindspore import nn

    model = biased()(backbone, task)
    model.drop = nn.Dropout(p=0.1)
    return model


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (tuning, "its features are computed once, but a language model learns before them"),
        (fitting, "a model that finds its values by fit has fixed_features as well"),
        (noisy, "its features are computed once, so that noise is never drawn"),
        (dropping, "an nn.Dropout drops nothing here"),
        (doubled, r"'bias' is float64; what learns is float32, so make it from an array \.astype\(np\.float32\)"),
        (biased(learns=False), "nothing in its model learns"),
    ],
)
def test_what_would_silently_not_happen_is_refused(run: Any, steps: list[int], build: Build, said: str) -> None:
    with pytest.raises(UserError, match=f"{TITLE}: {said}"):
        run(broken(build))
    assert not steps


@pytest.mark.parametrize(
    ("defaults", "epochs"),
    [(Defaults(epochs=9), 0), (Defaults(), 2), (Defaults(causal=(("epochs", 9),)), 2)],
)
def test_a_model_of_which_nothing_learns_is_scored_where_it_is_not_trained(
    tiny_run: Any, install: Any, steps: list[int], defaults: Defaults, epochs: int
) -> None:
    install(broken(biased(learns=False), defaults=defaults))
    tiny_run("broken", templates=("{text} it was {mask} .",), mode="pynative", save=False, epochs=epochs)
    assert not steps


def test_a_cloze_prompt_over_a_copy_that_learns_has_no_fixed_features(tiny_run: Any, install: Any) -> None:
    install(broken(lambda backbone, task: biased()(backbone.trainable("all"), task)))
    result = tiny_run(
        "broken", templates=("{text} it was {mask} .",), mode="pynative", save=False, epochs=1, weight_decay=0.0
    )
    assert result.record.parameters.backbone > 0


def overwriting(model: Any) -> Any:
    model.backbone.encoder.word.set_data(model.backbone.encoder.word + 1e-3)
    return model


@pytest.mark.parametrize(
    ("fold", "said"),
    [
        (lambda model: None, "fold returned nothing, not a promptkit.nn.PromptedModel"),
        (lambda model: model.backbone, "fold returned an EncoderBackbone, not"),
        (overwriting, "the frozen backbone's weights were changed"),
    ],
)
def test_a_bad_fold_costs_the_run_and_says_so(run: Any, fold: Any, said: str) -> None:
    with pytest.raises(UserError, match=f"{TITLE}: {said}"):
        run(broken(fold=fold), epochs=0)


def test_weights_of_the_backbone_that_a_training_moves_are_noticed(run: Any) -> None:
    """An optimiser of the plugin's own, or a hook in a cell: whoever it was, the run is not kept."""

    def scores(model: Any, hidden: Any) -> Any:
        model.backbone.encoder.word.set_data(model.backbone.encoder.word * 1.01)
        return model.head(hidden) + model.bias

    with pytest.raises(UserError, match="the frozen backbone's weights were changed"):
        run(broken(biased(scores)), epochs=1)


def test_a_fold_that_draws_is_noticed(run: Any) -> None:
    kept: list[Any] = []

    def build(backbone: Any, task: Any) -> Any:
        kept.append(task.rng)
        return biased()(backbone, task)

    def fold(model: Any) -> Any:
        kept[0].normal()
        return model

    with pytest.raises(UserError, match="draws random numbers, but declares"):
        run(broken(build, fold, depends_on=frozenset({"training"})), epochs=0)


@pytest.mark.parametrize("method", ["build", "fold"])
def test_they_are_found_at_prediction_too(run: Any, install: Any, tmp_path_factory: Any, method: str) -> None:
    out = tmp_path_factory.mktemp("good") / "out"
    run(broken(), epochs=0, out=out)
    install(broken(**{method: lambda *given: None}))
    with pytest.raises(UserError, match=f"{TITLE}: {method} returned nothing"):
        promptkit.load(out)


def test_scores_that_become_no_numbers_after_loading_are_an_error(
    run: Any, install: Any, tmp_path_factory: Any
) -> None:
    from promptkit.cli import main

    out = tmp_path_factory.mktemp("good") / "out"
    run(broken(), epochs=0, out=out)
    install(broken(biased(lambda model, hidden: model.head(hidden) / 0.0)))
    with pytest.raises(UserError, match="strategy 'broken' gives scores that are no finite numbers, for 1 of 1"):
        promptkit.load(out).predict(["the film"])
    assert main(["predict", str(out), "the film"]) == 2


def test_a_template_that_is_none_is_refused_in_one_line(run: Any) -> None:
    with pytest.raises(UserError, match=f"{TITLE}: prepare returned nothing, not a promptkit.Template"):
        run(broken(prepare=lambda self, template: None))


class Optional(StrategyOptions):
    """One option that spoils what depends on it."""

    spoil: bool = False


def test_what_depends_on_options_is_checked_with_the_options(run: Any) -> None:
    depends_on = property(lambda self: {"moon"} if self.options.spoil else frozenset())
    with pytest.raises(UserError, match=f"{TITLE}: Broken.depends_on is {{'moon'}}, not a set"):
        run(broken(Options=Optional, depends_on=depends_on), options={"spoil": True})


@pytest.mark.parametrize("strategy", ["hard", "ptuning"])
def test_compiling_is_no_part_of_predicting(tiny_run: Any, strategy: str) -> None:
    """What learns has compiled before it is timed, and so has what does not, and what is folded."""
    seconds = tiny_run(strategy, epochs=1, mode="graph").record.cost.seconds
    assert 0 < seconds.predict < seconds.compile / 2
