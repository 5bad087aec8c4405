"""Checkpoints out of the ordinary: what of them is read, and what is refused in one line. Needs no MindSpore."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import GOLDENS
from safetensors.numpy import load_file, save_file

from promptkit.backbones.face import ModelFiles
from promptkit.backbones.native.bert.tokenizer import load_tokenizer
from promptkit.backbones.native.bert.weights import weight_plan
from promptkit.backbones.native.checkpoint import StoredWeights, Weights, read_weights
from promptkit.backbones.native.engine import NativeEngine
from promptkit.backbones.native.reading import ARCHITECTURES, _fingerprint
from promptkit.errors import UserError

WORDPIECES = json.loads((GOLDENS / "wordpiece.json").read_text(encoding="utf-8"))
EXACT_BFLOAT16 = np.float32(1 + 2**-7)  # the finest step above 1 that bfloat16 has


def describe(directory: Path | str) -> ModelFiles:
    return NativeEngine().describe(GOLDENS / directory)


def stored(directory: Path) -> StoredWeights:
    """Return the weights of a checkpoint, as its architecture plans them."""
    raw = json.loads((directory / "config.json").read_text())
    architecture = ARCHITECTURES[raw["model_type"]]
    return read_weights(directory, architecture.weight_plan(architecture.read_shape(raw, "config.json")))


def read(directory: Path) -> Weights:
    """Read all of them."""
    return dict(stored(directory))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy of the tiny BERT."""
    return Path(shutil.copytree(GOLDENS / "bert-odd", tmp_path / "model"))


