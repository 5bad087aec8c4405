"""Write the golden numbers that hold the engine `mindnlp` to PyTorch: architectures that the native engine lacks.

Needs torch and transformers. Each folder becomes a small checkpoint of an odd shape with random weights, a tokenizer
and a `golden.npz`; README.md in this folder says what the arrays are. Numbers must be finite, equal in two runs, and
move when the mask is left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from beginning import begin
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import (
    AlbertConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    ConvBertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    MPNetConfig,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedModel,
    XLMRobertaConfig,
)
from vocabularies import LETTERS, WORDS, CausalVocabulary, wordpiece_vocabulary

SCALE, LENGTH = 0.2, 11
BERT_LIKE = ("[CLS]", "[SEP]", "<pad>", "[UNK]", "[MASK]")
ROBERTA_LIKE = ("<s>", "</s>", "<pad>", "<unk>", "<mask>")


@dataclass(frozen=True)
class Foreign:
    """One checkpoint: folder, configuration, and what its tokenizer is: `wordpiece`, `unigram` or `bytes`.

    `sees_padding` where a text's numbers change with the padding behind it; those of the golden are without any.
    """

    name: str
    config: PreTrainedConfig
    tokenizer: str
    special: tuple[str, ...] = BERT_LIKE
    sees_padding: bool = False

    @property
    def causal(self) -> bool:
        """Whether it predicts what comes next."""
        return self.tokenizer == "bytes"


def specs() -> list[Foreign]:
    """The checkpoints."""

    def shape(vocabulary: int, hidden: int, layers: int, heads: int, inner: int) -> dict[str, Any]:
        return {
            "vocab_size": vocabulary, "hidden_size": hidden, "num_hidden_layers": layers,
            "num_attention_heads": heads, "intermediate_size": inner, "max_position_embeddings": 80,
        }  # fmt: skip

    return [
        Foreign(
            "albert-odd",
            AlbertConfig(**shape(79, 18, 3, 3, 26), embedding_size=10, num_hidden_groups=1, pad_token_id=0),
            "unigram", ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"),
        ),
        Foreign("electra-odd", ElectraConfig(**shape(97, 20, 2, 2, 28), embedding_size=14), "wordpiece"),
        Foreign(
            "distilbert-odd",
            DistilBertConfig(vocab_size=95, dim=18, n_layers=2, n_heads=3, hidden_dim=30, max_position_embeddings=80),
            "wordpiece",
        ),
        Foreign(
            "deberta-odd",
            DebertaV2Config(
                **shape(83, 16, 2, 2, 22), relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8,
                norm_rel_ebd="layer_norm", share_att_key=True, position_biased_input=False, type_vocab_size=0,
                pad_token_id=0,
            ),
            "unigram", ("<pad>", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        ),
        Foreign(
            "mpnet-odd", MPNetConfig(**shape(81, 16, 2, 4, 20), pad_token_id=1),
            "unigram", ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
        ),
        Foreign(
            "xlmr-odd", XLMRobertaConfig(**shape(85, 14, 2, 2, 24), pad_token_id=1, type_vocab_size=1),
            "unigram", ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
        ),
        Foreign(
            "opt-odd",
            OPTConfig(
                vocab_size=86, hidden_size=20, word_embed_proj_dim=12, num_hidden_layers=2, num_attention_heads=2,
                ffn_dim=26, max_position_embeddings=80, do_layer_norm_before=False, pad_token_id=3, bos_token_id=1,
                eos_token_id=2,
            ),
            "bytes",
        ),
        Foreign(
            "convbert-odd", ConvBertConfig(**shape(91, 20, 2, 4, 26), embedding_size=14, conv_kernel_size=3),
            "wordpiece", sees_padding=True,
        ),
    ]  # fmt: skip


def write_tokenizer(spec: Foreign, folder: Path) -> dict[str, int]:
    """Write the tokenizer's files; return the ids of what opens and ends a text, and of the mask."""
    size = int(spec.config.vocab_size) - 1  # a model may have more rows than there are tokens
    if spec.tokenizer == "bytes":
        CausalVocabulary(size, first=("<unk>", "<s>", "</s>", "<pad>")).write(folder)
        return {"first": 4, "open": 2, "end": 2}
    if spec.tokenizer == "wordpiece":
        pieces = wordpiece_vocabulary(size, 0)
        (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
        return {
            "first": 5,
            "open": pieces.index("[CLS]"),
            "end": pieces.index("[SEP]"),
            "mask": pieces.index("[MASK]"),
        }
    special, mark = spec.special, "▁"
    plain = [mark, *(mark + word for word in WORDS), *LETTERS][: size - len(special)]
    scores = [
        *((token, 0.0) for token in special),
        *((token, -1.0 - number / 100) for number, token in enumerate(plain)),
    ]
    unknown = next(number for number, token in enumerate(special) if "unk" in token.lower())
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=unknown))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    opening = next(token for token in special if token in ("[CLS]", "<s>"))
    ending = next(token for token in special if token in ("[SEP]", "</s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{opening} $A {ending}", pair=f"{opening} $A {ending} $B {ending}",
        special_tokens=[(token, special.index(token)) for token in (opening, ending)],
    )  # fmt: skip
    tokenizer.add_special_tokens(list(special))
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {
        "cls_token": opening,
        "sep_token": ending,
        "mask_token": special[4],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(named, indent=1) + "\n", encoding="utf-8")
    return {"first": len(special), "open": special.index(opening), "end": special.index(ending), "mask": 4}


def write_checkpoint(spec: Foreign, folder: Path, seed: int) -> None:
    """Write configuration and random weights."""
    torch.manual_seed(seed)
    loader = AutoModelForCausalLM if spec.causal else AutoModelForMaskedLM
    model = loader.from_config(spec.config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.normal_(0.0, SCALE)
            if "norm" in name.lower() and name.endswith("weight"):
                value.add_(1.0)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def load(folder: Path, causal: bool) -> PreTrainedModel:
    """The model of a folder, with every weight it needs found in the file."""
    loader = AutoModelForCausalLM if causal else AutoModelForMaskedLM
    model, report = loader.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    assert not report["missing_keys"], report
    return model.eval()


def make_inputs(spec: Foreign, ids: dict[str, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Four texts, the last one short; one position of each is read."""
    lengths = np.array([LENGTH, 3, 7, 5])
    mask = (np.arange(LENGTH) < lengths[:, None]).astype(np.int64)
    tokens = rng.integers(ids["first"], spec.config.vocab_size - 1, mask.shape)
    tokens[:, 0] = ids["open"]
    tokens[np.arange(4), lengths - 1] = ids["end"]
    positions = lengths - 1 if spec.causal else np.array([rng.integers(1, length - 1) for length in lengths])
    if not spec.causal:
        tokens[np.arange(4), positions] = ids["mask"]
    rows = rng.choice(np.arange(ids["first"], spec.config.vocab_size - 1), 2, replace=False)
    labels = np.array([0, 1, 1, 0])
    return {
        "input_ids": tokens * mask, "attention_mask": mask, "positions": positions, "rows": rows, "labels": labels
    }  # fmt: skip


def run_model(
    folder: Path, spec: Foreign, inputs: dict[str, np.ndarray], masked: bool = True, together: bool = True
) -> dict[str, np.ndarray]:
    """Hidden states and logits at the positions read, the loss and its gradient by the embeddings.

    The texts run `together`, padded, with their padding `masked` or not, or else one by one.
    """
    model = load(folder, spec.causal)
    ids, attention, positions, rows, labels = (torch.from_numpy(inputs[name]) for name in inputs)
    embeds = model.get_input_embeddings()(ids)
    embeds.retain_grad()

    def read(called: Any, name: str) -> torch.Tensor:
        if together:
            told = {"attention_mask": attention if masked else torch.ones_like(attention)}
            return getattr(called(inputs_embeds=embeds, **told), name)[torch.arange(len(ids)), positions]
        alone = [embeds[text : text + 1, :length] for text, length in enumerate(attention.sum(1))]
        found = [getattr(called(inputs_embeds=each), name)[0] for each in alone]
        return torch.stack([states[place] for states, place in zip(found, positions, strict=True)])

    logits = read(model, "logits")
    loss = nn.functional.cross_entropy(logits[:, rows], labels)
    loss.backward()
    with torch.no_grad():
        hidden = read(model.base_model, "last_hidden_state")
    found = {"hidden": hidden, "logits": logits, "loss": loss, "grad_inputs_embeds": embeds.grad}
    return {name: value.detach().numpy() for name, value in found.items()}


def main() -> None:
    """Write every golden into `--out`."""
    out = begin(__doc__)
    for number, spec in enumerate(specs()):
        folder = out / spec.name
        folder.mkdir(parents=True, exist_ok=True)
        ids = write_tokenizer(spec, folder)
        write_checkpoint(spec, folder, seed=number)
        inputs = make_inputs(spec, ids, np.random.default_rng(400 + number))
        golden, again = (run_model(folder, spec, inputs, together=not spec.sees_padding) for _ in range(2))
        for name, value in golden.items():
            assert np.isfinite(value).all(), (spec.name, name)
            assert np.array_equal(value, again[name]), (spec.name, name)
            assert np.abs(value).max() > 1e-3, (spec.name, name)
        unmasked = run_model(folder, spec, inputs, masked=False)
        moved = float(np.abs(unmasked["logits"] - golden["logits"]).max())
        # What comes behind a text is not seen by a causal model, masked or not.
        assert spec.causal or moved > 5e-4, (spec.name, moved)
        padded = run_model(folder, spec, inputs)
        moved_by_padding = float(np.abs(padded["logits"] - golden["logits"]).max())
        assert (moved_by_padding > 5e-4) == spec.sees_padding, (spec.name, moved_by_padding)
        np.savez_compressed(folder / "golden.npz", **inputs, **golden)
        print(spec.name, f"{moved:.2g}")


if __name__ == "__main__":
    main()
