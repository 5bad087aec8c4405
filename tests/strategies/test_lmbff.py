"""LM-BFF: what it searches is what a search by hand finds, whom it shows, and a run with all of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guide import from_guide
from models import GOLDENS, prompt_task
from promptkit_lmbff import LmBff, Options
from promptkit_lmbff.judging import classes_of, judge, ranked, some_of
from promptkit_lmbff.templates import find_templates
from promptkit_lmbff.words import _candidates, _choices, _free, _Words, find_words

from promptkit import Example, Query, Template, UserError, Verbalizer
from promptkit.backbones.native.engine import NativeEngine

LABELS = ("negative", "positive")
WORDS = ["good", "bad", "great", "terrible", "boring", "film", "plot"]
WIDTH = 16


def examples(seed: int, count: int) -> tuple[Example, ...]:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, 4)) for _ in range(count)]
    return tuple(Example(text, LABELS[number % 2]) for number, text in enumerate(texts))


class Bag:
    """A draft over a language model of one line: what a mask is, follows from which pieces stand where."""

    def __init__(self, template: str, labels: Sequence[str] = LABELS, words: str = "") -> None:
        self.tokenizer = NativeEngine().describe(GOLDENS / "bert-odd").tokenizer
        self.templates, self.labels, self.language = (Template.parse(template),), tuple(labels), "en"
        self.verbalizer = Verbalizer.parse(words or "positive=great; negative=bad")
        self.words_known = True
        self.train, self.dev = examples(0, 12), examples(1, 10)
        self.rng, made = np.random.default_rng(0), np.random.default_rng(7)
        self.table = made.normal(size=(self.tokenizer.vocab_size, WIDTH))
        self.out = made.normal(size=(WIDTH, self.tokenizer.vocab_size))
        self.places = made.normal(size=(40, WIDTH))

    def prompt(self, template: Template, verbalizer: Verbalizer) -> Any:
        return prompt_task(self.tokenizer, str(template), str(verbalizer), self.labels)

    def states(self, encoded: Sequence[Any]) -> Any:
        found = []
        for each in encoded:
            ids = np.array(each.token_ids)
            mixed = np.tanh(self.table[ids] * self.places[: len(ids)]).sum(0)
            found.append([np.tanh(mixed + self.places[place]) for place in each.read])
        return np.array(found)

    def log_probabilities(self, states: Any, rows: Sequence[int] | None = None) -> Any:
        logits = states @ self.out
        logits = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return logits if rows is None else logits[..., list(rows)]


def truth(some: Sequence[Example]) -> list[int]:
    return [LABELS.index(each.label) for each in some]


def by_hand(draft: Bag, template: str, words: dict[str, str], some: Sequence[Example]) -> tuple[float, float]:
    """Zero-shot accuracy and loss, example by example."""
    prompt = draft.prompt(Template.parse(template), Verbalizer.from_mapping(words))
    right, loss = 0, 0.0
    for each in some:
        known = draft.log_probabilities(draft.states(prompt.encode_examples([each])))[0, 0]
        scores = [known[draft.tokenizer.encode(words[label])[0]] for label in LABELS]
        p = np.exp(scores) / np.exp(scores).sum()
        right += int(np.argmax(scores)) == LABELS.index(each.label)
        loss -= float(np.log(p[LABELS.index(each.label)]))
    return right / len(some), loss / len(some)


def test_label_words_are_those_that_a_search_by_hand_picks() -> None:
    """Section 5.1 in loops: the likeliest words of each class, the best pairs on train, the best of those on dev."""
    draft, template = Bag("{text} it was {mask} ."), "{text} it was {mask} ."
    tokenizer, keep = draft.tokenizer, 6
    prompt = draft.prompt(Template.parse(template), draft.verbalizer)
    usable = [tokenizer.token(n) for n in range(tokenizer.vocab_size)]
    usable = [word for word in usable if word.isalpha() and len(tokenizer.encode(word)) == 1]
    likeliest = []
    for label in LABELS:
        own = [each for each in draft.train if each.label == label]
        total = sum(draft.log_probabilities(draft.states(prompt.encode_examples([each])))[0, 0] for each in own)
        likeliest.append(sorted(usable, key=lambda word: -total[tokenizer.encode(word)[0]])[:keep])
    pairs = [dict(zip(LABELS, pair, strict=True)) for pair in product(*likeliest) if len(set(pair)) == 2]

    def rank(candidates: list[dict[str, str]], some: Sequence[Example]) -> list[dict[str, str]]:
        judged = [(by_hand(draft, template, pair, some), pair) for pair in candidates]
        return [pair for _, pair in sorted(judged, key=lambda each: (-each[0][0], each[0][1]))]

    expected = rank(rank(pairs, draft.train)[:keep], draft.dev)[0]
    verbalizer, said, scores = find_words(draft, Template.parse(template), keep)
    assert verbalizer.words == {label: (word,) for label, word in expected.items()}
    assert f"dev picked them of {keep} choices" in said
    assert scores == keep


def test_words_filled_in_are_the_likeliest_pair_of_all() -> None:
    """With a beam that holds every word, nothing is lost on the way from left to right."""
    draft = Bag("{text} {soft:2}{mask} .")
    tokenizer = draft.tokenizer
    prompt = draft.prompt(draft.templates[0], draft.verbalizer)
    answer = {label: tokenizer.encode(words[0])[0] for label, words in draft.verbalizer.words.items()}

    def gain(words: list[int], place: int) -> Any:
        total = 0.0
        for each in draft.train:
            (encoded,) = prompt.encode_examples([each])
            ids = list(encoded.token_ids)
            places = [encoded.virtual_ids.index(0), encoded.virtual_ids.index(1)]
            ids[encoded.read[0]] = answer[each.label]
            for slot, position in enumerate(places):
                ids[position] = words[slot] if slot < len(words) else tokenizer.mask_id
            row = type("Row", (), {"token_ids": ids, "read": [places[place]]})
            total = total + draft.log_probabilities(draft.states([row]))[0, 0]
        return total

    names = [tokenizer.token(n) for n in range(tokenizer.vocab_size)]
    allowed = [
        n for n, it in enumerate(names)
        if (it.isalpha() or it in ".,!?") and n not in answer.values() and tokenizer.encode(it) == [n]
    ]  # fmt: skip
    first = gain([], 0)
    scores = {}
    for a in allowed:
        second = gain([a], 1)
        b = max(allowed, key=lambda n: second[n])
        scores[a, b] = first[a] + second[b]
    pair = max(scores, key=lambda each: scores[each])
    from promptkit_lmbff.templates import _filled_in

    found = _filled_in(draft, draft.templates[0], draft.verbalizer, draft.train, 200)
    assert str(found[0]) == f"{{text}} {names[pair[0]]} {names[pair[1]]} {{mask}} ."


def test_templates_go_from_train_to_dev_and_are_read_as_they_were_found() -> None:
    draft = Bag("{text} {soft:2}{mask} .")
    templates, said, scores = find_templates(draft, draft.verbalizer, 5, 2)
    assert scores == 8
    assert len(templates) == 2
    for each in templates:
        assert not each.has_soft
        (encoded,) = draft.prompt(each, draft.verbalizer).encode_examples(draft.train[:1])
        assert draft.tokenizer.unk_id not in encoded.token_ids
        assert not {"great", "bad"} & set(str(each).split())
    words = {label: words[0] for label, words in draft.verbalizer.words.items()}
    on_dev = [by_hand(draft, str(each), words, draft.dev) for each in templates]
    assert on_dev[0][0] >= on_dev[1][0]
    assert "dev picked from" in said


@pytest.mark.parametrize("template", ["{text} {mask}", '{text} {soft:"it"}{mask}', "{soft:1}{text} {soft:2}{mask}"])
def test_a_template_without_one_place_for_words_is_refused(template: str) -> None:
    with pytest.raises(UserError, match=r"needs one \{soft:N\}"):
        find_templates(Bag(template), Bag(template).verbalizer, 4, 1)


def test_a_class_without_examples_has_no_words() -> None:
    draft = Bag("{text} {mask}")
    draft.train = draft.train[::2]
    with pytest.raises(UserError, match="word for label 'positive'"):
        find_words(draft, draft.templates[0], 5)


def test_candidates_are_ranked_by_accuracy_and_then_by_loss() -> None:
    scores = np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 9.0], [0.0, 9.0]], [[0.0, 1.0], [0.0, 2.0]]])
    assert ranked(scores, np.array([1, 1])) == [1, 2, 0]
    accuracy, loss = judge(scores[2], np.array([1, 0]))
    assert (accuracy, float(loss)) == (0.5, pytest.approx((np.log1p(np.exp(-1)) + np.log1p(np.exp(2))) / 2))


def test_of_many_examples_some_of_each_class_are_looked_at() -> None:
    some = some_of(examples(0, 200), LABELS, np.random.default_rng(0))
    assert [each.label for each in some].count("positive") == 32 == len(some) // 2
    assert len(some_of(examples(0, 20), LABELS, np.random.default_rng(0))) == 20


def test_one_of_each_class_is_shown_from_the_more_alike_half_and_never_the_text_itself() -> None:
    pool = tuple(Example(f"text {n}", LABELS[n % 2]) for n in range(9))
    likeness = -np.arange(9.0)
    chosen = [LmBff().choose(Query(pool, LABELS, frozenset({1}), likeness, 0, (seed,))) for seed in range(60)]
    # Negative: 0 2 4 6 8, the nearer half is 0 2 4. Positive: 3 5 7 without the text itself, so 3 5.
    assert {tuple(LmBff().arrange(pool, each)) for each in chosen} == set(product((0, 2, 4), (3, 5)))
    anyone = LmBff(Options(demonstrations="random"))
    drawn = {tuple(anyone.choose(Query(pool, LABELS, frozenset(), None, 0, (seed,)))) for seed in range(200)}
    assert {number for each in drawn for number in each} == set(range(9))


def test_where_one_demonstration_fits_it_is_of_any_class() -> None:
    pool = tuple(Example(f"text {n}", LABELS[n % 2]) for n in range(9))
    queries = [Query(pool, LABELS, frozenset(), None, 0, (seed,)) for seed in range(400)]
    first = [pool[LmBff(Options(demonstrations="random")).choose(each)[0]].label for each in queries]
    assert 150 < first.count("positive") < 250


def test_the_pool_has_every_class() -> None:
    rare = [Example(f"text {n}", "rare" if n == 700 else "usual") for n in range(1000)]
    for seed in range(20):
        pool = LmBff(Options(pool=4)).context(rare, np.random.default_rng(seed))
        assert [each.label for each in pool].count("rare") == 1
        assert len(pool) == 4


def test_many_classes_of_the_same_likeliest_words_get_the_words_that_tell_them_apart() -> None:
    """Words 0 and 1 are likeliest everywhere, and word 2 + c a little likelier in class c than elsewhere."""
    truth = np.repeat(np.arange(4), 5)
    known = np.full((20, 12), -9.0)
    known[:, :2] = -1.0
    for c in range(4):
        known[:, 2 + c] = -5.0
        known[truth == c, 2 + c] = -4.0
    words = [[0, 1, 2 + c] for c in range(4)]
    assert _choices(words, 2, 10, known, truth)[0] == (2, 3, 4, 5)


def test_a_run_finds_its_prompt_and_keeps_it(
    tiny_run: Callable[..., Any], tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels that no word is known for, a template to be found, and demonstrations that change between epochs."""
    pytest.importorskip("mindspore")
    import promptkit

    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "dev", "test"):
        text = (tiny_data / f"{split}.tsv").read_text().replace("positive\t", "A\t").replace("negative\t", "B\t")
        (data / f"{split}.tsv").write_text(text)
    options = {"words": "auto", "templates": "auto", "slots": 2, "beam": 2, "candidates": 5, "ensemble": 2}
    settings = {
        "data": str(data), "shots": 4, "epochs": 2, "max_length": 60, "verbalizer": None, "options": options,
        "mode": "pynative",
    }  # fmt: skip
    result = tiny_run("lmbff", model=str(GOLDENS / "bert-odd"), out=tmp_path / "run", **settings)
    record = result.record
    assert record.parameters.backbone > 10_000
    assert [said.split()[0] for said in record.found] == ["template", "label"]
    (template,) = record.options.templates
    assert template in record.found[0]
    assert "soft" not in template
    assert record.options.verbalizer in record.found[1]
    assert [entry.epoch for entry in record.history] == [2]
    # Words to fill templates in by, templates, and words for the best of them.
    assert record.dev_scores == 5 + 4 + 5
    predictor = promptkit.load(tmp_path / "run")
    assert predictor.card["templates"] == [template]
    texts = [line.split("\t")[1] for line in (data / "test.tsv").read_text().splitlines()[1:]]
    assert np.abs(predictor.probabilities(texts[:6]) - result.probabilities[:6]).max() < 1e-5


