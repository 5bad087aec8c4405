"""The virtual tokens of a run: nearest words, drift and picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import GOLDENS

pytest.importorskip("mindspore")

from promptkit import UserError
from promptkit.inspection import inspect_prompt
from promptkit.inspection.learnt import virtual_vectors
from promptkit.inspection.page import report_page
from promptkit.inspection.picture import draw, save_picture

SOFT = "{soft:4}{text} it was {mask} ."
Artifact = Callable[..., Path]


def shifted(path: str, tensor: Any) -> Any:
    return tensor + np.float32(0.25) if path == "prompt.vectors" else tensor


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("soft", {"init": "vocab"}),
        ("soft", {"init": "text"}),
        ("soft", {"init": "random"}),
        ("ptuning", {"init": "vocab"}),
    ],
)
def test_a_prompt_that_has_not_learnt_has_not_moved(artifact: Artifact, strategy: str, options: Any) -> None:
    (prompt,) = inspect_prompt(artifact(strategy, SOFT, options=options)).templates
    assert [token.name for token in prompt.tokens] == ["V0", "V1", "V2", "V3"]
    assert [token.moved for token in prompt.tokens] == [0] * 4
    assert [token.start_cosine for token in prompt.tokens] == pytest.approx([1] * 4)
    assert np.array_equal(prompt.vectors, prompt.initial)
    named = [token.start is not None for token in prompt.tokens]
    assert named == [strategy == "soft" and options["init"] != "random"] * 4


def test_a_run_of_no_epochs_has_not_moved_and_one_of_another_seed_has(tmp_path: Path) -> None:
    import promptkit
    from promptkit.runs import load_artifact, save_artifact

    lines = [f"{['good', 'bad'][n % 2]} film {n}\t{['positive', 'negative'][n % 2]}\n" for n in range(30)]
    (tmp_path / "data.tsv").write_text("text\tlabel\n" + "".join(lines), encoding="utf-8")
    run = promptkit.run(
        "soft", data=str(tmp_path / "data.tsv"), model=str(GOLDENS / "bert-odd"), mode="pynative", epochs=0,
        templates=(SOFT, "{text} {soft:2} {mask}"), out=tmp_path / "run", quiet=True, seed=5,
    ).directory  # fmt: skip
    report = inspect_prompt(run)
    assert [len(prompt.tokens) for prompt in report.templates] == [4, 2]
    assert all(token.moved == 0 for prompt in report.templates for token in prompt.tokens)
    tensors, card = load_artifact(run / "prompt.safetensors")
    save_artifact(run / "prompt.safetensors", tensors, {**card, "seed": 6})
    assert any(token.moved > 0 for token in inspect_prompt(run).templates[0].tokens)


def test_drift_and_norm_are_those_of_the_vectors(artifact: Artifact) -> None:
    (prompt,) = inspect_prompt(artifact("soft", SOFT, change=shifted)).templates
    assert np.allclose(prompt.vectors - prompt.initial, 0.25)
    for token, vector, start in zip(prompt.tokens, prompt.vectors, prompt.initial, strict=True):
        assert token.moved == pytest.approx(0.25 * np.sqrt(24), rel=1e-6)
        assert token.norm == pytest.approx(np.linalg.norm(vector), rel=1e-6)
        cosine = vector @ start / np.linalg.norm(vector) / np.linalg.norm(start)
        assert token.start_cosine == pytest.approx(cosine, rel=1e-5)


def test_virtual_tokens_that_are_words_find_these_words(artifact: Artifact, backbone: Any) -> None:
    path = artifact("soft", '{soft:"a very good film"}{text} {mask}')
    report = inspect_prompt(path, nearest=3)
    tokens = report.templates[0].tokens
    assert [token.nearest[0].word for token in tokens] == ["a", "very", "good", "film"]
    assert [token.start for token in tokens] == ["a", "very", "good", "film"]
    assert all(token.nearest[0].distance == 0 for token in tokens)
    assert all(token.nearest[0].cosine == pytest.approx(1) for token in tokens)
    assert {len(token.nearest) for token in tokens} == {3}
    norms = np.linalg.norm(backbone.encoder.word.asnumpy()[5:], axis=1)
    assert report.median_norm == pytest.approx(np.median(norms), rel=1e-6)
    assert report.words == 92


def test_the_picture_holds_tokens_starts_label_words_and_nearest_words(artifact: Artifact) -> None:
    words = "negative=bad,not good; positive=great,very good"
    path = artifact("soft", "{soft:3}{text} {mask}", verbalizer=words, slots="first", change=shifted)
    (prompt,) = inspect_prompt(path).templates
    names = {kind: [mark.name for mark in prompt.marks if mark.kind == kind] for kind in ("token", "start", "label")}
    assert names["token"] == names["start"] == ["V0", "V1", "V2"]
    assert names["label"] == ["bad", "not good", "great", "very good"]
    nearest = {mark.name for mark in prompt.marks if mark.kind == "nearest"}
    assert nearest == {token.nearest[0].word for token in prompt.tokens}
    assert 0 < prompt.shares[1] <= prompt.shares[0] < 1


def test_a_head_has_no_label_words(artifact: Artifact) -> None:
    path = artifact("soft", "{soft:3}{text}", readout="head", verbalizer=None)
    report = inspect_prompt(path)
    assert not [mark for mark in report.templates[0].marks if mark.kind == "label"]
    assert "label word" not in draw(report)


@pytest.mark.parametrize("strategy", ["hard", "pet"])
def test_without_virtual_tokens_a_text_is_asked_for(artifact: Artifact, strategy: str) -> None:
    path = artifact(strategy, "{text} it was {mask}")
    with pytest.raises(UserError, match=r"has no virtual tokens; give a TEXT"):
        inspect_prompt(path)


@pytest.mark.parametrize("nearest", [0, 101])
def test_the_number_of_words_is_checked_before_anything_is_read(nearest: int) -> None:
    with pytest.raises(UserError, match=f"from 1 to 100, got {nearest}"):
        inspect_prompt("nowhere", nearest=nearest)


def test_a_third_partys_vectors_are_found_by_path_or_by_method() -> None:
    """`prompt.vectors` of shape (P, H), or what `virtual_vectors()` returns; other shapes are no word embeddings."""
    from mindspore import Tensor

    from promptkit.nn import PromptedModel, VirtualTokens

    class ByPath(PromptedModel):
        def __init__(self, shape: tuple[int, ...]) -> None:
            super().__init__()
            self.prompt = VirtualTokens(np.ones(shape, np.float32))

    class ByMethod(PromptedModel):
        def virtual_vectors(self) -> Any:
            return Tensor(np.full((2, 8), 3.0, np.float32))

    assert virtual_vectors(ByPath((5, 8)), 8).tolist() == [[1.0] * 8] * 5
    assert virtual_vectors(ByMethod(), 8).tolist() == [[3.0] * 8] * 2
    assert virtual_vectors(ByPath((5, 8)), 9) is None
    assert virtual_vectors(ByPath((2, 5, 8)), 8) is None
    assert virtual_vectors(PromptedModel(), 8) is None


def test_the_picture_is_the_same_bytes_every_time_and_names_the_label_words(
    artifact: Artifact, tmp_path: Path
) -> None:
    path = artifact("soft", SOFT, "{text} {soft:2} {mask}", change=shifted)
    report = inspect_prompt(path)
    svg = draw(report)
    assert svg == draw(inspect_prompt(path))
    texts = {element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {"V0", "V3", "bad", "great", SOFT, "label word", "where it started"} <= texts
    save_picture(report, tmp_path / "a.svg")
    assert ET.fromstring((tmp_path / "a.svg").read_text(encoding="utf-8")).tag.endswith("svg")
    save_picture(report, tmp_path / "a.PNG")
    assert (tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"ending in \.svg or \.png"):
        save_picture(report, tmp_path / "a.pdf")
    (tmp_path / "b.svg").mkdir()
    with pytest.raises(UserError, match="exists and is not a file"):
        save_picture(report, tmp_path / "b.svg")


def test_the_page_needs_nothing_but_itself_and_escapes_what_it_shows(artifact: Artifact) -> None:
    page = report_page(inspect_prompt(artifact("soft", "{soft:2}{text} <b>&{mask}", change=shifted)))
    assert "<b>" not in page
    assert "{soft:2}{text} &lt;b&gt;&amp;{mask}" in page
    assert page.index("<table") < page.index("<svg")
    for outside in ("<script", "<link", "<img", "@import", 'src="', 'href="http'):
        assert outside not in page
    assert "Khashabi et al. (2022" in page
    assert "Lester et al. (2021, section 7)" in page


def test_the_report_as_json_values(artifact: Artifact) -> None:
    import json

    plain = json.loads(json.dumps(inspect_prompt(artifact("soft", SOFT), nearest=2).to_dict(), allow_nan=False))
    (prompt,) = plain["templates"]
    assert set(prompt) == {"template", "tokens", "marks", "shares", "movement"}
    assert set(prompt["tokens"][0]) == {"name", "start", "moved", "start_cosine", "norm", "nearest"}
    assert set(prompt["tokens"][0]["nearest"][0]) == {"word", "id", "cosine", "distance"}
