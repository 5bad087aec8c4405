"""Training in rounds, through whole runs: PET's ensemble, its classifier, iPET, and a strategy of a third party."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from guide import from_guide
from models import GOLDENS
from promptkit_pet import Options, Pet

pytest.importorskip("mindspore")

import promptkit
from promptkit import Defaults, Example, Lesson, Strategy, Student, Template, UserError
from promptkit.hooks import get_host
from promptkit.running.config import make_config
from promptkit.running.events import RunEvents
from promptkit.running.plan import make_plan
from promptkit.running.rounds import _epochs

PATTERNS = ("{text} it was {mask} .", "{mask} ! {text}", "{text} {mask}")
GOOD = {"good", "great"}
FILLERS = ["the film is", "a movie", "the plot was", "it was", "this story is", "one actor"]
Run = Callable[..., Any]


def texts(first: int, count: int) -> list[str]:
    """Return texts of which no two are the same; every other one is good."""
    words = ("good", "bad", "great", "terrible")
    return [f"{FILLERS[n % 6]} {words[n % 4]} {'film ' * (n // 12)}".strip() for n in range(first, first + count)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 train, 12 dev, 12 test, 36 without labels; all texts differ."""
    folder = tmp_path_factory.mktemp("rounds")
    for split, first, count in (("train", 0, 24), ("dev", 24, 12), ("test", 36, 12)):
        rows = [f"{'positive' if n % 2 == 0 else 'negative'}\t{t}" for n, t in enumerate(texts(first, count))]
        (folder / f"{split}.tsv").write_text("\n".join(["label\ttext", *rows]) + "\n", encoding="utf-8")
    (folder / "unlabelled.tsv").write_text("\n".join(["text", *texts(48, 36)]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def run(tiny_run: Run, data: Path) -> Run:
    """Run on these texts, eagerly: compiling takes longer than all else here."""

    def run(strategy: str = "pet", **settings: Any) -> Any:
        usual = {"data": str(data), "mode": "pynative", "templates": PATTERNS[:2], "max_length": 24}
        return tiny_run(strategy, **{**usual, **settings})

    return run


class Told(Strategy):
    """Frozen patterns, and a student that is told by a rule what the texts without labels are."""

    name = "told"
    summary = "for a test"
    rounds = 2
    unlabelled = 100
    seen: ClassVar[list[Any]] = []

    def build(self, backbone: Any, task: Any) -> Any:
        from promptkit.nn import ClozePrompt

        return ClozePrompt(backbone, task)

    def student(self, templates: Any) -> Any:
        pet = get_host().strategy("pet").cls
        return Student(pet(pet.Options()), Template.parse("{text}"), "head", Defaults(epochs=40, lr=0.2))

    def teach(self, ended: Any) -> Any:
        self.seen.append(ended)
        good = np.array([bool(GOOD & set(text.text.split())) for text in ended.texts], float)
        return [Lesson(ended.texts, 0.1 + 0.8 * np.stack([1.0 - good, good], -1))]


def test_a_classifier_learns_from_texts_without_labels_alone_and_is_kept_alone(
    run: Run, data: Path, tmp_path: Path, install: Any
) -> None:
    install(Told)
    Told.seen.clear()
    result = run("told", model=str(GOLDENS / "bert-odd"), out=tmp_path / "run")
    (ended,) = Told.seen
    assert [each.text for each in ended.texts] == texts(48, 36)
    assert ended.scores.shape == (2, 36, 2)
    assert np.allclose(np.exp(ended.scores).sum(-1), 1.0)
    record = result.record
    # Nothing learns but the student, whose lesson holds none of the labelled examples.
    assert record.test.accuracy >= 0.9
    assert record.parameters.total == record.parameters.head == 2 * 24 + 2
    assert record.task.unlabelled == 36
    assert {each.round for each in record.history} == {1}
    loaded = promptkit.load(tmp_path / "run")
    assert np.abs(loaded.probabilities(texts(36, 12)) - result.probabilities).max() < 1e-6
    card = loaded.card
    assert (card["strategy"], card["templates"], card["readout"]) == ("pet", ["{text}"], "head")
    assert len(loaded.members) == 1
    assert record.cost.artifact_bytes < 3000


def test_pet_goes_through_generations_and_a_checkpoint_to_the_same_numbers(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two patterns, one generation, a classifier: five models, all counted. A killed run goes on where it stood."""
    options = {
        "generations": 1, "growth": 2, "distil": "head", "student_epochs": 3, "student_lr": 0.1, "unlabelled": 16,
        "weights": "accuracy",
    }  # fmt: skip
    settings = {"options": options, "shots": 4, "epochs": 1, "lr": 0.01, "checkpoint": tmp_path / "state"}
    passes: list[tuple[int, int]] = []
    told = RunEvents.epoch_ended

    def hear(self: RunEvents, number: int, place: int, values: Any) -> None:
        passes.append((number, place))
        told(self, number, place, values)

    monkeypatch.setattr(RunEvents, "epoch_ended", hear)
    first = run(**settings)
    assert passes == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 0), (2, 0)]
    passes.clear()
    states = sorted((tmp_path / "state").iterdir())
    assert len(states) == 5
    for late in states[3:]:
        late.unlink()
    again = run(**settings)
    assert passes == [(1, 1), (2, 0), (2, 0), (2, 0)], "what was finished is not trained again"
    assert np.array_equal(first.probabilities, again.probabilities)
    assert [e.loss for e in first.record.history] == [e.loss for e in again.record.history]
    record = first.record
    head = 24 * 24 + 24 + 2 * 24 + 2
    assert record.parameters.head == 4 * head + 2 * 24 + 2
    looked = {(each.round, each.template) for each in record.history}
    assert looked == {(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)}
    assert record.best_epoch in {each.epoch for each in record.history if each.round == 2}
    assert record.task.unlabelled == 16
    assert record.cost.seconds.train > 0


def test_nothing_of_test_is_seen(run: Run, data: Path, tmp_path: Path) -> None:
    """With other texts and labels in test, what is learnt is the same but for rounding: rows are planned for it."""
    other = tmp_path / "other"
    other.mkdir()
    for path in data.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    rows = "".join(f"{'negative' if n % 2 else 'positive'}\tnot this {'plot ' * n}\n" for n in range(20))
    (other / "test.tsv").write_text("label\ttext\n" + rows, encoding="utf-8")
    options = {"distil": "head", "student_epochs": 4, "student_lr": 0.1, "unlabelled": 12}
    settings = {"options": options, "epochs": 1, "templates": PATTERNS[:1]}
    ends = []
    for number, folder in enumerate((data, other)):
        run(data=str(folder), out=tmp_path / f"run{number}", **settings)
        ends.append(promptkit.load(tmp_path / f"run{number}").probabilities(texts(0, 12)))
    assert np.abs(ends[0] - ends[1]).max() < 1e-5


def test_patterns_are_weighed_by_their_accuracy_before_training(run: Run, data: Path, tmp_path: Path) -> None:
    logs, before = [], []
    for template in PATTERNS[:2]:
        settings = {"templates": (template,), "options": {"tune": "none"}}
        logs.append(np.log(run(**settings).probabilities))
        (tmp_path / "train").mkdir(exist_ok=True)
        for name in ("train", "dev"):
            (tmp_path / "train" / f"{name}.tsv").write_bytes((data / "train.tsv").read_bytes())
        (tmp_path / "train" / "test.tsv").write_bytes((data / "train.tsv").read_bytes())
        before.append(run(data=str(tmp_path / "train"), **settings).record.test.accuracy)
    result = run(options={"tune": "none", "weights": "accuracy"}, out=tmp_path / "run")
    mean = np.exp(np.average(logs, axis=0, weights=before))
    assert np.allclose(result.probabilities, mean / mean.sum(-1, keepdims=True), atol=1e-6)
    loaded = promptkit.load(tmp_path / "run")
    assert loaded.card["weights"] == pytest.approx(before)
    assert np.abs(loaded.probabilities(texts(36, 12)) - result.probabilities).max() < 1e-6


def plan_of(data: Path, **settings: Any) -> Any:
    usual = {"strategy": "pet", "data": str(data), "model": str(GOLDENS / "bert-short")}
    usual["verbalizer"] = "positive=great; negative=terrible"
    return make_plan(make_config(**{**usual, **settings}))


def test_the_key_holds_the_texts_and_a_plan_says_how_many(data: Path) -> None:
    distil = {"options": {"distil": "head", "unlabelled": 10}, "shots": 4}
    plan = plan_of(data, **distil)
    assert "12 test, 10 without labels, 4 shots" in plan.describe()
    assert plan.key == plan_of(data, **distil).key
    assert plan.key != plan_of(data, **{**distil, "options": {"distil": "head", "unlabelled": 11}}).key
    plan.unlabelled = plan.unlabelled[::-1]
    assert plan.key != plan_of(data, **distil).key
    assert plan_of(data, shots=4).unlabelled == ()
    # 24 training texts of which 8 are drawn, and the 36 of the data.
    assert len(plan_of(data, options={"distil": "head"}, shots=4).unlabelled) == 16 + 36


def test_the_classifier_reads_the_fields_of_all_patterns() -> None:
    patterns = [Template.parse(source) for source in ("{text} {mask}", "{text} ? {mask} , {text_b}")]
    student = Pet(Options(distil="head")).student(patterns)
    assert student is not None
    assert str(student.template) == "{text} {text_b}"


def test_a_round_goes_through_its_examples_as_often_as_there_are_steps_to_take(data: Path) -> None:
    """Sixty steps of a draw of eight are sixty epochs, of six hundred examples the usual five."""
    lesson = Lesson([Example("good", "positive")] * 600, np.zeros(600, int))
    plan = plan_of(data, shots=4, options={"generations": 1, "patterns": 2})
    assert [_epochs(plan, each) for each in (None, lesson)] == [60, 5]
    plan = plan_of(data, shots=4, options={"generations": 1, "patterns": 2}, epochs=2)
    assert [_epochs(plan, each) for each in (None, lesson)] == [2, 2]


def test_epochs_that_are_asked_for_hold_in_every_round_and_make_another_run(data: Path) -> None:
    """Also where the draw's default is the same number: the rounds after it are longer."""
    options = {"generations": 1, "patterns": 2}
    plans = [plan_of(data, shots=4, options=options, **asked) for asked in ({}, {"epochs": 60})]
    assert [plan.settings.epochs for plan in plans] == [60, 60]
    assert [plan.settings.round_epochs for plan in plans] == [None, 60]
    assert plans[0].key != plans[1].key
    alone = [plan_of(data, shots=4, **asked) for asked in ({}, {"epochs": 60})]
    assert alone[0].key == alone[1].key


def test_its_own_patterns_come_where_no_template_is_given(data: Path) -> None:
    assert [str(each) for each in plan_of(data).templates] == ["{text} It was {mask}."]
    four = plan_of(data, options={"patterns": 4}).templates
    assert len({str(each) for each in four}) == 4
    assert len(plan_of(data, options={"patterns": 4}, templates=PATTERNS).templates) == 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"options": {"generations": 1}}, "generations need several patterns"),
        ({"options": {"generations": 1, "patterns": 2, "tune": "none"}}, "tune=none trains nothing"),
        ({"options": {"distil": "all"}}, "has none: draw with --shots"),
        ({"options": {"temperature": 0}}, "option 'temperature'"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(data: Path, tmp_path: Path, settings: Any, said: str) -> None:
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.tsv").write_bytes((data / f"{name}.tsv").read_bytes())
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        plan_of(tmp_path, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("tune", "weights", "distil", "wanted"), [
    ("none", "uniform", "none", set()),
    ("none", "accuracy", "none", {"examples"}),
    ("none", "uniform", "head", {"training", "examples", "seed"}),
    ("head", "uniform", "none", {"training", "examples", "seed"}),
])  # fmt: skip
def test_what_the_numbers_depend_on(data: Path, tune: str, weights: str, distil: str, wanted: set[str]) -> None:
    options = {"tune": tune, "weights": weights, "distil": distil}
    assert plan_of(data, options=options).depends_on == wanted
    if tune == "head":
        assert plan_of(data, options=options, epochs=0).depends_on == {"seed"}
        assert plan_of(data, options={**options, "weights": "accuracy"}, epochs=0).depends_on == {"examples", "seed"}
        assert plan_of(data, options={**options, "distil": "head"}, epochs=0).depends_on == wanted


def test_the_strategy_of_the_guide_teaches_itself(run: Run, install: Any) -> None:
    install(from_guide("SelfTaught"))
    record = run("self-taught", templates=PATTERNS[:1], epochs=1, shots=4).record
    assert {each.round for each in record.history} == {0, 1}


ROW = (promptkit.Example("a", "positive"),)


@pytest.mark.parametrize(
    ("examples", "targets", "said"),
    [
        ((), np.zeros(0, int), "has no examples"),
        (("a",), np.zeros(1, int), "has no examples, or others than promptkit.Example"),
        (ROW, np.array([2]), "has targets that are no class indices"),
        (ROW, np.array([[0.7, 0.7]]), "has soft labels that are no probabilities"),
        (ROW, np.array([[np.nan, 1.0]]), "has soft labels that are no probabilities"),
        (ROW, np.array([0.5]), "has targets of shape (1,) and type float64 for 1 examples of 2 classes"),
    ],
)
def test_lessons_that_are_none(examples: Any, targets: Any, said: str) -> None:
    from promptkit.running.rounds import _fault

    assert str(_fault(Lesson(examples, targets), 2)).startswith(said)
    assert _fault(Lesson(ROW, np.array([[0.3, 0.7]], np.float32)), 2) is None


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"weights": "dev"}, "weights is 'dev', not 'uniform' or 'accuracy'"),
        ({"rounds": 0}, "rounds is 0, not a number of rounds"),
        ({"unlabelled": 0}, "unlabelled is 0, and 2 rounds need texts without labels"),
        ({"teach": Strategy.teach}, "has 2 rounds and no teach"),
    ],
)
def test_a_class_that_cannot_teach_is_refused(attributes: Any, said: str) -> None:
    from promptkit.strategies.declared import check_class

    assert str(check_class(type("Odd", (Told,), attributes))).endswith(said)