def test_the_label_words_of_the_data_are_known_words(tmp_path: Path, tiny_data: Path) -> None:
    from types import SimpleNamespace

    pytest.importorskip("mindspore")
    from models import GOLDENS, load

    from promptkit.running.config import make_config
    from promptkit.running.plan import make_plan
    from promptkit.running.proposing import _Draft
    from promptkit.training import Executors

    for split in ("train", "dev", "test"):
        text = (tiny_data / f"{split}.tsv").read_text().replace("positive\t", "A\t").replace("negative\t", "B\t")
        (tmp_path / f"{split}.tsv").write_text(text)
    known = []
    for card in ({}, {"verbalizer": "A=great; B=bad"}):
        (tmp_path / "dataset.json").write_text(json.dumps(card))
        settings = {"data": str(tmp_path), "model": str(GOLDENS / "bert-odd"), "options": {"words": "auto"}}
        plan = make_plan(make_config(strategy="lmbff", shots=4, quiet=True, **settings))
        session: Any = SimpleNamespace(executors=Executors())
        known.append(_Draft(plan, session, load("bert-odd")).words_known)
    assert known == [False, True]


def test_what_it_cannot_do_is_said(tiny_run: Callable[..., Any]) -> None:
    pytest.importorskip("mindspore")
    with pytest.raises(UserError, match="label words at the mask"):
        tiny_run("lmbff", templates=("{text}",), readout="head")
    with pytest.raises(UserError, match="virtual tokens"):
        tiny_run("lmbff", templates=("{soft:2}{text} {mask}",))


def test_the_strategy_of_the_guide_proposes_a_word_for_each_class() -> None:
    draft = Bag("{text} it was {mask} .")
    proposal = from_guide("OwnWords")().propose(draft)
    written = _Words(draft, draft.templates[0])
    prompt = draft.prompt(draft.templates[0], written.stand_in())
    known = draft.log_probabilities(draft.states(prompt.encode_examples(draft.train)))[:, 0]
    likeliest = _candidates(written, LABELS, known, classes_of(draft.train, LABELS), 3)
    # Where both have the same one, the second gets the next.
    assert proposal.verbalizer.words == {
        label: (written.word(number),) for label, number in zip(LABELS, _free(likeliest), strict=True)
    }


@pytest.mark.parametrize("keep", [1, 3])
def test_as_many_templates_are_kept_as_the_options_say(keep: int) -> None:
    options = Options(templates="auto", slots=2, beam=4, keep=keep)
    assert len(LmBff(options).propose(Bag("{text} {soft:2}{mask} .")).templates) == keep
