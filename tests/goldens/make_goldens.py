"""Write the golden numbers that hold the MindSpore engine to PyTorch.

Builds small odd-shaped checkpoints with random weights and runs them through PyTorch's transformers. Each
becomes a Hugging Face checkpoint directory with a `golden.npz` in it; `lstm.npz` is the same for the prompt
encoder of P-tuning, and `wordpiece.json` has token ids. README.md in this folder says what the arrays are.

Needs torch and transformers, which the project itself does not use. A checkpoint is written only if its
numbers are finite, equal in two runs, and change when something the engine must respect changes: the mask,
the activation, the layer-norm epsilon.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from beginning import begin
from dropouts import dropout_golden
from lstm import lstm_golden
from prefixes import prefix_golden
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
)
from vocabularies import byte_level_tokenizer, wordpiece_vocabulary
from wordpieces import write_wordpiece_golden

WEIGHT_SCALE = 0.2
# Weights a pre-training checkpoint carries and a masked language model has no use for.
SURPLUS = ("bert.pooler.", "cls.seq_relationship.", "bert.embeddings.position_ids")


@dataclass(frozen=True)
class Spec:
    """One checkpoint and its inputs.

    Attributes:
        name: Folder name.
        model_class: The transformers class that says which weights the file holds.
        config: Its configuration.
        length: S, the padded length of the inputs.
        dtype: How the weights are stored. The goldens are always computed in float32 from the stored values.
        legacy: Write names and extras of the first BERT files: `gamma`, `beta`, `position_ids`, the decoder twice.
        apart: Give output rows and output bias values of their own, and the bias under its other name others again,
            whatever the configuration says of tying.
        grad_layer: The layer whose weights' gradients are stored, or None for no weight gradients.
        prefix: P, the keys and values in front of every layer in `golden-prefix.npz`; 0 for no such file.
        dropout: The rate of the training step in `golden-dropout.npz`; 0 for no such file.
        variants: Changes of the configuration that must each move the logits.
    """

    name: str
    model_class: type[PreTrainedModel]
    config: PreTrainedConfig
    length: int
    dtype: torch.dtype = torch.float32
    legacy: bool = False
    apart: bool = False
    grad_layer: int | None = None
    prefix: int = 0
    dropout: float = 0.0
    variants: tuple[dict[str, Any], ...] = ()

    @property
    def family(self) -> str:
        """`bert` or `roberta`."""
        return str(self.config.model_type)


def sizes(vocabulary: int, hidden: int, layers: int, heads: int, inner: int, positions: int) -> dict[str, int]:
    """The sizes of a model under the names transformers gives them."""
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "max_position_embeddings": positions,
    }


def specs() -> list[Spec]:
    """The checkpoints. Sizes share few factors, so that a swapped axis shows as a shape error."""
    return [
        Spec(
            "bert-odd",
            BertForMaskedLM,
            BertConfig(
                **sizes(vocabulary=97, hidden=24, layers=3, heads=3, inner=40, positions=50),
                type_vocab_size=2,
                hidden_act="gelu",
            ),
            length=17,
            grad_layer=1,
            prefix=5,
            dropout=0.2,
            variants=({"hidden_act": "gelu_new"},),
        ),
        Spec(
            "bert-onehead",
            BertForMaskedLM,
            BertConfig(
                **sizes(vocabulary=71, hidden=16, layers=2, heads=1, inner=36, positions=30),
                hidden_act="gelu_new",
                tie_word_embeddings=False,
            ),
            length=13,
            dtype=torch.float16,
            variants=({"hidden_act": "gelu"},),
        ),
        Spec(
            "bert-onelayer",
            BertForPreTraining,
            BertConfig(
                **sizes(vocabulary=67, hidden=20, layers=1, heads=4, inner=28, positions=24),
                hidden_act="relu",
                # Large enough to show: an engine that ignores the configuration's epsilon must fail here.
                layer_norm_eps=1e-3,
            ),
            length=11,
            legacy=True,
            variants=({"hidden_act": "gelu"}, {"layer_norm_eps": 1e-12}),
        ),
        Spec(
            "roberta-odd",
            RobertaForMaskedLM,
            RobertaConfig(
                **sizes(vocabulary=83, hidden=24, layers=2, heads=2, inner=44, positions=42),
                type_vocab_size=1,
                pad_token_id=1,
                layer_norm_eps=1e-5,
                hidden_act="gelu",
            ),
            length=16,
            grad_layer=1,
            prefix=5,
            variants=({"hidden_act": "gelu_new"},),
        ),
        Spec(
            "roberta-untied",
            RobertaForMaskedLM,
            RobertaConfig(
                **sizes(vocabulary=71, hidden=18, layers=2, heads=1, inner=28, positions=26),
                type_vocab_size=1,
                pad_token_id=1,
                layer_norm_eps=1e-5,
                # RoBERTa's head uses the exact GELU whatever the layers use.
                hidden_act="gelu_new",
                tie_word_embeddings=False,
            ),
            length=14,
            dtype=torch.float16,
            variants=({"hidden_act": "gelu"},),
        ),
        Spec(
            "bert-unusual",
            BertForMaskedLM,
            BertConfig(
                **sizes(vocabulary=73, hidden=12, layers=2, heads=2, inner=20, positions=22),
                type_vocab_size=3,
                pad_token_id=3,
                hidden_act="silu",
                tie_word_embeddings=False,
            ),
            length=12,
            dtype=torch.bfloat16,
            apart=True,
            variants=({"hidden_act": "gelu"},),
        ),
        Spec(
            "roberta-unusual",
            RobertaForMaskedLM,
            RobertaConfig(
                **sizes(vocabulary=69, hidden=14, layers=1, heads=2, inner=18, positions=20),
                type_vocab_size=3,
                pad_token_id=4,
                layer_norm_eps=1e-5,
                hidden_act="gelu",
            ),
            length=13,
            apart=True,
            variants=({"hidden_act": "relu"},),
        ),
    ]


def random_weights(spec: Spec, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Weights by name as the file holds them, drawn in name order so that a seed gives one checkpoint."""
    tied = spec.config.tie_word_embeddings
    shapes = {name: value.shape for name, value in spec.model_class(spec.config).named_parameters()}
    weights = {}
    for name, shape in sorted(shapes.items()):
        draw = WEIGHT_SCALE * rng.standard_normal(tuple(shape))
        is_gain = name.lower().endswith(("layernorm.weight", "layer_norm.weight"))
        weights[name] = torch.tensor(draw + 1.0 if is_gain else draw, dtype=spec.dtype)
    head = output_head(spec)
    if spec.apart:
        size, hidden = spec.config.vocab_size, spec.config.hidden_size
        for name, shape in {"decoder.weight": (size, hidden), "decoder.bias": (size,), "bias": (size,)}.items():
            draw = WEIGHT_SCALE * rng.standard_normal(shape)
            weights[f"{head}.{name}"] = torch.tensor(draw, dtype=spec.dtype)
    elif not tied:
        # The output bias goes by two names. transformers 4 reads one, transformers 5 the other.
        weights[f"{head}.decoder.bias"] = weights[f"{head}.bias"].clone()
    return as_legacy(weights, spec.config) if spec.legacy else weights