def test_teach_that_returns_too_little_or_a_student_that_is_none(run: Run, install: Any) -> None:
    odd = type("Odd", (Told,), {"teach": lambda self, ended: []})
    install(odd)
    with pytest.raises(
        UserError, match=r"strategy 'told' \(plugin 'it' of its 0\): teach must return 1 promptkit\.Le"
    ):
        run("told", templates=PATTERNS[:1])
    install(type("Odder", (Told,), {"student": lambda self, templates: "me"}))
    with pytest.raises(UserError, match=r"student returned a str, not a promptkit\.Student"):
        run("told", templates=PATTERNS[:1])


class Drawing(Told):
    """Frozen patterns of two rounds, each of which notes what it draws first; a lesson that the test gives."""

    unlabelled = 2
    drawn: ClassVar[list[float]] = []
    lesson: ClassVar[Lesson]

    def build(self, backbone: Any, task: Any) -> Any:
        self.drawn.append(task.rng.random())
        return super().build(backbone, task)

    def student(self, templates: Any) -> Any:
        return None

    def teach(self, ended: Any) -> Any:
        return [self.lesson]


def test_a_round_starts_from_the_values_of_the_one_before(run: Run, install: Any) -> None:
    install(Drawing)
    Drawing.drawn.clear()
    Drawing.lesson = Lesson(ROW, np.zeros(1, int))
    run("told", templates=PATTERNS[:1], shots=2, limit=4)
    first, second = Drawing.drawn
    assert first == second


def test_a_run_with_a_lesson_that_is_none_ends_in_one_line(run: Run, install: Any) -> None:
    install(Drawing)
    Drawing.lesson = Lesson(ROW, np.array([2]))
    with pytest.raises(
        UserError,
        match=r"^strategy 'told' \(plugin .*\): a lesson of round 1 has targets that are no class indices\.$",
    ):
        run("told", templates=PATTERNS[:1], shots=2, limit=4)
