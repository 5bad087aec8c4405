"""What is held to what where mindnlp is installed; run there, as one process: `python checks.py OUT.json`.

Writes how far things are apart at most, by name, and what was refused.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

import promptkit
from promptkit import Template
from promptkit.backbones.catalog import shipped_root
from promptkit.backbones.device import set_device
from promptkit.backbones.engines import describe_model, load_backbone
from promptkit.data import Rows
from promptkit.hooks import get_host
from promptkit.nn import SoftPrompt, VirtualTokens, tensors
from promptkit.strategies.contract import parse_options
from promptkit.testing import prompt_task, write_tiny_model
from promptkit.testing.tiny import write_tiny_task

HERE = Path(__file__).resolve().parent
GOLDENS = HERE.parent / "goldens"
FOREIGN = (
    "albert-odd", "electra-odd", "distilbert-odd", "deberta-odd", "mpnet-odd", "xlmr-odd", "opt-odd", "convbert-odd",
)  # fmt: skip
PREFIXED = ("bert-odd", "llama-odd")
WORDS = "positive=great; negative=terrible"
TRAINED: dict[str, dict[str, Any]] = {
    "hard": {}, "pet": {"epochs": 2}, "soft": {"epochs": 2}, "ptuning": {"epochs": 2},
    "finetune": {"epochs": 1, "options": {"dropout": 0.0}}, "icl": {}, "probe": {}, "prefix": {"epochs": 2},
    "ptuning-v2": {"epochs": 2}, "bitfit": {"epochs": 1},
    # AdamW's first step is the rate, whatever the gradient: where that is rounding alone, its sign is chance.
    "lmbff": {"epochs": 1, "lr": 5e-6},
    "autoprompt": {"options": {"tokens": 2, "iterations": 4}},
}  # fmt: skip
TEXTS = (
    "a great film, and not at all boring", "terrible", "the plot was bad and the actor was very bad",
    "i have seen it", "good story with an actor that is so good , one of all",
)  # fmt: skip
Found = dict[str, float]


def load(directory: Path, engine: str = "mindnlp") -> Any:
    """Return the backbone of a checkpoint."""
    engines = get_host().engine_objects()
    return load_backbone(describe_model(directory, engines, engine), engines, directory.name)


def apart(one: Any, other: Any) -> float:
    """Return the largest difference."""
    return float(np.abs(np.asarray(one) - np.asarray(other)).max())


def rows_of(golden: Any, rows: list[list[int]]) -> tuple[Any, Any, Any]:
    """Return packed inputs with these texts in each row, the place of each text, and where every position is from."""
    ids, mask = golden["input_ids"], golden["attention_mask"]
    read_at = golden["positions"].reshape(len(ids), -1)
    lengths = mask.sum(1)
    size, examples = max(sum(lengths[i] for i in row) for row in rows), max(map(len, rows))
    token_ids, segments, positions = (np.zeros((len(rows), size), np.int32) for _ in range(3))
    source = np.full((len(rows), size), -1)
    read = np.zeros((len(rows), examples, read_at.shape[1]), np.int32)
    places = {}
    for number, row in enumerate(rows):
        at = 0
        for place, text in enumerate(row):
            here = slice(at, at + lengths[text])
            token_ids[number, here] = ids[text, : lengths[text]]
            segments[number, here], positions[number, here] = place + 1, np.arange(lengths[text])
            source[number, here] = text * ids.shape[1] + np.arange(lengths[text])
            read[number, place] = at + read_at[text]
            places[text], at = number * examples + place, at + lengths[text]
    inputs = {
        "token_ids": token_ids, "segment_ids": segments, "position_ids": positions,
        "virtual_ids": np.full_like(token_ids, -1), "read": read,
    }  # fmt: skip
    return inputs, np.array([places[text] for text in range(len(ids))], np.int32), source.reshape(-1)


def goldens(name: str) -> Found:
    """PyTorch's numbers, one text a row and several, and a prefix where there is a golden of one."""
    model, golden, found = load(GOLDENS / name), np.load(GOLDENS / name / "golden.npz"), {}
    for how, rows in (("alone", [[0], [1], [2], [3]]), ("packed", [[0], [1, 2], [3]])):
        inputs, places, source = rows_of(golden, rows)
        given, words = tensors(inputs), Tensor(golden["rows"].astype(np.int32))
        embeddings = model.embed(given["token_ids"])
        hidden = model.run(embeddings, given)
        if golden["hidden"].ndim == 2:
            found[f"{how} hidden"] = apart(hidden.asnumpy()[places, 0], golden["hidden"])
            found[f"{how} logits"] = apart(model.logits(hidden).asnumpy()[places, 0], golden["logits"])
        labels = Tensor(golden["labels"].reshape(-1).astype(np.int32))

        def loss(states: Any, prefix: Any = None) -> Any:
            scores = model.logits(model.run(states, given, prefix), words)[Tensor(places)]  # noqa: B023
            return ops.cross_entropy(scores.reshape(-1, scores.shape[-1]), labels)  # noqa: B023

        def held(name: str, gradient: Any, wanted: Any) -> None:
            width = wanted.shape[-1]
            real = gradient.asnumpy().reshape(-1, width)[source >= 0]  # noqa: B023
            found[name] = apart(real, wanted.reshape(-1, width)[source[source >= 0]])  # noqa: B023

        value, gradient = ms.value_and_grad(loss)(embeddings)
        found[f"{how} loss"] = apart(float(value), golden["loss"])
        held(f"{how} gradient", gradient, golden["grad_inputs_embeds"])
        if name in PREFIXED:
            with_prefix = np.load(GOLDENS / name / "golden-prefix.npz")
            value, (first, second) = ms.value_and_grad(loss, (0, 1))(embeddings, Tensor(with_prefix["prefix"]))
            found[f"{how} prefix loss"] = apart(float(value), with_prefix["loss"])
            held(f"{how} prefix, gradient of texts", first, with_prefix["grad_inputs_embeds"])
            found[f"{how} prefix gradient"] = apart(second.asnumpy(), with_prefix["grad_prefix"])
    if "grad::cls.predictions.bias" in golden:
        found |= weights(model, golden)
    if "keys_and_values" in golden:
        text = model.embed(Tensor(golden["text"].astype(np.int32)))
        found["keys and values"] = apart(model.keys_and_values(text).asnumpy(), golden["keys_and_values"])
        native = load(GOLDENS / name, "native").keys_and_values(text, True).asnumpy()
        found["keys and values before a text"] = apart(model.keys_and_values(text, True).asnumpy(), native)
    return found


