"""An artifact comes back as it was saved, and nothing but an artifact is read."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from promptkit.errors import UserError
from promptkit.runs import load_artifact, save_artifact

CARD = {"strategy": "soft", "labels": ["差", "好"], "backbone": {"fingerprint": "0123"}, "calibration": None}


def sample() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return {
        "prompt.embedding": rng.normal(size=(10, 7)).astype(np.float32),
        "head.bias": np.array([1.5, -2.0], np.float16),
        "scalar": np.array(3, np.int64),
        # A view that is not contiguous.
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    }


def assert_same(left: dict[str, np.ndarray[Any, Any]], right: dict[str, np.ndarray[Any, Any]]) -> None:
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert (array.dtype, array.shape) == (right[name].dtype, right[name].shape)
        assert array.tobytes() == right[name].tobytes()


def test_round_trip_keeps_values_types_shapes_and_card(tmp_path: Path) -> None:
    path = tmp_path / "prompt.safetensors"
    size = save_artifact(path, sample(), CARD)
    tensors, card = load_artifact(path)
    assert_same(sample(), tensors)
    assert card == CARD
    assert size == path.stat().st_size


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: name != "__metadata__"),
        npst.arrays(st.sampled_from([np.float32, np.float16, np.int32]), npst.array_shapes(min_side=0, max_side=3)),
        max_size=3,
    )
)
def test_round_trip_of_any_tensors(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, np.ndarray[Any, Any]]
) -> None:
    path = tmp_path_factory.mktemp("artifact") / "prompt.safetensors"
    save_artifact(path, tensors, {})
    assert_same(tensors, load_artifact(path)[0])


def test_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    save_artifact(tmp_path / "one", sample(), CARD)
    save_artifact(tmp_path / "two", dict(reversed(sample().items())), CARD)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_tensors_at_all_are_fine(tmp_path: Path) -> None:
    save_artifact(tmp_path / "prompt.safetensors", {}, CARD)
    assert load_artifact(tmp_path / "prompt.safetensors") == ({}, CARD)


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_artifact(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


class Bomb:
    """Removes the file named in the environment when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["PROMPTKIT_TEST_BOMB"],)


def test_a_pickle_is_refused_and_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTKIT_TEST_BOMB", str(tmp_path / "exploded"))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path = tmp_path / f"prompt-{protocol}.safetensors"
        path.write_bytes(pickle.dumps(Bomb(), protocol))
        assert "is not a whole safetensors file" in refusal(path)
    assert not (tmp_path / "exploded").exists()


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompt.safetensors"
    size = save_artifact(path, sample(), CARD)
    whole = path.read_bytes()
    for length in (0, 1, 7, 8, 9, 100, size // 2, size - 1):
        path.write_bytes(whole[:length])
        assert "is not a whole safetensors file" in refusal(path)


def test_a_header_that_is_none_is_not_repeated_at_length(tmp_path: Path) -> None:
    """safetensors' own message repeats what it could not read."""
    header = f'"{"a" * 5000}"'.encode()
    path = tmp_path / "prompt.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UserError, match="is not a whole safetensors file") as refused:
        load_artifact(path)
    assert len(str(refused.value)) < 250 + len(str(path))


def test_another_file_of_a_run_is_told_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"is no prompt: give the run's folder, or its prompt\.safetensors\.$"):
        load_artifact(tmp_path / "run.json")


def test_a_file_that_is_missing_or_has_no_card_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    assert "there is no prompt artifact" in refusal(tmp_path / "absent.safetensors")
    assert "there is no prompt artifact" in refusal(tmp_path)
    for number, metadata in enumerate([None, {"format": "pt"}, {"promptkit": "{"}, {"promptkit": "[1]"}]):
        path = tmp_path / f"{number}.safetensors"
        save_file({"weight": np.zeros(2, np.float32)}, path, metadata=metadata)
        assert "has no card" in refusal(path)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException
) -> None:
    path = tmp_path / "prompt.safetensors"
    save_artifact(path, sample(), CARD)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(failure)):
        save_artifact(path, {"other": np.ones(5)}, {"other": True})
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_nan_in_the_card_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_artifact(tmp_path / "prompt.safetensors", {}, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []
