"""Small causal checkpoints with random weights and what PyTorch's transformers computes on them.

Run by itself, in the environment of `make_goldens.py`; README.md says what the arrays are. A checkpoint is written
only if its numbers are finite, equal in two runs, and move with what the engine must respect.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from beginning import begin
from causal_models import Arrays, keys_and_values, masks_of_our_own, run, run_behind
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)
from vocabularies import CausalVocabulary

WEIGHT_SCALE = 0.2
PREFIX = 5
# BLOOM's settings under the keys of its published files.
OLD_BLOOM = {"hidden_size": "n_embed", "n_head": "num_attention_heads"}


@dataclass(frozen=True)
class Decoder:
    """One checkpoint and its inputs.

    Attributes:
        name: Folder name.
        config: Its configuration. What it says of special tokens is put in from the vocabulary.
        vocabulary: Its tokenizer, which may know fewer tokens than the model has rows.
        length: S, the padded length of the inputs.
        dtype: How the weights are stored. The goldens are always computed in float32 from the stored values.
        shards: How many files the weights are in.
        bare: Leave out the `transformer.` that names begin with, and add the masks that were once stored beside
            them, as the first GPT-2 files have it.
        old: Write the configuration as files had it before transformers 5.
        variants: Changes of the configuration that must each move the logits.
    """

    name: str
    config: PreTrainedConfig
    vocabulary: CausalVocabulary
    length: int
    dtype: torch.dtype = torch.float32
    shards: int = 1
    bare: bool = False
    old: bool = False
    variants: tuple[dict[str, Any], ...] = ()


def plain_rope(theta: float) -> dict[str, Any]:
    """Rotary positions without scaling."""
    return {"rope_type": "default", "rope_theta": theta}


def specs() -> list[Decoder]:
    """The checkpoints. Sizes share few factors, so that a swapped axis shows as a shape error."""
    return [
        Decoder(
            "llama-odd",
            LlamaConfig(
                vocab_size=83,
                hidden_size=36,
                num_hidden_layers=3,
                num_attention_heads=6,
                num_key_value_heads=2,
                intermediate_size=32,
                max_position_embeddings=128,
                rms_norm_eps=1e-3,
                # Wavelengths 6, 42 and 282: one is kept, one lies between, one is scaled.
                rope_parameters={
                    "rope_type": "llama3",
                    "rope_theta": 300.0,
                    "factor": 8.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 64,
                },
            ),
            CausalVocabulary(
                83, last=("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"), opens=True, split="words"
            ),
            length=15,
            dtype=torch.bfloat16,
            old=True,
            variants=({"rope_parameters": plain_rope(300.0)}, {"rms_norm_eps": 1e-6}, {"hidden_act": "gelu"}),
        ),
        Decoder(
            "llama-tied",
            LlamaConfig(
                vocab_size=79,
                hidden_size=20,
                num_hidden_layers=1,
                num_attention_heads=5,
                num_key_value_heads=5,
                head_dim=6,
                intermediate_size=28,
                max_position_embeddings=50,
                rms_norm_eps=1e-2,
                rope_parameters=plain_rope(500.0),
                attention_bias=True,
                mlp_bias=True,
                tie_word_embeddings=True,
            ),
            CausalVocabulary(79, first=("<|endoftext|>", "<|im_start|>", "<|im_end|>"), split="digits"),
            length=13,
            dtype=torch.bfloat16,
            shards=2,
            variants=({"rope_parameters": plain_rope(10000.0)}, {"rms_norm_eps": 1e-6}),
        ),
        Decoder(
            "qwen2-odd",
            Qwen2Config(
                vocab_size=91,
                hidden_size=24,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                intermediate_size=34,
                max_position_embeddings=60,
                max_window_layers=1,
                rms_norm_eps=1e-3,
                rope_parameters=plain_rope(700.0),
                tie_word_embeddings=True,
            ),
            CausalVocabulary(81, last=("<|endoftext|>", "<|im_start|>", "<|im_end|>"), split="words"),
            length=17,
            old=True,
            variants=({"rope_parameters": plain_rope(10000.0)}, {"rms_norm_eps": 1e-6}),
        ),
        Decoder(
            "qwen3-odd",
            Qwen3Config(
                vocab_size=82,
                hidden_size=28,
                num_hidden_layers=3,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=10,
                intermediate_size=38,
                max_position_embeddings=60,
                max_window_layers=3,
                rms_norm_eps=1e-3,
                rope_parameters=plain_rope(900.0),
            ),
            CausalVocabulary(82, last=("<|endoftext|>", "<|im_start|>", "<|im_end|>"), split="words"),
            length=14,
            dtype=torch.float16,
            variants=({"rope_parameters": plain_rope(10000.0)}, {"rms_norm_eps": 1e-6}),
        ),
        Decoder(
            "gpt2-odd",
            GPT2Config(vocab_size=77, n_embd=21, n_layer=2, n_head=3, n_positions=30, layer_norm_epsilon=1e-3),
            CausalVocabulary(77, last=("<|endoftext|>",)),
            length=16,
            bare=True,
            old=True,
            variants=({"layer_norm_epsilon": 1e-6}, {"activation_function": "gelu"}),
        ),
        Decoder(
            "bloom-odd",
            # Six heads: the slopes of four, and two of those between the slopes of eight.
            BloomConfig(vocab_size=81, hidden_size=24, n_layer=2, n_head=6, layer_norm_epsilon=1e-3),
            CausalVocabulary(81, first=("<unk>", "<s>", "</s>", "<pad>"), split="words"),
            length=18,
            old=True,
            variants=({"layer_norm_epsilon": 1e-6}, {"apply_residual_connection_post_layernorm": True}),
        ),
    ]


def random_weights(spec: Decoder, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Weights by name as transformers saves them, drawn in name order so that a seed gives one checkpoint."""
    shapes = {name: value.shape for name, value in AutoModelForCausalLM.from_config(spec.config).named_parameters()}
    weights = {}
    for name, shape in sorted(shapes.items()):
        draw = WEIGHT_SCALE * rng.standard_normal(tuple(shape))
        is_gain = len(shape) == 1 and name.endswith(".weight")
        weights[name] = torch.tensor(draw + 1.0 if is_gain else draw, dtype=spec.dtype)
    return weights


def write_checkpoint(spec: Decoder, folder: Path, seed: int) -> None:
    """Write the configuration, the weights and the tokenizer."""
    config, vocabulary = spec.config, spec.vocabulary
    config.bos_token_id, config.eos_token_id, config.pad_token_id = vocabulary.special_ids()
    config.architectures = [type(AutoModelForCausalLM.from_config(config)).__name__]
    config.dtype = spec.dtype
    config.save_pretrained(folder)
    if spec.old:
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps(as_of_old(stored), indent=2) + "\n", encoding="utf-8")
    weights = random_weights(spec, np.random.default_rng(seed))
    if spec.bare:
        weights = {name.removeprefix("transformer."): value for name, value in weights.items()}
        for layer in range(config.num_hidden_layers):
            size = config.max_position_embeddings
            weights[f"h.{layer}.attn.bias"] = torch.ones(1, 1, size, size).tril()
    write_weights(weights, folder, spec.shards)
    vocabulary.write(folder)


def as_of_old(stored: dict[str, Any]) -> dict[str, Any]:
    """A configuration under the keys of files that were written before transformers 5."""
    stored = {OLD_BLOOM.get(key, key) if stored["model_type"] == "bloom" else key: stored[key] for key in stored}
    stored["torch_dtype"] = stored.pop("dtype")
    stored["transformers_version"] = "4.43.0"
    rope = stored.pop("rope_parameters", None)
    if rope is not None:
        stored["rope_theta"] = rope.pop("rope_theta")
        stored["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    # They came later than the models that are written this way here.
    for key in ("layer_types", "head_dim"):
        stored.pop(key, None)
    return dict(sorted(stored.items()))


def write_weights(weights: dict[str, torch.Tensor], folder: Path, shards: int) -> None:
    """Write them into one file, or into several with the index that says which holds what."""
    if shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(weights)
    places = {}
    for number in range(shards):
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        held = names[number * len(names) // shards : (number + 1) * len(names) // shards]
        save_file({name: weights[name] for name in held}, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(held, file)
    total = sum(value.numel() * value.element_size() for value in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def make_inputs(spec: Decoder, rng: np.random.Generator) -> Arrays:
    """Ids with padding on the right: a full row, one of three tokens, two between; read amidst and at the end."""
    ordinary = np.array(spec.vocabulary.ordinary_ids())
    lengths = np.array([spec.length, 3, spec.length - 4, 7])
    ids = rng.choice(ordinary, (len(lengths), spec.length))
    alone = rng.choice(ordinary, 6)
    begin, end, pad = spec.vocabulary.special_ids()
    if spec.vocabulary.opens:
        ids[:, 0] = alone[0] = begin
    attention = np.arange(spec.length) < lengths[:, None]
    ids[~attention] = (end[0] if isinstance(end, list) else end) if pad is None else pad
    return {
        "input_ids": ids,
        "attention_mask": attention.astype(np.int64),
        "position_ids": np.where(attention, np.arange(spec.length), 0),
        "positions": np.stack((np.array([spec.length // 2, 1, 2, 4]), lengths - 1), 1),
        "rows": np.sort(rng.choice(ordinary, 3, replace=False)),
        "labels": np.array([[0, 1], [2, 0], [1, 1], [0, 2]]),
        "text": alone,
    }


def load(folder: Path, **changes: Any) -> PreTrainedModel:
    """The model of a folder in float32, with every weight it needs found in the file."""
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True, **changes
    )
    assert not report["missing_keys"], report
    assert not report["mismatched_keys"], report
    assert not report["unexpected_keys"], report
    return model.eval()


def plain_golden(folder: Path, spec: Decoder, inputs: Arrays) -> Arrays:
    """The arrays of `golden.npz` beside its inputs."""

    def compute() -> Arrays:
        model = load(folder)
        found = run(model, inputs)
        found["keys_and_values"] = keys_and_values(model, inputs["text"])
        for name, weight in model.named_parameters():
            if ".0." in name or (".layers." not in name and ".h." not in name):
                found[f"grad::{name.removeprefix('transformer.') if spec.bare else name}"] = weight.grad
        return {name: value.detach().numpy() for name, value in found.items()}

    golden = sound(spec.name, compute(), compute())
    # As the configuration was meant, whatever form it was written in.
    as_meant = AutoModelForCausalLM.from_config(spec.config, dtype=torch.float32, attn_implementation="eager").eval()
    as_meant.load_state_dict(load(folder).state_dict())
    assert np.array_equal(run(as_meant, inputs)["logits"].detach().numpy(), golden["logits"])
    check_sensitivity(folder, spec, inputs, golden)
    return golden


def check_sensitivity(folder: Path, spec: Decoder, inputs: Arrays, golden: Arrays) -> None:
    """Raise AssertionError unless the numbers would notice a wrong engine."""
    real = inputs["attention_mask"] > 0
    size = np.abs(golden["grad_inputs_embeds"]).max(axis=-1)
    assert size[real].min() > 1e-4, f"{spec.name}: a real token has no gradient"
    assert size[~real].max() == 0, f"{spec.name}: a padding token has a gradient"
    ids = torch.from_numpy(inputs["input_ids"])

    def moved(model: PreTrainedModel, **told: Any) -> float:
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False, **told).logits.numpy()
        return float(np.abs(logits - golden["logits"])[real].max())

    found = {str(change): moved(load(folder, **change)) for change in spec.variants}
    model = load(folder)
    layers = [0] * model.config.num_hidden_layers
    if spec.config.model_type != "bloom":
        found["no positions"] = moved(model, position_ids=torch.zeros_like(ids))
    with masks_of_our_own(model, inputs, layers):
        assert moved(model) < 1e-5, "our own masks are not those of transformers"
    with masks_of_our_own(model, inputs, layers, causal=False):
        found["no causal mask"] = moved(model)
    assert min(found.values()) > 5e-4, f"{spec.name}: the logits do not notice {found}"
    print(spec.name, {key: float(f"{value:.2g}") for key, value in found.items()})


def prefix_golden(folder: Path, spec: Decoder, inputs: Arrays, without: np.ndarray, seed: int) -> Arrays:
    """The arrays of `golden-prefix.npz`: behind a prefix of all layers, and of all but the first."""
    config = load(folder).config
    layers, heads = config.num_hidden_layers, getattr(config, "num_key_value_heads", config.num_attention_heads)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    # Large enough that the texts look at it a good deal.
    drawn = 1.5 * np.random.default_rng(seed).standard_normal((layers, 2, heads, PREFIX, width))
    prefix = drawn.astype(np.float32)
    real = inputs["attention_mask"] > 0

    def compute(given: np.ndarray) -> Arrays:
        return {name: value.detach().numpy() for name, value in run_behind(load(folder), inputs, given).items()}

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.abs(one - other)[real].max())

    assert distance(compute(prefix[:, :, :, :0])["hidden"], without) < 1e-5, "a prefix of no length has an effect"
    golden = sound(spec.name, compute(prefix), compute(prefix))
    library = run_behind(load(folder), inputs, prefix, our_masks=False)["hidden"].detach().numpy()
    assert distance(golden["hidden"], library) < 1e-5, "our own masks are not those of transformers"
    assert np.abs(golden["grad_prefix"]).max((2, 3, 4)).min() > 1e-4, "a layer's keys or values have no gradient"
    assert distance(golden["hidden"], without) > 0.1, "the states do not notice the prefix"
    if layers > 1:
        last = sound(spec.name, compute(prefix[1:]), compute(prefix[1:]))
        assert distance(last["hidden"], golden["hidden"]) > 1e-2, "the states do not notice the first layer's prefix"
        assert distance(last["hidden"], without) > 1e-2, "the states do not notice the last layers' prefix"
        golden |= {f"last::{name}": value for name, value in last.items()}
    return {"prefix": prefix, **golden}


def sound(name: str, golden: Arrays, again: Arrays) -> Arrays:
    """Return the arrays, which must be finite, equal in two runs, and not all but zero."""
    for key, value in golden.items():
        assert np.isfinite(value).all(), f"{name}: {key} is not finite"
        assert np.array_equal(value, again[key]), f"{name}: {key} differs between two runs"
        assert np.abs(value).max() > 1e-3, f"{name}: {key} is all but zero"
    return golden


def main() -> None:
    """Write every checkpoint with its goldens into `--out`."""
    out = begin(__doc__)
    for number, spec in enumerate(specs()):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_checkpoint(spec, folder, seed=400 + number)
            inputs = make_inputs(spec, np.random.default_rng(500 + number))
            golden = plain_golden(folder, spec, inputs)
            prefix = prefix_golden(folder, spec, inputs, golden["hidden"], seed=600 + number)
            np.savez_compressed(folder / "golden.npz", **inputs, **golden)
            np.savez_compressed(folder / "golden-prefix.npz", **prefix)
            (out / spec.name).mkdir(parents=True, exist_ok=True)
            for file in folder.iterdir():
                shutil.copy(file, out / spec.name)


if __name__ == "__main__":
    main()