def weights(frozen: Any, golden: Any) -> Found:
    """PyTorch's gradients by the weights: of the whole model, tied rows included, of the biases and of the head."""
    inputs, places, _ = rows_of(golden, [[0], [1, 2], [3]])
    given, words = tensors(inputs), Tensor(golden["rows"].astype(np.int32))
    labels, found = Tensor(golden["labels"].astype(np.int32)), {}
    wanted = {name.removeprefix("grad::"): golden[name] for name in golden if name.startswith("grad::")}
    for part in ("all", "biases", "head"):
        model = frozen.trainable(part)
        learns = list(model.trainable_params())

        def loss() -> Any:
            scores = model.logits(model.run(model.embed(given["token_ids"]), given), words)  # noqa: B023
            return ops.cross_entropy(scores[Tensor(places)][:, 0], labels)

        value, gradients = ms.value_and_grad(loss, None, learns)()
        named = {f"weight_{name.replace('.', '_')}": gradient for name, gradient in wanted.items()}
        held = [(named[p.name], g.asnumpy()) for p, g in zip(learns, gradients) if p.name in named]  # noqa: B905
        assert len(held) > 3, part
        assert part != "all" or len(held) == len(named), (len(held), len(named))
        found[f"loss where {part} learns"] = apart(float(value), golden["loss"])
        found[f"gradient where {part} learns"] = max(apart(*pair) for pair in held)
    return found


def trained(folder: Path) -> Found:
    """Both engines under strategies, trained on a tiny task: the probabilities."""
    asked: dict[str, Any] = {
        "data": str(folder / "data"), "model": str(write_tiny_model(folder / "tiny")),
        "verbalizer": WORDS, "shots": 8, "batch_size": 16, "quiet": True, "save": False,
    }  # fmt: skip
    found = {}
    for name, settings in TRAINED.items():
        one, other = (
            promptkit.run(name, engine=engine, **asked, **settings).probabilities for engine in ("native", "mindnlp")
        )
        found[name] = apart(one, other)
    return found


def shipped() -> Found:
    """Both engines on promptkit-mini under strategies, from the same values: scores and gradients of a batch."""
    models, found = [load(shipped_root() / "promptkit-mini", engine) for engine in ("native", "mindnlp")], {}
    for name in ("hard", "pet", "soft", "ptuning", "prefix"):
        entry = get_host().strategy(name)
        strategy = entry.cls(parse_options(entry.cls, {}))
        template = str(strategy.prepare(Template.parse("{text} It was {mask}.")))
        scores, gradients = [], []
        for backbone in models:
            prompt = prompt_task(backbone, template, WORDS)
            model = strategy.build(backbone, prompt)
            model.set_train(False)
            encoded = prompt.encoder.encode_many([{"text": text} for text in TEXTS])
            size = 2 * max(len(each.token_ids) for each in encoded)
            packer = prompt.packer(encoded, None, batch_size=len(TEXTS), rows=Rows(3, size, 3))
            (batch,) = packer.epoch(None)
            inputs, learns = tensors(batch.inputs), list(model.trainable_params())
            real = Tensor(np.flatnonzero(batch.index >= 0).astype(np.int32))
            labels = Tensor((batch.index[batch.index >= 0] % 2).astype(np.int32))
            scores.append(model(inputs)[real].asnumpy())
            if learns:
                loss = lambda: ops.cross_entropy(model(inputs)[real], labels)  # noqa: B023, E731
                gradients.append([each.asnumpy() for each in ms.value_and_grad(loss, None, learns)()[1]])
        found[f"{name} scores"] = apart(*scores)
        if gradients:
            found[f"{name} gradients"] = max(map(apart, *gradients))
    return found


