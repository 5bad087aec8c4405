"""Which runs an experiment asks for, under which keys, in which places."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models import GOLDENS

from promptkit import UserError
from promptkit.comparison import Experiment, compare, make_experiment
from promptkit.comparison.baselines import plan_baselines
from promptkit.comparison.cells import Grid, make_grid
from promptkit.data import draw_shots, load_task
from promptkit.running.config import make_config
from promptkit.running.loader import Loader
from promptkit.running.plan import make_plan

Make = Callable[..., Experiment]


def test_a_metric_for_other_classes_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    rows = "".join(f"{label}\ttext {label} {i}\n" for label in "abc" for i in range(10))
    (tmp_path / "three.tsv").write_text("label\ttext\n" + rows, encoding="utf-8")
    settings = {"metrics": ["f1:d"]}
    experiment = make_experiment(data=str(tmp_path / "three.tsv"), strategies=[], settings=settings)
    with pytest.raises(UserError, match="metric 'f1:d': unknown label 'd'"):
        list(plan_baselines(experiment, Loader()))


def grid(experiment: Experiment) -> Grid:
    return make_grid(experiment, Loader())


def test_every_strategy_meets_every_draw_once(tiny: Make) -> None:
    found = grid(tiny(strategies=["pet", "soft"], shots=[2, 4, "full"], seeds=2))
    places = [(p.strategy, p.shots, p.seed) for p in found.places if p.role == "strategy"]
    assert places == [(s, k, seed) for s in ("pet", "soft") for k in (2, 4, "full") for seed in (0, 1)]
    assert len({cell.key for cell in found.cells}) == 12 + 1
    assert len({cell.name for cell in found.cells}) == 12 + 1


def test_the_draws_of_a_seed_are_the_same_for_every_strategy(tiny: Make) -> None:
    inputs, experiment = Loader(), tiny(strategies=["pet", "soft"])
    tasks = [make_plan(experiment.run_config(s, None, 4, 1), inputs).task for s in experiment.strategies]
    assert tasks[0].fingerprint == tasks[1].fingerprint
    other = make_plan(experiment.run_config("pet", None, 4, 0), inputs).task
    assert other.fingerprint != tasks[0].fingerprint


def test_a_limit_holds_for_every_run_and_baseline_and_the_table_says_so(tiny: Make) -> None:
    limited = tiny(strategies=["soft"], settings={"limit": 10})
    found, whole = grid(limited), grid(tiny(strategies=["soft"]))
    tasks = [make_plan(cell.config).task for cell in found.cells]
    tasks += [baseline.task for baseline in plan_baselines(limited, Loader())]
    assert {len(task.test) for task in tasks} == {10}
    assert len({task.test for task in tasks}) == 1
    assert not {cell.key for cell in found.cells} & {cell.key for cell in whole.cells}
    assert "test is limited to 10 of its 24 examples" in tasks[-1].cautions


@pytest.mark.parametrize(("shots", "cut"), [([4], False), ([4, "full"], True)])
def test_that_dev_is_limited_is_said_only_where_a_draw_reaches_the_limit(
    tiny: Make, tmp_path: Path, shots: list[Any], cut: bool
) -> None:
    experiment = tiny(strategies=["soft"], shots=shots, settings={"limit": 10})
    notes = compare(experiment, store=tmp_path / "store", dry=True).notes
    assert ("dev is limited to 10 of its 16 examples" in notes) is cut
    assert "test is limited to 10 of its 24 examples" in notes


def test_what_learns_nothing_is_run_once_and_is_the_zero_shot_baseline(tiny: Make) -> None:
    found = grid(tiny(strategies=["hard"], shots=[2, "full"], seeds=2, settings={"epochs": 3}))
    assert [(p.strategy, p.role, p.shots, p.seed) for p in found.places] == [("hard", "baseline", None, 0)]
    assert len(found.cells) == 1


def test_a_hard_prompt_with_other_options_stands_beside_the_baseline(tiny: Make) -> None:
    found = grid(tiny(strategies=["hard"], strategy={"hard": {"options": {"calibrate": "content-free"}}}))
    assert [(p.role, p.shots) for p in found.places] == [("baseline", None), ("strategy", None)]
    assert len(found.cells) == 2


def test_a_random_head_depends_on_the_seed_and_is_run_with_each(tiny: Make) -> None:
    found = grid(tiny(strategies=["hard"], strategy={"hard": {"readout": "head"}}, seeds=3))
    assert [p.seed for p in found.places if p.role == "strategy"] == [0, 1, 2]


def test_equal_settings_share_a_run_and_different_ones_do_not(tiny: Make) -> None:
    variants = [
        {"name": "default", "options": {"tokens": 20}},
        {"name": "same", "options": {"tokens": 20, "init": "vocab"}},
        {"name": "five", "options": {"tokens": 5}},
    ]
    found = grid(tiny(strategies=["soft"], variants=variants, seeds=1))
    keys = [p.key for p in found.places if p.role == "strategy"]
    assert keys[0] == keys[1] != keys[2]
    assert len(found.cells) == 3


def test_the_key_follows_the_data_and_not_its_place(tiny: Make, tiny_reviews: Path, tmp_path: Path) -> None:
    def keys(folder: Path) -> set[str]:
        return {cell.key for cell in grid(tiny(strategies=["soft"], data=str(folder))).cells}

    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny_reviews, copy)
    before = keys(tiny_reviews)
    # The name of the data is in the record, so the folder's name counts; its path and the files' times do not.
    assert keys(copy) == before
    train = copy / "test.tsv"
    train.write_text(train.read_text(encoding="utf-8") + "positive\ta good film\n", encoding="utf-8")
    assert not keys(copy) & before


def test_the_key_of_a_draw_follows_what_it_was_drawn_from(tiny: Make, tiny_reviews: Path, tmp_path: Path) -> None:
    """Rows are planned for texts of that kind, and so batches may hold other examples."""
    shutil.copytree(tiny_reviews, tmp_path / "data")

    def keys() -> set[str]:
        return {cell.key for cell in grid(tiny(strategies=["soft"], shots=[2], seeds=1, data=data)).cells}

    data, train = str(tmp_path / "data"), tmp_path / "data" / "train.tsv"
    before, rows = keys(), train.read_text(encoding="utf-8").splitlines()
    drawn = draw_shots(load_task(data), 2, 0).train
    number = next(n for n, row in enumerate(rows[1:], 1) if row.split("\t")[1] not in {each.text for each in drawn})
    rows[number] += " film" * 9
    train.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert draw_shots(load_task(data), 2, 0).train == drawn
    assert not keys() & before


def test_the_baselines_stand_first_and_only_once_where_the_draw_does_not_matter(tiny: Make) -> None:
    places = [b.place for b in plan_baselines(tiny(shots=[2, "full"], seeds=2), Loader())]
    assert [(p.strategy, p.shots, p.seed) for p in places] == [
        ("majority", None, 0), ("tfidf", 2, 0), ("tfidf", 2, 1), ("tfidf", "full", 0),
    ]  # fmt: skip


def test_the_tfidf_baseline_learns_from_the_draw(tiny: Make) -> None:
    for baseline in plan_baselines(tiny(strategies=[], shots=[4]), Loader()):
        record, truth, predicted = baseline.measure()
        assert record.test.n == len(truth) == len(predicted) == 24
        assert record.task.train == (8 if baseline.place.strategy == "tfidf" else 48)
        assert record.test.accuracy == pytest.approx(sum(t == p for t, p in zip(truth, predicted, strict=True)) / 24)


def test_without_label_words_there_is_no_zero_shot_baseline_and_a_note_says_so(tiny: Make) -> None:
    settings = {"verbalizer": "positive=not bad; negative=bad", "readout": "head"}
    found = grid(tiny(strategies=["soft"], baselines=None, settings=settings))
    assert [p.role for p in found.places if p.strategy != "probe"] == ["strategy", "strategy"]
    assert "no zero-shot baseline" in found.notes[0]
    with pytest.raises(UserError, match=r"^baseline hard: label words take different numbers"):
        grid(tiny(strategies=["soft"], baselines=["hard"], settings=settings))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategies": ["hard", "sofd"]}, "unknown strategy 'sofd'. Did you mean 'soft'?"),
        ({"strategies": ["soft"], "strategy": {"soft": {"options": {"token": 3}}}}, "no option 'token'"),
        ({"strategies": ["soft"], "shots": [4000]}, "4000 shots are more than"),
        ({"strategies": ["soft"], "settings": {"templates": ["{text} {mask"]}}, "soft: template, column"),
        (
            {"strategies": ["soft"], "settings": {"templates": ["{text_b} {mask}"]}},
            "soft: the template uses {text_b}",
        ),
        ({"strategies": ["soft"], "settings": {"metrics": ["acuracy"]}}, "unknown metric 'acuracy'"),
    ],
)
def test_what_is_wrong_with_any_cell_is_said_before_one_is_run(
    tiny: Make, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        grid(tiny(**changes))
    assert message in str(caught.value)
    assert not str(caught.value).startswith("sofd: ")


def test_the_linear_probe_is_a_baseline_at_every_draw_and_once_on_all_examples(tiny: Make) -> None:
    found = grid(tiny(strategies=["hard"], baselines=["hard", "probe"], shots=[2, "full"], seeds=2))
    probes = [(place.role, place.shots, place.seed) for place in found.places if place.strategy == "probe"]
    assert probes == [("baseline", 2, 0), ("baseline", 2, 1), ("baseline", "full", 0)]


def test_baselines_can_be_named_and_left_out(tiny: Make) -> None:
    found = grid(tiny(strategies=["hard"], baselines=["pet"], seeds=1))
    assert [(place.role, place.strategy) for place in found.places] == [("baseline", "pet"), ("strategy", "hard")]
    assert {place.role for place in grid(tiny(strategies=["hard"], baselines=[])).places} == {"strategy"}
    with pytest.raises(UserError, match=r"^unknown baseline 'prob'\. Did you mean 'probe'\? Known: .*none"):
        grid(tiny(strategies=["hard"], baselines=["prob"]))


@pytest.mark.parametrize("baseline", ["finetune", "ptuning-v2", "hard", "probe"])
@pytest.mark.parametrize("settings", [{}, {"readout": "head", "verbalizer": None, "templates": ["a {text}"]}])
def test_a_baseline_is_asked_as_its_strategy_is_by_default(
    tiny: Make, baseline: str, settings: dict[str, object]
) -> None:
    found = grid(tiny(strategies=["soft"], baselines=[baseline], shots=["full"], seeds=1, settings=settings))
    (config,) = [cell.config for cell in found.cells if cell.config.strategy == baseline]
    words = {} if "verbalizer" in settings else {"verbalizer": config.verbalizer}
    plain = make_config(
        strategy=baseline, data=config.data, model=config.model, max_length=40, batch_size=16, **words
    )
    assert {place.key for place in found.places if place.role == "baseline"} == {make_plan(plain).key}


def test_of_the_usual_strategies_those_for_other_models_are_left_out(tiny: Make) -> None:
    model = str(GOLDENS / "llama-odd")
    experiment = tiny(seeds=1, model=model, settings={"max_length": 60})
    grid = make_grid(experiment, Loader())
    # The hard prompt is the zero-shot baseline, and stands there once.
    assert [each.strategy for each in grid.places if each.role == "strategy"] == ["soft", "ptuning"]
    assert "no pet, which is not for models of this kind" in grid.notes
    with pytest.raises(UserError, match="strategy 'pet' is for masked language models"):
        make_grid(tiny(strategies=["pet"], model=model, settings={"max_length": 60}), Loader())


def test_what_does_not_train_but_draws_is_run_with_every_seed(tiny: Make) -> None:
    """Without an epoch nobody sees the examples; where the vectors start is drawn all the same."""
    own = {"epochs": 0, "options": {"init": "random"}}
    found = grid(tiny(strategies=["soft"], strategy={"soft": own}, shots=[2, "full"], seeds=3))
    places = [p for p in found.places if p.role == "strategy"]
    assert [(p.shots, p.seed) for p in places] == [(None, 0), (None, 1), (None, 2)]
    assert len({p.key for p in places}) == 3


@pytest.mark.parametrize(("readout", "seeds"), [("cloze", [0]), ("head", [0, 1])])
def test_pet_without_anything_to_tune_is_run_once_or_by_seed_where_its_head_is_random(
    tiny: Make, readout: str, seeds: list[int]
) -> None:
    own = {"options": {"tune": "none"}, "readout": readout}
    found = grid(tiny(strategies=["pet"], strategy={"pet": own}, shots=[2, 4], seeds=2))
    assert [(p.shots, p.seed) for p in found.places if p.strategy == "pet"] == [(None, seed) for seed in seeds]


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a strategy that learns, but trains only if it is told to."""
    from promptkit import Defaults, Strategy
    from promptkit.hooks import get_host
    from promptkit.hooks.entries import Origin, StrategyEntry

    def install(**attributes: object) -> None:
        usual = {"name": "learner", "summary": "Learns if it may.", "defaults": Defaults(epochs=0), "build": build}
        entry = StrategyEntry(
            "learner", Origin("it", "it", "0"), type("Learner", (Strategy,), {**usual, **attributes})
        )
        monkeypatch.setitem(get_host()._registered.strategies, "learner", entry)

    def build(self: object, backbone: object, task: object) -> object:
        from promptkit.nn import ClozePrompt

        return ClozePrompt(backbone, task, head_learns=True)  # type: ignore[arg-type]

    return install


