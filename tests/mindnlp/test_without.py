"""The engine `mindnlp` as far as it goes without mindnlp: what it claims and describes, its rows, its process."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import promptkit_mindnlp.process as processes
import pytest
from models import GOLDENS
from promptkit_mindnlp.engine import MindNLPEngine
from promptkit_mindnlp.rows import attention, take_apart, window_of

from promptkit import UserError
from promptkit.backbones.engines import choose_engine, describe_model
from promptkit.cli import main
from promptkit.hooks import get_host

# Folder -> kind, width of embeddings, of states, longest text; ids of what opens and ends a text, padding, mask.
FOREIGN: dict[str, tuple[Any, ...]] = {
    "albert-odd": ("masked", 10, 18, 80, 2, 3, 0, 4),
    "electra-odd": ("masked", 14, 20, 80, 2, 3, 0, 4),
    "distilbert-odd": ("masked", 18, 18, 80, 2, 3, 0, 4),
    "deberta-odd": ("masked", 16, 16, 80, 2, 3, 0, 4),
    "mpnet-odd": ("masked", 16, 16, 78, 0, 2, 1, 4),
    "xlmr-odd": ("masked", 14, 14, 78, 0, 2, 1, 4),
    "opt-odd": ("causal", 12, 12, 80, -1, 2, 3, -1),
}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine believe that mindnlp is there."""
    versions = {"mindnlp": "0.5.1", "transformers": "4.57.1"}
    monkeypatch.setattr("promptkit_mindnlp.engine._version", lambda name: versions.get(name, "1.0"))


@pytest.mark.parametrize("name", FOREIGN)
def test_it_takes_what_the_native_engine_does_not(installed: None, name: str) -> None:
    engines = get_host().engine_objects()
    files = describe_model(GOLDENS / name, engines)
    info, tokenizer = files.info, files.tokenizer
    assert files.engine == "mindnlp"
    found = info.kind, info.embedding_size, info.hidden_size, info.max_length
    found += tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id
    assert found == FOREIGN[name]
    assert files.software == "mindnlp 0.5.1, transformers 4.57.1, mindspore 1.0"
    great, spaced = tokenizer.encode("great"), tokenizer.encode(" great")
    assert tokenizer.marks_spaces == (great != spaced) == (info.kind == "causal")
    assert len(spaced) == 1
    assert "great" in tokenizer.token(spaced[0])
    assert tokenizer.encode_many(["great film", "[MASK]"])[0] == tokenizer.encode("great film")
    assert tokenizer.mask_id not in tokenizer.encode("[MASK] <mask>")


def test_native_comes_first_and_mindnlp_last_even_of_third_parties() -> None:
    engines = get_host().engine_objects()
    assert (next(iter(engines)), next(reversed(engines))) == ("native", "mindnlp")
    assert choose_engine(GOLDENS / "bert-odd", engines).name == "native"
    assert choose_engine(GOLDENS / "bert-odd", engines, "mindnlp").name == "mindnlp"