def change_config(directory: Path, **fields: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def change_weights(directory: Path, **arrays: Any) -> None:
    """Set weights, by their names with `__` for dots; None takes one away."""
    weights = load_file(directory / "model.safetensors")
    weights |= {name.replace("__", "."): array for name, array in arrays.items()}
    save_file({k: v for k, v in weights.items() if v is not None}, directory / "model.safetensors")


@pytest.mark.parametrize("case", WORDPIECES["cases"], ids=lambda case: ",".join(map(str, case["settings"].values())))
def test_word_pieces_are_those_of_transformers_under_every_setting(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(WORDPIECES["vocabulary"]) + "\n", encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(case["settings"]))
    tokenizer = load_tokenizer(tmp_path, len(WORDPIECES["vocabulary"]))
    assert tokenizer.encode_many(WORDPIECES["texts"]) == case["ids"]


def test_word_pieces_without_settings_are_lower_case_without_accents(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(WORDPIECES["vocabulary"]) + "\n", encoding="utf-8")
    usual = {"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": None}
    expected = next(case["ids"] for case in WORDPIECES["cases"] if case["settings"] == usual)
    found = load_tokenizer(tmp_path, len(WORDPIECES["vocabulary"])).encode_many(WORDPIECES["texts"])
    assert found == expected


def test_a_last_line_without_an_end_is_a_piece_too(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(WORDPIECES["vocabulary"]), encoding="utf-8")
    assert load_tokenizer(tmp_path, 999).vocab_size == len(WORDPIECES["vocabulary"])


@pytest.mark.parametrize(("name", "pad"), [("bert-unusual", 3), ("roberta-unusual", 4), ("roberta-odd", 1)])
def test_the_padding_id_is_the_vocabularys(name: str, pad: int) -> None:
    files = describe(name)
    assert files.tokenizer.pad_id == pad
    assert files.tokenizer.token(pad).strip("[]<>").lower() == "pad"


def test_a_causal_model_has_no_ids_of_what_it_lacks_but_one_to_pad_with() -> None:
    found = describe("gpt2-odd").tokenizer
    assert (found.cls_id, found.mask_id, found.unk_id) == (-1, -1, -1)
    assert found.pad_id == found.sep_id > 0


def test_positions_begin_behind_an_odd_padding_id() -> None:
    """transformers counts RoBERTa's positions from pad_token_id + 1, so that many rows are out of reach."""
    rows = json.loads((GOLDENS / "roberta-unusual" / "config.json").read_text())["max_position_embeddings"]
    assert describe("roberta-unusual").info.max_length == rows - 5


def test_output_rows_and_biases_of_their_own_are_read_though_the_configuration_ties_them() -> None:
    """As transformers 5 reads them; tests/backbones/test_parity.py compares the scores."""
    weights, stored = (
        read(GOLDENS / "roberta-unusual"),
        load_file(GOLDENS / "roberta-unusual" / "model.safetensors"),
    )
    assert np.array_equal(weights["head.bias"], stored["lm_head.decoder.bias"])
    assert np.array_equal(weights["head.decoder"], stored["lm_head.decoder.weight"])
    assert not np.array_equal(weights["head.decoder"], weights["word"])
    assert not np.array_equal(weights["head.bias"], stored["lm_head.bias"])


@pytest.mark.parametrize("name", ["cls__predictions__bias", "cls__predictions__decoder__bias"])
def test_an_output_bias_under_either_name_will_do(checkpoint: Path, name: str) -> None:
    own = np.arange(97, dtype=np.float32)
    change_weights(checkpoint, cls__predictions__bias=None, cls__predictions__decoder__bias=None)
    change_weights(checkpoint, **{name: own})
    assert np.array_equal(read(checkpoint)["head.bias"], own)


def test_tied_rows_are_the_word_embeddings(checkpoint: Path) -> None:
    weights = read(checkpoint)
    assert np.array_equal(weights["head.decoder"], weights["word"])


def test_weights_are_read_when_they_are_asked_for_and_not_from_a_file_of_another_day(checkpoint: Path) -> None:
    weights = stored(checkpoint)
    assert weights["word"] is not weights["word"]
    change_weights(checkpoint, cls__predictions__bias=np.arange(97, dtype=np.float32))
    with pytest.raises(UserError, match="the file was changed after it was opened"):
        weights["word"]


def test_bfloat16_weights_are_read_exactly(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    halves = {
        name: np.full(array.shape, EXACT_BFLOAT16).view(np.uint32) >> 16
        for name, array in weights.items()
    }  # fmt: skip
    offset, header, parts = 0, dict[str, Any](), list[bytes]()
    for name, half in halves.items():
        data = half.astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": half.shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        parts.append(data)
    text = json.dumps(header).encode()
    (checkpoint / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))
    for name, array in read(checkpoint).items():
        assert array.dtype == np.float32
        assert (array == EXACT_BFLOAT16).all(), name


@pytest.mark.parametrize(("number", "token"), [(2, "c"), ([3, 4], "d"), (None, None), (99, None), ("2", None)])
def test_the_end_of_text_may_be_named_by_number_in_the_configuration(
    tmp_path: Path, number: Any, token: str | None
) -> None:
    """As in GPT-2's checkpoints, which have no tokenizer_config.json."""
    from promptkit.backbones.native.decoder.tokenizer import load_tokenizer as load_decoders

    vocab = {chr(97 + n): n for n in range(6)}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": number}))
    tokenizer = load_decoders(tmp_path, 6)
    assert tokenizer.sep_id == (-1 if token is None else vocab[token])


def test_a_decoder_is_refused(checkpoint: Path) -> None:
    change_config(checkpoint, is_decoder=True)
    with pytest.raises(UserError, match="is_decoder is true; a decoder's causal attention is not supported here"):
        describe(checkpoint)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(checkpoint: Path, value: float) -> None:
    bias = np.zeros(24, np.float32)
    bias[5] = value
    change_weights(checkpoint, bert__encoder__layer__1__attention__self__key__bias=bias)
    with pytest.raises(UserError, match=r"layer\.1\.attention\.self\.key\.bias holds values that are no finite"):
        read(checkpoint)


def test_a_vocabulary_with_a_line_twice_is_refused(checkpoint: Path) -> None:
    """The second would take the first one's number away from it."""
    lines = (checkpoint / "vocab.txt").read_text().splitlines()
    lines[lines.index("terrible")] = "great"
    (checkpoint / "vocab.txt").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=r"vocab\.txt has the line 'great' twice"):
        describe(checkpoint)


def test_settings_of_the_wrong_type_are_refused(checkpoint: Path) -> None:
    (checkpoint / "tokenizer_config.json").write_text('{"strip_accents": "sometimes"}')
    with pytest.raises(UserError, match=r"tokenizer_config\.json: strip_accents"):
        describe(checkpoint)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tokenizer_class": "BertJapaneseTokenizer"}, "tokenizer_class is BertJapaneseTokenizer"),
        ({"word_tokenizer_type": "mecab"}, "word_tokenizer_type is mecab"),
        ({"subword_tokenizer_type": "character"}, "subword_tokenizer_type is character"),
        ({"do_basic_tokenize": False}, "do_basic_tokenize is false"),
    ],
)
def test_a_vocabulary_for_texts_that_are_split_otherwise_is_refused(
    checkpoint: Path, settings: dict[str, Any], said: str
) -> None:
    """Every word would be found, and every score be of other words than the model was trained on."""
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=rf"tokenizer_config\.json: {said}, .* tokenizer\.json\.$"):
        describe(checkpoint)
    usual = {"tokenizer_class": "BertTokenizer", "word_tokenizer_type": "basic", "do_basic_tokenize": True}
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(usual))
    describe(checkpoint)
    (checkpoint / "added_tokens.json").write_text('{"[MASK]": 4}')
    describe(checkpoint)
    (checkpoint / "added_tokens.json").write_text('{"[MORE]": 999}')
    with pytest.raises(UserError, match=r"added_tokens\.json adds '\[MORE\]' to vocab\.txt"):
        describe(checkpoint)


