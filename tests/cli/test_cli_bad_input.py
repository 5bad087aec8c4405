"""What bad input gets: one line on standard error, exit code 2, and nothing written."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Answer, Call, write_reviews
from models import GOLDENS
from safetensors.numpy import load_file, save_file

from promptkit.runs import save_artifact


@pytest.fixture
def refused(call: Call, place: Path) -> Callable[..., str]:
    """Run a command that must be refused; returns its one line."""

    def run(*arguments: object) -> str:
        before = sorted(place.parent.rglob("*"))
        answer: Answer = call(*arguments)
        assert answer.code == 2, answer
        assert answer.err.startswith("error: "), answer.err
        assert answer.err.count("\n") == 1, answer.err
        assert sorted(place.parent.rglob("*")) == before
        return answer.err.removeprefix("error: ").strip()

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategy", "sfot"], "unknown strategy 'sfot'. Did you mean 'soft'?"),
        (["--model", "promptkit-mimi"], "unknown model 'promptkit-mimi'. Did you mean 'promptkit-mini'?"),
        (["--data", "reviews-em"], "unknown data set 'reviews-em'. Did you mean 'reviews-en'?"),
        (["--data", "reviews-en/trian.tsv"], "no file or folder 'reviews-en/trian.tsv'."),
        (["--set", "tokns=3"], "strategy 'soft' has no option 'tokns'. Did you mean 'tokens'?"),
        (["--set", "tokens=many"], "strategy 'soft', option 'tokens': "),
        (["--set", "tokens"], "--set takes key=value, not 'tokens'."),
        (["--set", "tokens=1", "--set", "tokens=2"], "--set tokens is given twice."),
        (["--data", "reviews-zh"], "does not know it: name another with --model."),
        (["--metric", "acuracy"], "unknown metric 'acuracy'. Did you mean 'accuracy'?"),
        (["--device", "Ascent"], "Did you mean 'Ascend'?"),
        (["--device", "cpu"], "Did you mean 'CPU'?"),
        (
            ["--readout", "clooze"],
            "--readout: Input should be 'cloze' or 'head' (got 'clooze'). Did you mean",
        ),
        (["--slots", "firts"], "Did you mean 'first'?"),
        (["--mode", "graf"], "Did you mean 'graph'?"),
        (["--shots", "0"], "--shots takes a whole number above 0, or 'full', not '0'."),
        (["--shots", "few"], "--shots takes a whole number above 0, or 'full', not 'few'."),
        (["--shots", "9999"], "9999"),
        (["--seed", "-1"], "--seed: "),
        (["--lr", "nan"], "--lr: "),
        (["--lr", "-1"], "--lr: "),
        (["--lr", "0,001"], ". Write 0.001. See 'promptkit run --help'."),
        (["--epochs", "1,5"], "as an integer. See 'promptkit run --help'."),
        (["--lr=,5"], ". Write 0.5. See 'promptkit run --help'."),
        (["--epochs", "-1"], "--epochs: "),
        (["--batch-size", "0"], "--batch-size: "),
        (["--template", "{txt} {mask}"], "reviews.tsv: no {txt} column 'txt'. Did you mean 'text'? Columns there"),
        (["--template", "{text} {MASK}"], "template, column 8: unknown slot '{MASK}'. Did you mean '{mask}'?"),
        (["--template", "{text} {mask"], "template, column 13: "),
        (["--template", "It was {mask}."], "has no field"),
        (["--template", "{text} It was good."], "has no {mask}"),
        (
            ["--verbalizer", "positive=great"],
            "verbalizer 'positive=great' has no words for 'negative'. Labels of the data: negative, positive.",
        ),
        (["--verbalizer", "positive=great; negative=☃"], "label word '☃' is not in the model's vocabulary."),
        (["--verbalizer", "positive=great; negativ=bad"], "Did you mean 'negative'?"),
        (["--verbalizer", "positive=good; negative=badx"], "--slots first or --slots mean"),
        (["--max-length", "5"], "takes"),
        (["--max-tokens", "8"], "--max-tokens is for answers; it goes with --objective text."),
        (["--encoding", "utf-9"], "unknown encoding 'utf-9'."),
        (["--encoding", "undefined"], "unknown encoding 'undefined'."),
        (["--data", "x" * 300 + ".tsv"], "the name is too long"),
        (["--metric", "x" * 300], "unknown metric"),
        (["--metric", "x" * 300 + ".py"], "there is no file"),
        (["--store", "x" * 300], "File name too long"),
        (["--out", "x" * 300], "File name too long"),
        (["--out", "~nobody-of-this-name/run"], "there is no such home directory"),
        (["--metric", "~nobody-of-this-name/m.py"], "there is no such home directory"),
        (["--label-column", "labl"], "no label column 'labl'. Did you mean 'label'?"),
        (["--text-column", "review"], "no text column 'review'. Columns there are: 'text', 'label'."),
    ],
)
def test_wrong_options(refused, model, reviews, arguments, message):
    base = {"--strategy": "soft", "--data": reviews, "--model": model, "--mode": "pynative"}
    for name in arguments[::2]:
        base.pop(name, None)
    flat = [each for pair in base.items() for each in pair]
    assert message in refused("run", *flat, *arguments)


def test_words_of_the_users_own_that_the_model_lacks_are_not_put_down_to_the_language(refused, model, reviews):
    said = refused(
        "run", "--strategy", "soft", "--data", reviews, "--model", model, "--mode", "pynative",
        "--template", '{soft:"☃"}{text} It was {mask}.',
    )  # fmt: skip
    assert "vocabulary" in said
    assert "does not know it" not in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"text\tlabel\n", "holds no examples"),
        (b"text\tlabel\n" + b"good\tpositive\n" * 9, "has only one class to learn"),
        (b"review_text\tstars\ngood\t5\n", "no text column"),
        (b"text\tlabel\ngood\tpositive\nbad \xff\tnegative\n", "line 3, byte 5: not UTF-8"),
        (b"text\tlabel\ngood\tpositive\nbad\n", "line 3"),
        (
            b"text\tlabel\n" + b"".join(b"good %d\tpositive\nbad %d\tmixed\n" % (n, n) for n in range(20)),
            "no label words are known for the labels mixed, positive",
        ),
    ],
)
def test_wrong_data(refused, model, tmp_path, content, message):
    (tmp_path / "data.tsv").write_bytes(content)
    assert message in refused("run", "--strategy", "hard", "--data", tmp_path / "data.tsv", "--model", model)


def test_a_label_outside_the_verbalizer(refused, model, tmp_path):
    rows = "".join(f"good {n}\tpositive\nbad {n}\tnegative\nso {n}\tmixed\n" for n in range(20))
    (tmp_path / "data.tsv").write_text("text\tlabel\n" + rows, encoding="utf-8")
    message = refused(
        "run", "--strategy", "hard", "--data", tmp_path / "data.tsv", "--model", model,
        "--verbalizer", "positive=good; negative=bad",
    )  # fmt: skip
    assert "no words for 'mixed'" in message


def test_more_shots_than_the_class_has(refused, model, reviews):
    message = refused("run", "--strategy", "hard", "--data", reviews, "--model", model, "--shots", "25")
    assert "25" in message
    assert "24" in message


def without(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        del weights[name]
        save_file(weights, folder / "model.safetensors")

    return spoil


def with_extra(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "bert.adapter.weight": np.zeros(3, np.float32)}, folder / "model.safetensors")


def misshapen(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "bert.embeddings.position_embeddings.weight"
    save_file({**weights, name: weights[name][:-1].copy()}, folder / "model.safetensors")


def without_head(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("cls.")}
    save_file(kept, folder / "model.safetensors")


def a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))


def a_pickle_by_another_name(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb()))


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def configured(**changes: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return spoil


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def without_vocabulary(folder: Path) -> None:
    (folder / "vocab.txt").unlink()


class Bomb:
    """A pickle that writes a file once it is loaded, which `refused` would see."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Write the file."""
        return Path.write_text, (Path("was-loaded"), "")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            without("bert.encoder.layer.0.attention.self.key.bias"),
            "layer.0.attention.self.key.bias missing from",
        ),
        (with_extra, "bert.adapter.weight"),
        (misshapen, "position_embeddings.weight has shape (49, 24), the configuration says (50, 24)"),
        (without_head, "no masked language model head"),
        (a_pickle, "is a pickle, which can run code and is never loaded"),
        (a_pickle_by_another_name, "is not a readable safetensors file"),
        (cut_short, "is not a readable safetensors file"),
        (
            configured(model_type="t5", architectures=["T5Model"]),
            "architecture 't5' is not supported. Supported: bert",
        ),
        (configured(hidden_act="mish"), "config.json: hidden_act: Input should be 'gelu', 'gelu_new'"),
        (configured(is_decoder=True), "is_decoder is true"),
        (configured(num_hidden_layers=None), "config.json: num_hidden_layers: Input should be a valid integer"),
        (configured(hidden_size=25), "no multiple of"),
        (configured(vocab_size=50), "the tokenizer has 97 entries, the model only 50 rows"),
        (broken_config, "config.json, line 1, column 2: not valid JSON"),
        (without_vocabulary, "no tokenizer.json or vocab.txt there"),
    ],
)
def test_wrong_checkpoints(refused, model, reviews, tmp_path, spoil, message):
    folder = shutil.copytree(model, tmp_path / "model")
    spoil(folder)
    assert message in refused("run", "--strategy", "hard", "--data", reviews, "--model", folder)