def output_head(spec: Spec) -> str:
    """What the names of the output rows and biases begin with."""
    return "cls.predictions" if spec.family == "bert" else "lm_head"


def as_legacy(weights: dict[str, torch.Tensor], config: PreTrainedConfig) -> dict[str, torch.Tensor]:
    """The same weights under the names and with the extras of the first BERT files."""
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in weights.items()
    }
    renamed["bert.embeddings.position_ids"] = torch.arange(config.max_position_embeddings)[None]
    renamed["cls.predictions.decoder.weight"] = renamed["bert.embeddings.word_embeddings.weight"].clone()
    return renamed


def write_checkpoint(spec: Spec, folder: Path, seed: int) -> None:
    """Write `config.json`, `model.safetensors` and the vocabulary."""
    spec.config.architectures = [spec.model_class.__name__]
    spec.config.dtype = spec.dtype
    spec.config.save_pretrained(folder)
    weights = random_weights(spec, np.random.default_rng(seed))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if spec.family == "bert":
        vocabulary = wordpiece_vocabulary(spec.config.vocab_size, spec.config.pad_token_id)
        (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    else:
        byte_level_tokenizer(spec.config.vocab_size, spec.config.pad_token_id).save(str(folder / "tokenizer.json"))


def make_inputs(spec: Spec, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Ids with padding on the right: a full row, one of three tokens, two between. A mask at `positions`."""
    bert, size, pad = spec.family == "bert", spec.config.vocab_size, spec.config.pad_token_id
    if bert:
        start, end, mask, first, last = 1 + (pad <= 1), 2 + (pad <= 2), 3 + (pad <= 3), 5, size
    else:
        start, end, mask, first, last = 0, 1 + (pad <= 1), size - 1, max(4, pad + 1), size - 1
    lengths = np.array([spec.length, 3, spec.length - 4, 7])
    positions = np.array([spec.length - 2, 1, 2, 5])
    rows = np.sort(rng.choice(np.arange(first, last), 2, replace=False))
    ids = rng.integers(first, last, (len(lengths), spec.length))
    attention = np.arange(spec.length) < lengths[:, None]
    ids[:, 0] = start
    ids[np.arange(len(ids)), lengths - 1] = end
    ids[np.arange(len(ids)), positions] = mask
    ids[~attention] = pad
    steps = np.broadcast_to(np.arange(spec.length), ids.shape)
    return {
        "input_ids": ids,
        "attention_mask": attention.astype(np.int64),
        # RoBERTa counts from one past the padding index and gives padding that index itself.
        "position_ids": steps.copy() if bert else np.where(attention, pad + 1 + steps, pad),
        "positions": positions,
        "rows": rows,
        "labels": np.array([0, 1, 1, 0]),
    }


def load(folder: Path, **changes: Any) -> PreTrainedModel:
    """The masked language model of a folder in float32, with every weight it needs found in the file."""
    model, report = AutoModelForMaskedLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True, **changes
    )
    assert not report["missing_keys"], report
    assert not report["mismatched_keys"], report
    assert all(key.startswith(SURPLUS) for key in report["unexpected_keys"]), report
    return model.eval()


def run_model(folder: Path, spec: Spec, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Logits, hidden states, the loss and its gradients, as numpy arrays."""
    model = load(folder)
    ids, attention, position_ids, positions, rows, labels = (torch.from_numpy(inputs[k]) for k in inputs)
    embeds = model.get_input_embeddings()(ids)
    embeds.retain_grad()
    told = {"attention_mask": attention, "position_ids": position_ids}
    logits = model(inputs_embeds=embeds, **told).logits
    chosen = logits[torch.arange(len(ids)), positions][:, rows]
    loss = nn.functional.cross_entropy(chosen, labels)
    loss.backward()
    with torch.no_grad():
        hidden = model.base_model(input_ids=ids, **told).last_hidden_state
        by_ids = model(input_ids=ids, attention_mask=attention).logits
    # The model's own positions, worked out from the ids, must be the ones passed by hand.
    torch.testing.assert_close(by_ids, logits.detach(), rtol=0, atol=1e-6)
    golden = {"logits": logits, "hidden": hidden, "loss": loss, "grad_inputs_embeds": embeds.grad}
    if spec.grad_layer is not None:
        golden |= {f"grad::{name}": value.grad for name, value in tuned_weights(model, spec)}
    return {name: value.detach().numpy() for name, value in golden.items()}


def tuned_weights(model: PreTrainedModel, spec: Spec) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of the embeddings, of one layer and of the head, by their name in the file."""
    wanted = (
        f"{spec.family}.embeddings.",
        f"{spec.family}.encoder.layer.{spec.grad_layer}.",
        "cls.predictions.",
        "lm_head.",
    )
    return ((name, value) for name, value in model.named_parameters() if name.startswith(wanted))


def check(folder: Path, spec: Spec, inputs: dict[str, np.ndarray], golden: dict[str, np.ndarray]) -> None:
    """Raise AssertionError unless the numbers are sound and would notice a wrong engine."""
    real = inputs["attention_mask"].astype(bool)
    again = run_model(folder, spec, inputs)
    for name, value in golden.items():
        assert np.isfinite(value).all(), f"{spec.name}: {name} is not finite"
        assert np.array_equal(value, again[name]), f"{spec.name}: {name} differs between two runs"
        # A bias on every key shifts all scores of a query alike, and the softmax drops the shift.
        if not name.endswith("key.bias"):
            assert np.abs(value).max() > 1e-3, f"{spec.name}: {name} is all but zero"
    size = np.abs(golden["grad_inputs_embeds"]).max(axis=-1)
    assert size[real].min() > 1e-4, f"{spec.name}: a real token has no gradient"
    assert size[~real].max() == 0, f"{spec.name}: a padding token has a gradient"

    def moved(model: PreTrainedModel, **given: torch.Tensor) -> float:
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(inputs["input_ids"]), **given).logits.numpy()
        return float(np.abs(logits - golden["logits"])[real].max())

    attention = torch.from_numpy(inputs["attention_mask"])
    found = {"no attention mask": moved(load(folder))}
    for change in spec.variants:
        found[str(change)] = moved(load(folder, **change), attention_mask=attention)
    assert min(found.values()) > 5e-4, f"{spec.name}: the logits do not notice {found}"
    print(spec.name, {key: float(f"{value:.2g}") for key, value in found.items()})


def check_apart(folder: Path, spec: Spec) -> None:
    """Raise AssertionError unless PyTorch reads the output rows and `decoder.bias`, tied or not."""
    stored, output = load_file(folder / "model.safetensors"), load(folder).get_output_embeddings()
    head, words = output_head(spec), f"{spec.family}.embeddings.word_embeddings.weight"
    for ours, name in ((output.weight, "decoder.weight"), (output.bias, "decoder.bias")):
        assert torch.equal(ours, stored[f"{head}.{name}"].float()), f"{spec.name}: {name} is not what is read"
    assert not torch.equal(stored[f"{head}.decoder.weight"], stored[words])
    assert not torch.equal(stored[f"{head}.decoder.bias"], stored[f"{head}.bias"])


def main() -> None:
    """Write every golden into `--out`."""
    out = begin(__doc__)
    for number, spec in enumerate(specs()):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_checkpoint(spec, folder, seed=number)
            inputs = make_inputs(spec, np.random.default_rng(100 + number))
            golden = run_model(folder, spec, inputs)
            check(folder, spec, inputs, golden)
            if spec.apart:
                check_apart(folder, spec)
            np.savez_compressed(folder / "golden.npz", **inputs, **golden)
            if spec.dropout:
                step = dropout_golden(partial(load, folder), inputs, spec.dropout, seed=300 + number)
                np.savez_compressed(folder / "golden-dropout.npz", **step)
            if spec.prefix:
                with_prefix = prefix_golden(partial(load, folder), inputs, spec.prefix, seed=200 + number)
                np.savez_compressed(folder / "golden-prefix.npz", **with_prefix)
            (out / spec.name).mkdir(parents=True, exist_ok=True)
            for file in folder.iterdir():
                shutil.copy(file, out / spec.name)
    lstm, again = lstm_golden(seed=7), lstm_golden(seed=7)
    assert all(np.isfinite(lstm[name]).all() and np.array_equal(lstm[name], again[name]) for name in lstm)
    assert all(np.abs(lstm[name]).max() > 1e-3 for name in lstm)
    np.savez_compressed(out / "lstm.npz", **lstm)
    write_wordpiece_golden(out / "wordpiece.json")


if __name__ == "__main__":
    main()