def test_a_vocabulary_with_the_line_ends_of_windows_is_read(checkpoint: Path) -> None:
    plain = describe(checkpoint).tokenizer
    text = (checkpoint / "vocab.txt").read_text(encoding="utf-8")
    (checkpoint / "vocab.txt").write_bytes(text.replace("\n", "\r\n").encode())
    found = describe(checkpoint).tokenizer
    assert (found.vocab_size, found.encode("a great film")) == (plain.vocab_size, plain.encode("a great film"))


def test_a_configuration_with_what_is_no_number_is_claimed_and_read(checkpoint: Path) -> None:
    change_config(checkpoint, time_step_limit=[0.0, float("inf")])
    assert NativeEngine().claims(checkpoint)
    assert describe(checkpoint).info == describe("bert-odd").info


def test_files_that_may_not_be_read_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^cannot read '.*': Is a directory\.$"):
        _fingerprint([tmp_path], [])


def test_a_tokenizer_that_spaces_every_part_is_refused_of_masked_models_too(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDENS / "roberta-odd", tmp_path / "it"))
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    spaced = json.loads(text)
    spaced["pre_tokenizer"]["add_prefix_space"] = True
    (folder / "tokenizer.json").write_text(json.dumps(spaced), encoding="utf-8")
    with pytest.raises(UserError, match="puts a space in front of every text"):
        describe(folder)


def test_a_tokenizer_without_a_token_for_the_unknown_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDENS / "llama-odd", tmp_path / "it"))
    model = {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "[UNK]"}
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": model, "pre_tokenizer": None}))
    with pytest.raises(UserError, match="its tokenizer cannot encode every text"):
        describe(folder)


def test_a_vocabulary_larger_than_the_model_is_refused(checkpoint: Path) -> None:
    with (checkpoint / "vocab.txt").open("a") as file:
        file.write("surplus\n")
    with pytest.raises(UserError, match="the tokenizer has 98 entries, the model only 97 rows"):
        describe(checkpoint)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"bert__embeddings__LayerNorm__weight": None}, "bert.embeddings.LayerNorm.weight missing"),
        ({"bert__surprise__weight": np.zeros(3, np.float32)}, "bert.surprise.weight in model.safetensors that this"),
        (
            {"bert__embeddings__LayerNorm__bias": np.zeros(3, np.float32)},
            r"has shape \(3,\), the configuration says \(24,\)",
        ),
    ],
)
def test_weights_that_are_not_the_architectures_are_refused(
    checkpoint: Path, arrays: dict[str, Any], reason: str
) -> None:
    change_weights(checkpoint, **arrays)
    with pytest.raises(UserError, match=reason):
        read(checkpoint)


def test_an_untied_model_needs_rows_of_its_own(checkpoint: Path) -> None:
    change_config(checkpoint, tie_word_embeddings=False)
    with pytest.raises(UserError, match=r"cls\.predictions\.decoder\.weight missing"):
        read(checkpoint)


def test_the_plan_names_a_shape_for_every_weight() -> None:
    raw = json.loads((GOLDENS / "bert-odd" / "config.json").read_text())
    plan = weight_plan(ARCHITECTURES["bert"].read_shape(raw, "config.json"))
    assert set(plan.names) == set(plan.shapes)


def test_the_summary_names_every_architecture():
    kinds = dict.fromkeys(each.kind for each in ARCHITECTURES.values())
    named = "; ".join(f"{', '.join(n for n, a in ARCHITECTURES.items() if a.kind == k)} ({k})" for k in kinds)
    assert NativeEngine.summary == f"{named}; GGUF files"


def test_the_short_model_is_the_first_layer_of_the_odd_one() -> None:
    short, odd = read(GOLDENS / "bert-short"), read(GOLDENS / "bert-odd")
    assert {name for name in odd if not name.startswith(("layers.1.", "layers.2."))} == set(short)
    assert all(np.array_equal(each, odd[name]) for name, each in short.items())


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"rope_scaling": {"factor": 8.0}}, "has a factor and no rope_type"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "differ from layer to layer"),
    ],
)
def test_turns_that_would_be_passed_over_are_refused(tmp_path: Path, field: dict[str, Any], said: str) -> None:
    folder = Path(shutil.copytree(GOLDENS / "llama-odd", tmp_path / "it"))
    change_config(folder, **field)
    with pytest.raises(UserError, match=said):
        describe(folder)
