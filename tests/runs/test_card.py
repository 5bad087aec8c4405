"""An artifact's card is checked field by field, its tensors one by one; damage is one line."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promptkit.errors import UserError
from promptkit.runs import load_prompt, save_artifact

CARD: dict[str, Any] = {
    "format": 2, "promptkit": "0.1.0", "strategy": "soft", "options": {"tokens": 3}, "templates": ["{text} {mask}"],
    "verbalizer": "good=good; bad=bad", "readout": "cloze", "slots": "same", "labels": ["bad", "good"],
    "language": "en", "max_length": 40, "seed": 3, "clean": False, "model": "promptkit-mini",
    "contexts": [[{"text": "fine", "text_b": None, "label": "good", "others": [["q", "Who?"]]}]],
    "backbone": {
        "fingerprint": "fe", "engine": "native", "architecture": "bert", "hidden_size": 24, "revision": None,
    },
}  # fmt: skip
TENSORS = {"0.prompt.vectors": np.ones((3, 4), np.float32)}


def refusal(tmp_path: Path, card: dict[str, Any], tensors: dict[str, Any] | None = None) -> str:
    path = tmp_path / "prompt.safetensors"
    save_artifact(path, TENSORS if tensors is None else tensors, card)
    with pytest.raises(UserError) as caught:
        load_prompt(path)
    message = str(caught.value)
    assert message.startswith(f"'{path}'")
    assert "\n" not in message
    return message.removeprefix(f"'{path}'")


def test_a_whole_one_comes_back(tmp_path: Path) -> None:
    save_artifact(tmp_path / "p", TENSORS, CARD)
    tensors, card = load_prompt(tmp_path / "p")
    assert card.model_dump() == {**CARD, "weights": [], "objective": "classes", "max_tokens": 0}
    assert np.array_equal(tensors["0.prompt.vectors"], TENSORS["0.prompt.vectors"])


def test_nothing_that_a_run_may_have_is_too_long_to_be_loaded(tmp_path: Path) -> None:
    long = "word " * 5000
    shown = [[{"text": long, "text_b": None, "label": "good", "others": []}]]
    card = {**CARD, "templates": [long + "{text} {mask}"], "verbalizer": f"good={long}; bad=bad", "contexts": shown}
    save_artifact(tmp_path / "p", TENSORS, {**card, "max_length": 2**30})
    assert load_prompt(tmp_path / "p")[1].templates == card["templates"]


ALLOWED = [
    ("verbalizer", None), ("clean", True), ("language", ""), ("options", {"a": [1]}),
    ("contexts", KeyError), ("revision", None), ("revision", KeyError),
]  # fmt: skip


def places() -> list[tuple[str, ...]]:
    inner = CARD["backbone"]
    return [*((key,) for key in CARD if key != "format"), *(("backbone", key) for key in inner)]


def changed(place: tuple[str, ...], change: Any) -> dict[str, Any]:
    """The card with the value at a place changed, or left out where that returns `KeyError`."""
    if len(place) == 2:
        return {**CARD, place[0]: changed_in(CARD[place[0]], place[1], change)}
    return changed_in(CARD, place[0], change)


def changed_in(values: dict[str, Any], key: str, change: Any) -> dict[str, Any]:
    rest = {name: value for name, value in values.items() if name != key}
    return rest if change is KeyError else {**rest, key: change}


CHANGES: list[Any] = [KeyError, ["x", 1], 1.5, {"a": [1]}, True, "", -1, None]
SPOILT = [(place, change) for place in places() for change in CHANGES if (place[-1], change) not in ALLOWED]


@pytest.mark.parametrize(("place", "change"), SPOILT)
def test_a_field_that_is_missing_or_of_another_type_is_named(
    tmp_path: Path, place: tuple[str, ...], change: Any
) -> None:
    assert refusal(tmp_path, changed(place, change)).startswith(f", card: {'.'.join(place)}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"readout": "x"}, ", card: readout: Input should be 'cloze', 'head' or 'answer' (got 'x')"),
        ({"slots": "some"}, ", card: slots: "),
        ({"labels": ["good"]}, ", card: labels: there are 1, and a prompt for classes has at least 2"),
        ({"labels": "good"}, ", card: labels: "),
        ({"objective": "text", "max_tokens": 8}, ", card: labels: there are 2, and a prompt that writes has none"),
        ({"objective": "text", "labels": []}, ", card: max_tokens: 0 for a prompt that writes"),
        ({"objective": "verse"}, ", card: objective: "),
        ({"templates": []}, ", card: templates: "),
        ({"seed": 2**32}, ", card: seed: "),
        ({"backbone": "bert"}, ", card: backbone: "),
        ({"engine": "other"}, ", card: unknown key 'engine'"),
        ({"format": 3, "engine": "other"}, " is a prompt artifact of format 3; this promptkit reads 2. A newer"),
        ({"format": 1}, " is a prompt artifact of format 1; this promptkit reads 2."),
        ({"format": None}, " is a prompt artifact of format None; this promptkit reads 2."),
        ({"format": True}, " is a prompt artifact of format True"),
        ({"format": "1"}, " is a prompt artifact of format '1'"),
    ],
)
def test_values_that_are_none_of_a_card(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    assert refusal(tmp_path, {**CARD, **change}).startswith(said)


@pytest.mark.parametrize("kind", [np.int64, np.bool_, np.uint8, np.float64])
def test_tensors_are_not_cast_without_a_word(tmp_path: Path, kind: Any) -> None:
    assert f"is of type {np.dtype(kind)}, not float32" in refusal(tmp_path, CARD, {"0.x": np.ones(2, kind)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_tensors_are_finite(tmp_path: Path, value: float) -> None:
    assert "holds NaN or infinity" in refusal(tmp_path, CARD, {"0.x": np.array([0, value], np.float32)})


def test_a_type_that_numpy_lacks(tmp_path: Path) -> None:
    save_artifact(tmp_path / "p", {"x": np.ones(2, np.float16)}, CARD)
    content = (tmp_path / "p").read_bytes()
    (tmp_path / "p").write_bytes(content.replace(b'"F16"', b'"BF16"').replace(b'"x":', b'"":', 1))
    with pytest.raises(UserError, match=r"cannot be read|not a whole safetensors|is of type bfloat16"):
        load_prompt(tmp_path / "p")


def test_any_damage_is_a_prompt_or_one_line(tmp_path: Path) -> None:
    path = tmp_path / "prompt.safetensors"
    save_artifact(path, TENSORS, CARD)
    whole, draw = path.read_bytes(), random.Random(0)
    for _ in range(400):
        spoilt = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(spoilt))
            spoilt[at] = draw.choice([0, 255, ord("9"), ord("["), ord('"'), ord("\\"), draw.randrange(256)])
        path.write_bytes(bytes(spoilt[: draw.choice([len(spoilt), draw.randrange(len(spoilt))])]))
        try:
            load_prompt(path)
        except UserError as error:
            assert len(str(error)) < 2_100  # noqa: PT017