def foreign_run(folder: Path) -> Found:
    """ALBERT under `hard` and `soft` by the command line's own road, and again from the artifact."""
    found = {}
    for name, settings in (("hard", {}), ("soft", {"epochs": 1})):
        out = folder / f"albert-{name}"
        result = promptkit.run(
            name, data=str(folder / "data"), model=str(GOLDENS / "albert-odd"),
            verbalizer="positive=great; negative=bad", batch_size=16, quiet=True, out=out, **settings,
        )  # fmt: skip
        assert (result.record.backbone.engine, result.record.options.mode) == ("mindnlp", "pynative")
        assert not any("compile" in warning for warning in result.record.warnings), result.record.warnings
        tests = (folder / "data" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
        again = promptkit.load(out).probabilities([line.split("\t")[1] for line in tests])
        found[name] = apart(again, result.probabilities)
    return found


def lab(folder: Path) -> Found:
    """The classic lab's prompt tuning, against `soft` with the head readout from the same weights."""
    out = folder / "lab.npz"
    checkpoint = GOLDENS / "gpt2-odd"
    subprocess.run([sys.executable, str(HERE / "lab.py"), str(checkpoint), str(out)], check=True)
    lab = np.load(out)
    ids, labels = lab["ids"], Tensor(lab["labels"].astype(np.int32))
    count, virtual = len(ids), len(lab["first_prompt"])
    length = virtual + ids.shape[1]
    backbone = load(checkpoint)
    task = prompt_task(backbone, "{soft:10}{text}", labels=("a", "b"), readout="head", kind="causal")
    model = SoftPrompt(backbone, task, prompt=VirtualTokens(lab["first_prompt"]))
    ops.assign(model.head.weight, Tensor(lab["first_head"]))
    whole = np.tile(np.arange(length, dtype=np.int32), (count, 1))
    inputs = tensors({
        "token_ids": np.concatenate([np.zeros((count, virtual)), ids], 1).astype(np.int32),
        "segment_ids": np.ones_like(whole), "position_ids": whole,
        "virtual_ids": np.where(whole < virtual, whole, -1).astype(np.int32),
        "read": np.full((count, 1, 1), length - 1, np.int32),
    })  # fmt: skip
    learns = [model.head.weight, model.prompt.vectors]
    step = ms.value_and_grad(lambda: ops.cross_entropy(model(inputs), labels), None, learns)
    found: Found = {"loss": 0.0, "head": 0.0, "prompt": 0.0}
    for number, rate in enumerate(lab["rate"]):
        value, gradients = step()
        found["loss"] = max(found["loss"], apart(float(value), lab["loss"][number]))
        for name, parameter, gradient in zip(("head", "prompt"), learns, gradients):  # noqa: B905
            found[name] = max(found[name], apart(gradient.asnumpy(), lab[name][number]))
            ops.assign(parameter, parameter - float(rate) * gradient)
    # The schedule: from nothing up to the peak in two steps, and down.
    found["schedule"] = apart(lab["rate"], np.array([0, 0.5, 1, 0.75, 0.5, 0.25]) * lab["rate"].max())
    assert lab["loss"][-1] < lab["loss"][0]
    return found


def refused(folder: Path) -> dict[str, str]:
    """What is said of strategies that this engine cannot do, and of models that are not what their names say."""
    said = {}
    for name, model in (("prefix", "albert-odd"), ("finetune", "electra-odd")):
        try:
            promptkit.run(
                name, data=str(folder / "data"), model=str(GOLDENS / model), quiet=True, save=False, epochs=1,
                verbalizer="positive=great; negative=bad",
            )  # fmt: skip
        except promptkit.UserError as error:
            said[name] = str(error)
    for name, change in (("later", {"architectures": ["BertLMHeadModel"]}), ("no later", {"is_decoder": True})):
        model = Path(shutil.copytree(GOLDENS / "bert-odd", folder / name))
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        (model / "config.json").write_text(json.dumps(config | change), encoding="utf-8")
        try:
            load(model)
        except promptkit.UserError as error:
            said[name] = str(error)
    return said


def main(out: str, *only: str) -> None:
    """Do all of it, or what is named."""
    set_device("CPU")
    found: dict[str, Any] = {"seconds": {}}

    def note(name: str, look: Any, *given: Any) -> None:
        if only and name not in only:
            return
        started = time.perf_counter()
        found[name] = look(*given)
        found["seconds"][name] = round(time.perf_counter() - started, 1)
        print(name, found["seconds"][name], found[name], flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_tiny_task(folder / "data")
        for name in (*FOREIGN, *PREFIXED):
            note(name, goldens, name)
        note("trained", trained, folder)
        note("shipped", shipped)
        note("foreign run", foreign_run, folder)
        note("refused", refused, folder)
        note("lab", lab, folder)
    Path(out).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