def test_another_mindnlp_is_another_run_and_the_same_model(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from promptkit.running.config import make_config
    from promptkit.running.plan import make_plan

    asked = {"strategy": "hard", "data": "reviews-en", "model": str(GOLDENS / "distilbert-odd")}
    asked |= {"verbalizer": "positive=great; negative=bad"}
    before = make_plan(make_config(**asked))
    monkeypatch.setattr("promptkit_mindnlp.engine._version", lambda name: "0.6.0")
    after = make_plan(make_config(**asked))
    assert before.key != after.key
    assert before.model.fingerprint == after.model.fingerprint


@pytest.fixture
def looking_again() -> Iterator[None]:
    """Have plugins loaded anew, within the test and behind it."""
    get_host.cache_clear()
    yield
    get_host.cache_clear()


def test_without_mindnlp_it_says_what_is_missing(
    looking_again: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptkit_mindnlp.engine._version", lambda name: "")
    assert main(["models"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("mindnlp ")]
    assert line.rstrip().endswith("mindnlp is not installed")
    words = ["--strategy", "hard", "--data", "reviews-en", "--model", str(GOLDENS / "albert-odd")]
    assert main(["run", *words]) == 2
    error = capsys.readouterr().err
    assert "is one for engine 'mindnlp', and mindnlp is not installed; docs/mindnlp.md has the command" in error
    assert error.count("\n") == 1


def write(**changes: Any) -> Any:
    """Return what changes fields of `config.json`; None takes one away."""

    def spoil(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | changes
        config = {name: value for name, value in config.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (write(hidden_size=None), "config.json: no hidden_size"),
        (write(num_hidden_layers=True), "num_hidden_layers is no positive whole number"),
        (write(max_position_embeddings=0), "max_position_embeddings is no positive whole number"),
        (write(vocab_size=20), "the tokenizer has 96 entries, the model only 20 rows"),
        (write(rope_parameters={}), "has rope_parameters, which only transformers 5 reads"),
        (
            write(architectures=["ElectraForTokenClassification"], model_type="x"),
            "no masked or causal language model",
        ),
        (lambda it: (it / "config.json").write_text("{"), "config.json cannot be read"),
        (lambda it: (it / "config.json").write_text("[]"), "config.json holds no JSON object"),
        (lambda it: (it / "config.json").unlink(), "no config.json there"),
        (lambda it: (it / "vocab.txt").unlink(), "no tokenizer.json or vocab.txt there"),
        (lambda it: (it / "vocab.txt").write_text("[UNK]\n"), "the tokenizer cannot be used"),
        (lambda it: (it / "vocab.txt").write_text("[PAD]\n[CLS]\n[SEP]\n[MASK]\na\n"), "cannot be used"),
        (lambda it: (it / "tokenizer.json").write_text("{}"), "the tokenizer cannot be used"),
        (lambda it: (it / "tokenizer_config.json").write_text("{"), "tokenizer_config.json cannot be read"),
        (lambda it: (it / "model.safetensors").rename(it / "pytorch_model.bin"), "no model.safetensors there"),
        (lambda it: (it / "model.safetensors").write_bytes(b"no"), "model.safetensors cannot be read"),
    ],
)
def test_what_is_wrong_with_a_checkpoint_is_one_line(installed: None, tmp_path: Path, spoil: Any, said: str) -> None:
    folder = Path(shutil.copytree(GOLDENS / "electra-odd", tmp_path / "it"))
    spoil(folder)
    with pytest.raises(UserError) as error:
        MindNLPEngine().describe(folder)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_causal_model_has_no_mask_whatever_its_tokenizer_was_made_for(installed: None, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDENS / "opt-odd", tmp_path / "it"))
    (folder / "tokenizer.json").unlink()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good"]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    files = MindNLPEngine().describe(folder)
    assert (files.info.kind, files.tokenizer.mask_id) == ("causal", -1)
    assert 4 not in files.tokenizer.encode("a [MASK] good"), "a text that looks like a mask is text"


@pytest.mark.parametrize(
    ("config", "window"),
    [
        ({}, sys.maxsize),
        ({"sliding_window": None}, sys.maxsize),
        ({"sliding_window": 4096}, 4096),
        ({"sliding_window": 4096, "use_sliding_window": False}, sys.maxsize),
        ({"local_attention": 128}, 64),
        ({"window_size": 256, "sliding_window": 512}, 256),
    ],
)
def test_layers_that_look_back_a_little_only_are_found(config: dict[str, Any], window: int) -> None:
    assert window_of(SimpleNamespace(**config)) == window


def test_an_index_names_files_that_are_there(installed: None, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDENS / "electra-odd", tmp_path / "it"))
    whole = MindNLPEngine().describe(folder)
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    assert MindNLPEngine().describe(folder).info == whole.info
    for text, said in (('{"weight_map": {"a": "b"}}', "names b, which is not there"), ("{}", "cannot be read")):
        index.write_text(text)
        with pytest.raises(UserError, match=said):
            MindNLPEngine().describe(folder)


def test_rows_come_apart_and_together_again() -> None:
    segments = np.array([[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]])
    positions = np.array([[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 0, 0], [0, 0, 0, 0, 0, 0]])
    read = np.array([[[2], [4]], [[3], [0]], [[0], [0]]])
    plan = take_apart(segments, positions, read)
    flat = np.append(np.arange(18), -1)
    ((source, mask),) = plan.parts
    assert flat[source].tolist() == [[0, 1, 2, -1], [3, 4, -1, -1], [6, 7, 8, 9]]
    assert mask.tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert flat[source].reshape(-1)[plan.read].tolist() == [2, 4, 9, 6, 0, 0]
    allowed = attention(segments, causal=True, prefix=2)
    assert allowed.shape == (3, 6, 8)
    assert allowed[0, 4].tolist() == [True, True, False, False, False, True, True, False]


def test_examples_that_bear_no_padding_come_apart_by_length() -> None:
    segments = np.array([[1, 1, 1, 2, 2, 0], [1, 1, 1, 2, 2, 2], [0, 0, 0, 0, 0, 0]])
    positions = np.array([[0, 1, 2, 0, 1, 0], [0, 1, 2, 0, 1, 2], [0, 0, 0, 0, 0, 0]])
    read = np.array([[[2], [4]], [[1], [5]], [[0], [0]]])
    plan = take_apart(segments, positions, read, padded=False)
    assert [source.tolist() for source, _ in plan.parts] == [[[3, 4]], [[0, 1, 2], [6, 7, 8], [9, 10, 11]]]
    assert all(mask.all() for _, mask in plan.parts)
    behind = np.concatenate([source.reshape(-1) for source, _ in plan.parts])
    assert behind[plan.read].tolist() == [2, 4, 7, 11, 0, 0]


class Linear:
    """A model's process in NumPy: states are twice the embeddings, scores three times the states and a bias."""

    def ask(self, name: str, *given: Any) -> Any:
        """Answer as `LanguageModel` would."""
        if name == "parameters":
            return {}, {"cls.bias": np.full(1, 5, np.float32)}, ""
        if name == "embed":
            return np.repeat(given[0][..., None], 4, -1).astype(np.float32)
        if name == "run":
            embeddings, _, _, read, prefix, _, _ = given
            return 2 * embeddings[:, read[0, 0]] + (0 if prefix is None else prefix.sum())
        if name == "run_gradients":
            embeddings, _, _, read, prefix, _, _, towards = given
            gradient = np.zeros_like(embeddings)
            gradient[:, read[0, 0]] = 2 * towards
            return [gradient, *([] if prefix is None else [np.full_like(prefix, towards.sum())])]
        hidden, rows, _, names, values, *towards = given
        assert len(names) == len(values)
        if name == "logits":
            return (3 * hidden + sum(values))[..., : len(rows)]
        gradient = np.zeros_like(hidden)
        gradient[..., : len(rows)] = 3 * towards[0]
        return [gradient, *(towards[0].sum().reshape(1) for _ in values)]


def test_numbers_and_gradients_of_the_process_are_those_of_a_cell(installed: None) -> None:
    ms = pytest.importorskip("mindspore")
    from promptkit_mindnlp.model import MindNLPBackbone

    from promptkit.backbones.device import set_device
    from promptkit.backbones.face import Backbone

    set_device("CPU")
    frozen = MindNLPBackbone(MindNLPEngine().describe(GOLDENS / "distilbert-odd"), "it", Linear())  # type: ignore
    assert isinstance(frozen, Backbone)
    assert frozen.trainable_params() == []
    model = frozen.trainable("head")
    (bias,) = model.trainable_params()
    whole = ms.Tensor(np.array([[1, 1, 1]], np.int32))
    inputs = {"segment_ids": whole, "position_ids": whole, "read": ms.Tensor(np.array([[[2]]], np.int32))}
    embeddings = model.embed(ms.Tensor(np.array([[1, 2, 3]], np.int32)))
    prefix = ms.Tensor(np.ones((2, 2, 3, 1, 6), np.float32))
    rows = ms.Tensor(np.array([7, 8], np.int32))

    def total(given: Any, keys: Any) -> Any:
        return model.logits(model.run(given, inputs, keys), rows).sum()

    value, ((by_embeddings, by_prefix), (by_bias,)) = ms.value_and_grad(total, (0, 1), [bias])(embeddings, prefix)
    # Two rows of 3 (2 * 3 + 72 of the prefix) + 5.
    assert float(value) == pytest.approx(2 * (3 * (6 + 72) + 5))
    assert by_embeddings.asnumpy()[0, 2].tolist() == [6, 6, 0, 0]
    assert not by_embeddings.asnumpy()[0, :2].any()
    assert by_prefix.asnumpy() == pytest.approx(6)
    assert by_bias.asnumpy() == pytest.approx(2)
    with pytest.raises(UserError, match="without dropout"):
        model.run(embeddings, inputs, None, {"rate": 0.1})  # type: ignore[arg-type, typeddict-item]
    with pytest.raises(UserError, match="before all layers or none"):
        model.run(embeddings, inputs, prefix[:1])  # type: ignore[arg-type]


def test_a_process_that_ends_or_fails_is_one_line(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mindspore")
    info = MindNLPEngine().describe(GOLDENS / "distilbert-odd").info
    package = tmp_path / "promptkit_mindnlp"
    package.mkdir()
    (package / "__init__.py").touch()
    real = Path(processes.__file__).parent / "worker.py"
    source = real.read_text(encoding="utf-8").replace("import mindspore as ms", "first = False")
    (package / "worker.py").write_text(source, encoding="utf-8")
    (package / "lm.py").write_text(  # a model that only talks
        "import os\n"
        "class RefusedError(Exception): ...\n"
        "class LanguageModel:\n"
        "    def __init__(self, device, directory, kind, info): print('loading')\n"
        "    def killed(self): os.write(2, b'a library said so\\n'); os.kill(os.getpid(), 9)\n"
        "    def refuse(self): raise RefusedError('not offered')\n"
        "    def fail(self): raise ValueError('first line.\\nsecond line')\n"
        "    def end(self): os.write(2, b'out of memory\\n'); os._exit(3)\n"
    )
    monkeypatch.setattr(processes, "_places", lambda: [str(tmp_path)])
    monkeypatch.setattr(processes.Server, "_running", None)
    first, second = (processes.ModelProcess(GOLDENS / "distilbert-odd", info, name) for name in ("one", "two"))
    assert first._server is second._server
    for name, said in (("refuse", "model 'one': not offered."), ("fail", "model 'one': first line (ValueError).")):
        with pytest.raises(UserError) as error:
            first.ask(name)
        assert str(error.value) == said
    model = first._model
    del first, error
    with pytest.raises(UserError):
        second.ask("refuse")
    assert second._server.ask(model, "refuse") == (False, f"{model} (KeyError)")
    for _ in range(2):
        with pytest.raises(UserError, match=r"^mindnlp's process of model 'two' has ended: .*out of memory\.$"):
            second.ask("end")
    killed = processes.ModelProcess(GOLDENS / "distilbert-odd", info, "killed")
    with pytest.raises(UserError, match=r"'killed' has ended: signal 9 ended it, out of memory perhaps\.$"):
        killed.ask("killed")
    again = processes.ModelProcess(GOLDENS / "distilbert-odd", info, "three")
    assert again._server is not second._server
    process = again._server._process
    processes.Server._running = None
    del again
    started = time.monotonic()
    while process.poll() is None and time.monotonic() - started < 10:
        time.sleep(0.05)
    assert process.poll() is not None


def test_the_page_the_files_and_the_extra_name_the_same_versions() -> None:
    root = GOLDENS.parents[1]
    page = (root / "docs" / "mindnlp.md").read_text(encoding="utf-8")
    folder = root / "plugins" / "promptkit_mindnlp" / "install"
    extra = (root / "pyproject.toml").read_text(encoding="utf-8").split("\nmindnlp = [\n")[1].split("]")[0]
    pins = (folder / "constraints.txt").read_text(encoding="utf-8").split()
    for pin in pins:
        name, version = pin.split("==")
        assert name in ("mindspore", "numpy") or f'"{pin}"' in extra
        assert f"{name} {version}" in page.replace("MindSpore", "mindspore") or name == "numpy" or pin in page
    assert (folder / "overrides.txt").read_text(encoding="utf-8").strip() in page
    assert "mindnlp==0.5.1" in page
    assert '"mindnlp==0.5.1"' in extra