def test_epochs_count_in_the_key_whatever_their_default(tiny: Make, learner: Callable[..., None]) -> None:
    """By default it does not train; one epoch and fifty are two runs all the same."""
    learner()
    variants = [{"name": f"epochs={n}", "epochs": n} for n in (0, 1, 50)]
    places = grid(tiny(strategies=["learner"], variants=variants, shots=[2, 4], seeds=2)).places
    rows = {name: [p for p in places if p.variant == name] for name in ("epochs=0", "epochs=1", "epochs=50")}
    assert [(p.shots, p.seed) for p in rows["epochs=0"]] == [(None, 0), (None, 1)]
    for name in ("epochs=1", "epochs=50"):
        assert [(p.shots, p.seed) for p in rows[name]] == [(2, 0), (2, 1), (4, 0), (4, 1)]
    assert len({p.key for p in places}) == len(places)


@pytest.mark.parametrize("change", [{"epochs": 3}, {"lr": 0.5}, {"weight_decay": 0.5}, {"patience": 1}])
def test_a_training_does_not_go_on_from_that_of_other_settings(
    tiny: Make, tiny_reviews: Path, learner: Callable[..., None], tmp_path: Path, change: dict[str, object]
) -> None:
    from promptkit.runs.checkpoint import Checkpoints

    learner()
    config = tiny(strategies=["learner"], settings={"epochs": 2}).run_config("learner", None, 2, 0)
    first, other = (make_plan(config.model_copy(update=each)) for each in ({}, change))
    Checkpoints(tmp_path, first.key).member(0).save({"weight": 0.0}, {})
    assert Checkpoints(tmp_path, first.key).member(0).load() is not None
    with pytest.raises(UserError, match="holds the state of another run"):
        Checkpoints(tmp_path, other.key)


def test_demonstrations_depend_on_the_draw_even_without_training(tiny: Make, learner: Callable[..., None]) -> None:
    learner(context=lambda self, examples, rng: examples[:1], depends_on=frozenset({"examples", "seed"}))
    places = grid(tiny(strategies=["learner"], shots=[2, 4], seeds=2)).places
    found = [(p.shots, p.seed) for p in places if p.role == "strategy"]
    assert found == [(2, 0), (2, 1), (4, 0), (4, 1)]


def test_a_strategy_says_how_it_is_read_and_the_user_may_say_otherwise(
    tiny: Make, learner: Callable[..., None]
) -> None:
    from promptkit import Defaults

    learner(defaults=Defaults(readout="head"))
    plans = {
        asked: make_plan(tiny(strategies=["learner"], settings=own).run_config("learner", None, 2, 0))
        for asked, own in ((None, {}), ("head", {"readout": "head"}), ("cloze", {"readout": "cloze"}))
    }
    assert [plan.settings.readout for plan in plans.values()] == ["head", "head", "cloze"]
    assert [plan.verbalizer is None for plan in plans.values()] == [True, True, False]
    assert plans[None].key == plans["head"].key != plans["cloze"].key
    assert "seed" in plans[None].depends_on
