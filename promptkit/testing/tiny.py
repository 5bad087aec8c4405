"""A model and a task so small that a run takes a second: made on the spot, nothing is downloaded.

The model is a BERT or a Llama of two layers with random weights and a vocabulary of a few words and all letters. The
task is to tell good and great texts from bad and terrible ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from promptkit.backbones.face import Kind
    from promptkit.nn import Backbone
    from promptkit.prompting.resolved import PromptTask

TEMPLATE = "{text} it was {mask} ."
WORDS = "positive=great; negative=terrible"
LONG_WORDS = "positive=very good,so great; negative=very bad,so terrible"
"""Words of two pieces on both models; those of the two classes begin alike, so the second piece of each decides."""
LABELS = ("negative", "positive")
SIZES = {"train": 48, "dev": 16, "test": 24}
PAIRS = {"train": 16, "dev": 4, "test": 4}
_CAUSAL_SPECIAL = ("<pad>", "<unk>", "<start>", "<end>")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# The first forty are those of the models in promptkit's own tests, so that the task below serves both.
_VOCABULARY = """
great good bad terrible it was the film . , not very ! movie an boring is and this of to in plot that with but
for actor on as story you so have one all like more no about
? question answer summary topic text yes maybe true false news or if
""".split()  # noqa: SIM905
_PIECES = (*_SPECIAL, *_VOCABULARY, *_LETTERS, *(f"##{letter}" for letter in _LETTERS))
_CONFIG = {
    "model_type": "bert",
    "vocab_size": len(_PIECES),
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 160,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
_CAUSAL_CONFIG = {
    "model_type": "llama",
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
    "max_position_embeddings": 160,
    "tie_word_embeddings": True,
}
_GOOD, _BAD = ("good", "great"), ("bad", "terrible")
_ANSWERS = {"positive": "yes very good", "negative": "no"}
_SUBJECTS = ("the film is", "this movie is", "the plot was", "the story was", "one actor is", "all this was")
_SCALE = 0.2  # of the weights: large enough that every word shows at the mask


def write_tiny_model(folder: Path, kind: Kind = "masked") -> Path:
    """Write a language model with random weights, always the same ones, as a checkpoint; return its folder.

    Both kinds know these words: great, good, bad, terrible, very, so, not, it, was, is, the, film, movie, plot. Label
    words of several pieces are several of them with a space between, such as `very good`. The masked model spells
    other words letter by letter, a piece each; the causal one does not know them.

    Args:
        folder: is made.
        kind: `masked`, a BERT, or `causal`, a Llama.
    """
    from safetensors.numpy import save_file

    from promptkit.backbones.native.reading import ARCHITECTURES

    folder.mkdir(parents=True, exist_ok=True)
    config = _causal_files(folder) if kind == "causal" else _masked_files(folder)
    architecture = ARCHITECTURES[config["model_type"]]
    plan = architecture.weight_plan(architecture.read_shape(config, "the tiny model"))
    rng = np.random.default_rng(0)
    weights = {}
    for name, shape in plan.shapes.items():
        values = rng.normal(0.0, _SCALE, shape).astype(np.float32)
        if name != "head.decoder":  # the output rows are the word embeddings
            weights[plan.names[name][-1]] = values + np.float32(name.endswith("norm.weight"))
    save_file(weights, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    return folder


def _masked_files(folder: Path) -> dict[str, Any]:
    """Write the vocabulary of the masked model; return its configuration."""
    (folder / "vocab.txt").write_text("\n".join(_PIECES) + "\n", encoding="utf-8")
    return _CONFIG


def _causal_files(folder: Path) -> dict[str, Any]:
    """Write the tokenizer of the causal model, which knows whole words and opens texts; return its configuration."""
    pieces = [*_CAUSAL_SPECIAL, *_VOCABULARY, *_LETTERS]
    start, text = {"SpecialToken": {"id": "<start>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    tokenizer: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "decoder": None,
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing", "single": [start, text], "pair": [start, text, text],
            "special_tokens": {"<start>": {"id": "<start>", "ids": [pieces.index("<start>")], "tokens": ["<start>"]}},
        },
        "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {each: n for n, each in enumerate(pieces)}},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1), encoding="utf-8")
    named = {"eos_token": "<end>", "pad_token": "<pad>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named), encoding="utf-8")
    return _CAUSAL_CONFIG | {"vocab_size": len(pieces)}


def write_tiny_task(folder: Path, *, draw: int = 0) -> Path:
    """Write a task that one word of every text decides, of two classes, as `train.tsv`, `dev.tsv` and `test.tsv`.

    All texts are of one length, so that every set of them packs into the same rows.

    Args:
        folder: is made.
        draw: which training examples; dev and test are the same for all.

    Returns:
        The folder, which `--data` takes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in SIZES.items():
        rows = [f"{label}\t{text}" for label, text in _texts(split, count, draw)]
        _write_table(folder, split, ["label\ttext", *rows])
    return folder


def write_tiny_pairs(folder: Path) -> Path:
    """Write texts with an answer each, for `--objective text`, as `train.tsv`, `dev.tsv` and `test.tsv`.

    The texts are like those of `write_tiny_task`; `yes very good` answers the good ones, `no` the bad ones.

    Args:
        folder: is made.

    Returns:
        The folder, which `--data` takes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in PAIRS.items():
        rows = [f"{text}\t{_ANSWERS[label]}" for label, text in _texts(split, count, 0)]
        _write_table(folder, split, ["text\tanswer", *rows])
    return folder


def _texts(split: str, count: int, draw: int) -> Iterator[tuple[str, str]]:
    """Yield texts behind their labels, the classes in turn."""
    rng = np.random.default_rng([len(split), draw if split == "train" else 0])
    for number in range(count):
        label = LABELS[number % 2]
        word = rng.choice(_GOOD if label == "positive" else _BAD)
        yield label, f"{rng.choice(_SUBJECTS)} {word} {rng.choice(_VOCABULARY[-12:-2])}"


def _write_table(folder: Path, split: str, lines: Sequence[str]) -> None:
    (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def load_model(folder: Path, source: str | None = None) -> Backbone:
    """Return the frozen backbone of a checkpoint, on the CPU.

    Args:
        folder: the checkpoint.
        source: what tables and errors call it; its folder by default.
    """
    from promptkit.backbones.device import set_device
    from promptkit.backbones.native.engine import NativeEngine

    set_device("CPU")
    engine = NativeEngine()
    return engine.load(engine.describe(folder), source or str(folder))


def prompt_task(
    backbone: Any,
    template: str = TEMPLATE,
    words: str = WORDS,
    labels: Sequence[str] = LABELS,
    *,
    seed: int = 0,
    **settings: Any,
) -> PromptTask:
    """Return what `Strategy.build` is told of a prompt.

    Args:
        backbone: the model, or its tokenizer.
        template: as `--template` takes it.
        words: as `--verbalizer` takes them; of several pieces on the tiny models: `very good`.
        labels: class names.
        seed: of `task.rng`.
        **settings: `readout` ("cloze"), `slots` ("same"), `max_length` (40) and others of `resolve_prompt`.
    """
    from promptkit.prompting import Template, Verbalizer
    from promptkit.prompting.resolved import resolve_prompt

    usual: dict[str, Any] = {"readout": "cloze", "slots": "same", "max_length": 40}
    return resolve_prompt(
        Template.parse(template), Verbalizer.parse(words), labels=labels,
        tokenizer=getattr(backbone, "tokenizer", backbone), rng=np.random.default_rng(seed), **(usual | settings),
    )  # fmt: skip