def test_a_run_directory_that_exists(refused, model, reviews, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "something").write_text("mine")
    out = refused("run", "--strategy", "hard", "--data", reviews, "--model", model, "--out", tmp_path / "out")
    assert "exists and is not empty" in out
    assert (tmp_path / "out" / "something").read_text() == "mine"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run."""
    from promptkit import run

    folder = tmp_path_factory.mktemp("finished")
    data = write_reviews(folder / "reviews.tsv")
    run(
        "soft", data=str(data), model=str(GOLDENS / "bert-short"), epochs=0, mode="pynative", quiet=True,
        out=folder / "run",
    )  # fmt: skip
    return folder / "run"


def test_an_artifact_of_another_backbone(refused, model, finished):
    other = model.parent / "bert-onehead"
    assert "was made with another model" in refused("predict", finished, "good", "--model", other)


def test_an_artifact_that_is_none(refused, finished, tmp_path):
    assert "does not exist" in refused("predict", "nowhere", "good")
    assert "no prompt artifact" in refused("predict", tmp_path, "good")
    (tmp_path / "prompt.safetensors").write_bytes(pickle.dumps(Bomb()))
    assert "is not a whole safetensors file" in refused("predict", tmp_path, "good")
    save_artifact(tmp_path / "prompt.safetensors", {}, {})
    assert "format None; this promptkit reads 2." in refused("predict", tmp_path, "good")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good", "--file", "x"], "give texts or --file, not both"),
        (["good", "bad", "--text-b", "x"], "--text-b goes with exactly one TEXT"),
        (["good", "--text-b", "x"], "the run's template has no {text_b}"),
        (["good", " "], "text 2 is empty"),
        (["--file", "nothing.txt"], "no file or folder 'nothing.txt'"),
        (["good", "{run}"], "is a run, and one is asked at a time; its texts come behind it."),
        (["good", "--device", "TPU"], "unknown device 'TPU'"),
        (["good", "--model", "nothing"], "unknown model 'nothing'"),
        (["good", "--text-column", "x"], "are for tables: a --file that ends in .csv, .tsv or .jsonl"),
        (["--file", "x.csv", "--fields", "1"], "--fields: '1' is no name of a field; write NAME or NAME=COLUMN"),
        (["--file", "x.txt", "--fields", "text"], "are for tables: a --file that ends in .csv, .tsv or .jsonl"),
        (["--file", "x.txt", "--text-b-column", "x"], "are for tables: a --file that ends in .csv, .tsv or .jsonl"),
    ],
)
def test_wrong_predictions(refused, finished, arguments, message):
    given = [str(finished) if argument == "{run}" else argument for argument in arguments]
    assert message in refused("predict", finished, *given)


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (
            "one,two\na,b\n",
            [],
            "no text column (text, sentence, content, review, comment). Columns there are: 'one', 'two'. "
            "Name the one to use, e.g. --text-column one.",
        ),
        ("one,two\na,b\n", ["--text-column", "tow"], "no text column 'tow'. Did you mean 'two'?"),
        (
            "one,two\na,b\n",
            ["--text-column", "one", "--text-b-column", "x"],
            "the run's template has no {text_b}, but {text}.",
        ),
        ("one,two\na,b\n", ["--fields", "q=one"], "--fields: the run's template has no {q}, but {text}."),
        ("one,two\na,b\n", ["--fields", "text=tow"], "no {text} column 'tow'. Did you mean 'two'?"),
        ("text\n\n", [], "holds no text"),
        ("text\na,b\n", [], "line 2: too many columns, 2 where the header has 1"),
    ],
)
def test_wrong_tables_of_texts(refused, finished, tmp_path, content, arguments, message):
    (tmp_path / "texts.csv").write_text(content, encoding="utf-8")
    assert message in refused("predict", finished, "--file", tmp_path / "texts.csv", *arguments)


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"good\nb\xffd\n", "line 2, byte 2")])
def test_wrong_files_of_texts(refused, finished, tmp_path, content, message):
    (tmp_path / "texts.txt").write_bytes(content)
    assert message in refused("predict", finished, "--file", tmp_path / "texts.txt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--template", "{text} {maks}"],
            "the template uses {maks}: say what stands there with --field maks=TEXT. Did you mean '{mask}'?",
        ),
        (
            ["--template", "{Text} {mask}"],
            "the template uses {Text}: say what stands there with --field Text=TEXT. Did you mean '{text}'?",
        ),
        (["--template", "{text}"], "has no {mask}"),
        (["--template", "{mask}"], "has no field"),
        (["--model", "nothing"], "unknown model 'nothing'"),
        (["--strategy", "sfot"], "Did you mean 'soft'?"),
        (["--set", "tokens=3"], "name one with --strategy"),
        (["--text-b", "x"], "the template has no {text_b}"),
        (["--field", "q=x"], "--field: the template has no {q}."),
        (["--field", "q"], "--field: write NAME=TEXT, not 'q'."),
        (["--template", "{q} {mask}"], "the template uses {q}: say what stands there with --field q=TEXT."),
        (["--template", "[x] It was [mask]"], "Slots are written in braces: {text} for [x], {mask} for [mask]."),
        (["--readout", "haed"], "Did you mean 'head'?"),
    ],
)
def test_wrong_previews(refused, arguments, message):
    assert message in refused("preview", *arguments)
