"""A Chinese BERT of the wwm kind by its id, end to end: run, record, prediction and comparison, online once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hosts import COMMIT, OTHER, Host
from safetensors.numpy import save

from promptkit.cli import main
from promptkit.data.catalog import embedded_root
from promptkit.hub import at_revision

SECRET = "hf_QuiteSecretTokenOfATest0123456789"


@pytest.fixture
def wwm(host: Host) -> Host:
    """A host with a small model as hfl/chinese-roberta-wwm-ext has it, and a branch that has moved on.

    By name a RoBERTa, by architecture a BERT with a vocabulary of characters, the old names of LayerNorms, and
    poolers and heads of other tasks beside its own.
    """
    texts = (embedded_root() / "reviews-zh").glob("*")
    letters = sorted({it for file in texts for it in file.read_text("utf-8") if "\u4e00" <= it <= "\u9fff"})
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *(f"##{it}" for it in letters[:9]),
        "。",
        "，",
    ]
    config = {
        "architectures": ["BertForMaskedLM"], "model_type": "bert", "vocab_size": len(vocabulary), "hidden_size": 16,
        "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 160,
        "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "directionality": "bidi",
        "pad_token_id": 0, "pooler_fc_size": 16, "output_past": True, "bos_token_id": 0, "eos_token_id": 2,
    }  # fmt: skip
    files = {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": save(weights(config)),
        "vocab.txt": "\n".join(vocabulary).encode(),
        "tokenizer_config.json": b'{"init_inputs": []}',
        "added_tokens.json": b"{}",
        "special_tokens_map.json": b"{}",
    }
    host.put("hfl/tiny-wwm", files)
    host.put("hfl/tiny-wwm", {**files, "model.safetensors": b"of another day"}, revision=OTHER)
    return host


def weights(config: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Return random weights under the names of a TensorFlow checkpoint that was converted."""
    from promptkit.backbones.native.bert.config import read_shape
    from promptkit.backbones.native.bert.weights import weight_plan

    plan, rng = weight_plan(read_shape(config, "tiny")), np.random.default_rng(0)
    found = {}
    for ours, shape in plan.shapes.items():
        name = (
            plan.names[ours][0]
            .replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta")
        )
        found[name] = rng.normal(0, 0.2, shape).astype(np.float32)
    return {**found, "cls.seq_relationship.weight": np.zeros((2, 16), np.float32)}


def test_a_chinese_model_by_its_id(
    wwm: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    # A mirror's own password goes before the token.
    monkeypatch.chdir(tmp_path)
    mirror = wwm.url.replace("//", "//me:password@")
    asked = ["--strategy", "hard", "--data", "reviews-zh", "--shots", "2", "--mode", "pynative", "--model"]
    assert main(["run", *asked, "hfl/tiny-wwm", "--mirror", mirror, "--out", "first"]) == 0
    record = json.loads((tmp_path / "first" / "run.json").read_text("utf-8"))
    assert record["backbone"]["name"] == "hfl/tiny-wwm"
    assert record["backbone"]["architecture"] == "bert"
    assert record["backbone"]["revision"] == COMMIT
    assert record["test"]["accuracy"] is not None
    # From here on the host is not asked, and its main branch has moved on without anybody noticing.
    assert {it.partition(" ")[0] for it in wwm.tokens if it} == {"Basic"}
    wwm.commits["main"] = OTHER
    wwm.tokens.clear()
    assert main(["predict", "first", "味道很好", "--offline", "--download"]) == 0
    assert main(["preview", "--model", "hfl/tiny-wwm", "--revision", COMMIT, "--offline", "--text", "好吃"]) == 0
    assert wwm.tokens == []
    capfd.readouterr()
    assert main(["run", *asked, "hfl/tiny-wwm", "--revision", "v2", "--offline"]) == 2
    assert "model 'hfl/tiny-wwm@v2' is not in the local cache, and --offline keeps" in capfd.readouterr().err
    # Neither the token nor the mirror's password is on disk, or was said.
    files = [it.read_bytes() for it in tmp_path.rglob("*") if it.is_file()]
    assert not [it for it in files if SECRET.encode() in it or b"password" in it]


def test_an_artifact_asks_for_the_commit_that_it_was_made_at(tmp_path: Path) -> None:
    assert at_revision("hfl/tiny-wwm", COMMIT) == f"hfl/tiny-wwm@{COMMIT}"
    assert at_revision("ms:hfl/tiny-wwm@v1", "v1") == "ms:hfl/tiny-wwm@v1"
    assert at_revision(str(tmp_path), COMMIT) == str(tmp_path)
    assert at_revision("hfl/tiny-wwm", None) == "hfl/tiny-wwm"


def test_a_metric_of_the_hub_is_not_fetched_offline(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--strategy", "hard", "--metric", "hub:mcc", "--offline", "--out", str(tmp_path / "r")]) == 2
    assert "metric 'hub:mcc' is fetched from the Hub, and --offline keeps" in capfd.readouterr().err
