"""What does not fit a model is one line: which field, why, and what stood there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from promptkit.checking import (
    CheckedModel,
    Count,
    Index,
    Name,
    Positive,
    Size,
    checked,
    field_fault,
    read_json_object,
    shortened,
)
from promptkit.errors import UserError


class Config(CheckedModel):
    """A model's `config.json`, more or less."""

    model_type: Literal["bert", "roberta"]
    vocab_size: Size
    hidden_size: Size
    num_hidden_layers: Count
    layer_norm_eps: Positive = 1e-12
    pad_token_id: Index = 0
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02
    name: Name = "model"
    architectures: list[Name] = Field(default_factory=list)


WHOLE: dict[str, Any] = {"model_type": "bert", "vocab_size": 90, "hidden_size": 24, "num_hidden_layers": 2}


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    return checked(Config, read_json_object(path), str(path))


def test_a_whole_one_passes_and_what_is_not_asked_for_is_left_alone(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps({**WHOLE, "layer_norm_eps": 1, "torch_dtype": "float32", "model": None}))
    assert (found.hidden_size, found.layer_norm_eps, found.pad_token_id) == (24, 1, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_size": [24]}, "hidden_size: Input should be a valid integer (got [24])"),
        ({"hidden_size": None}, "hidden_size: Input should be a valid integer (got None)"),
        ({"hidden_size": "24"}, "hidden_size: Input should be a valid integer (got '24')"),
        ({"hidden_size": True}, "hidden_size: Input should be a valid integer (got True)"),
        ({"hidden_size": 24.0}, "hidden_size: Input should be a valid integer (got 24.0)"),
        ({"hidden_size": 0}, "hidden_size: Input should be greater than or equal to 1 (got 0)"),
        ({"hidden_size": -24}, "hidden_size: "),
        ({"vocab_size": 10**15}, "vocab_size: Input should be less than or equal to 16777216"),
        ({"vocab_size": 10**4000}, "vocab_size: "),
        ({"num_hidden_layers": 5_000}, "num_hidden_layers: Input should be less than or equal to 4096 (got 5000)"),
        ({"layer_norm_eps": None}, "layer_norm_eps: Input should be a valid number (got None)"),
        ({"layer_norm_eps": 0}, "layer_norm_eps: Input should be greater than 0 (got 0)"),
        ({"layer_norm_eps": True}, "layer_norm_eps: Input should be a valid number (got True)"),
        ({"initializer_range": float("nan")}, "nan is no finite number"),
        ({"pad_token_id": None}, "pad_token_id: Input should be a valid integer (got None)"),
        ({"pad_token_id": -1}, "pad_token_id: "),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings: Input should be a valid boolean (got 'yes')"),
        ({"model_type": ["bert"]}, "model_type: Input should be 'bert' or 'roberta' (got ['bert'])"),
        ({"model_type": {"a": {"b": {}}}}, "model_type: "),
        ({"architectures": [""]}, "architectures.0: "),
        ({"name": "x" * 20_000}, "name: "),
    ],
)  # fmt: skip
def test_every_way_to_spoil_a_field(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, json.dumps({**WHOLE, **change}))
    message = str(caught.value)
    assert f"config.json: {said}" in message
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    "text",
    ["[]", "null", "3", '"x"', "{", "", "[" * 9_000, '{"hidden_size": ' + "[" * 9_000, '{"a": ' + "9" * 5_000 + "}"],
)
def test_every_way_to_spoil_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        read(tmp_path, text)


@pytest.mark.parametrize("field", WHOLE)
def test_a_missing_field(tmp_path: Path, field: str) -> None:
    rest = {key: value for key, value in WHOLE.items() if key != field}
    with pytest.raises(UserError, match=rf"config\.json: {field}: Field required\.$"):
        read(tmp_path, json.dumps(rest))


def test_unknown_keys_of_a_model_that_forbids_them() -> None:
    class Card(BaseModel):
        model_config = ConfigDict(extra="forbid")
        labels: tuple[str, ...] = ()

    with pytest.raises(UserError, match=r"card: unknown key 'lables'. Did you mean 'labels'\?"):
        checked(Card, {"lables": []}, "card")
    with pytest.raises(UserError, match=r"card: unknown key 'xx"):
        checked(Card, {"x" * 9_999: []}, "card")


def test_alternatives_of_a_union_are_no_part_of_the_place() -> None:
    class Grid(BaseModel):
        shots: tuple[int | Literal["full"], ...]

    with pytest.raises(ValidationError) as caught:
        Grid(shots=(1, "few"))  # type: ignore[arg-type]
    fault = field_fault(caught.value)
    assert (fault.place, fault.value, fault.field) == ("shots.1", "'few'", "shots")


def test_long_values_are_shortened() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    for value in ("x" * 9_999, list(range(9_999)), 10**9_999, deep, dict.fromkeys(range(99), "y" * 99), "a\nb"):
        assert len(shortened(value)) <= 80
        assert "\n" not in shortened(value)
    assert shortened("word") == "'word'"
