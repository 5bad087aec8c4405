"""blocks.md has every name of promptkit.nn as the code has it, and its examples give what stands behind them."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import load, prompt_task
from scripts import DOCS, load_script

pytest.importorskip("mindspore")

from promptkit import nn
from promptkit.data import plan_rows
from promptkit.testing import load_model, write_tiny_model
from promptkit.training import Classification, Executor, PackedSource

PAGE = (DOCS / "blocks.md").read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    return dict(re.findall(r"^### ([\w.]+)\n((?:(?!^##).*\n)*)", PAGE, re.M))


def code_of(section: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", section.split("<!-- end reference -->")[1], re.M | re.S))


def test_every_public_name_has_its_section_and_an_example_of_it() -> None:
    found = sections()
    assert "reference: promptkit.prompting.verbalizer.ResolvedVerbalizer" in found.pop("task.verbalizer")
    assert sorted(found) == sorted(nn.__all__)
    for name, section in found.items():
        assert f"<!-- reference: promptkit.nn.{name} -->" in section
        word = {"Inputs": "batch.inputs", "Backbone": "backbone", "BackboneInfo": "backbone.info"}.get(name, name)
        assert word in code_of(section), f"no example of {name}"


@pytest.mark.parametrize("page", ["blocks.md", "hooks.md"])
def test_what_is_said_of_the_names_is_what_the_code_says(page: str) -> None:
    script, text = load_script("make_reference"), (DOCS / page).read_text(encoding="utf-8")
    assert script.render(text) == text, "run python docs/make_reference.py"
    first = script.names(text)[0]
    stale = re.sub(rf"(<!-- reference: {first} -->\n)", r"\1Something else.\n", text)
    assert script.render(stale) == text


def test_the_examples_give_what_stands_behind_them(tmp_path: Path) -> None:
    backbone = load("bert-odd")
    task = prompt_task(backbone.tokenizer, "{soft:3}{text} It was {mask}.")
    plain = prompt_task(backbone.tokenizer, "{text} It was {mask}.")
    inputs, info = task.encode(["a good film", "the plot was bad"]).inputs, backbone.info
    sizes = dict(zip("RSEM", (*inputs["token_ids"].shape, *inputs["read"].shape[1:]), strict=True))
    sizes |= {"N": sizes["R"] * sizes["E"], "H": info.hidden_size, "L": info.layers, "A_kv": info.kv_heads}
    sizes |= {"D": info.head_width, "V": info.vocab_size, "P": 3, "C": 2}

    def checked(line: str, found: Any, written: str) -> None:
        assert found == eval(written, dict(sizes)), line
        done.append(line)

    done: list[str] = []
    code = "\n".join(map(code_of, sections().values()))
    path = tmp_path / "blocks.py"
    # In a file, for that is where MindSpore looks for a class's source.
    path.write_text(with_checks(code), encoding="utf-8")
    load_script(path, backbone=backbone, task=task, plain=plain, checked=checked)
    assert len(done) == len(re.findall(r"^\S.*  # ", code, re.M)) > 25


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_the_readout_of_the_page_reads_words_of_several_pieces(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"^```python\n(import.*class LikeliestWord.*?)^Likeliest", PAGE, re.M | re.S)
    (tmp_path / "likeliest.py").write_text(code, encoding="utf-8")
    page = load_script(tmp_path / "likeliest.py")
    monkeypatch.setitem(sys.modules, "likeliest", page)
    backbone = load_model(write_tiny_model(tmp_path / "model", kind))

    def scores(words: str, *, own: bool) -> Any:
        task = prompt_task(backbone, "{text} it was {mask}", words, kind=kind)
        model = nn.ClozePrompt(backbone, task)
        if own:
            model.head = page.LikeliestWord(backbone, task.verbalizer)
        warnings: list[str] = []
        encoded = task.encoder.encode_many([{"text": text} for text in ("a good film", "the plot was bad")])
        rows = plan_rows([len(each.token_ids) for each in encoded], 2)
        source = PackedSource(task.packer(encoded, [0, 1], batch_size=2, rows=rows))
        found = Executor(model, "graph", warnings.append, Classification(2)).scores(source)
        assert warnings == []
        return found

    one, other = (scores(f"positive={word}; negative=not bad", own=False) for word in ("very good", "so great"))
    both = scores("positive=very good,so great; negative=not bad", own=True)
    # What all words of a masked model have in common, the normalisers of its two slots, is left out.
    one, other, both = (each[:, 1] - each[:, 0] for each in (one, other, both))
    assert np.abs(both - np.maximum(one, other)).max() < 1e-4


def with_checks(code: str) -> str:
    """Turn every `value  # what it is` into a check."""
    lines = code.splitlines()
    for node in ast.parse(code).body:
        text, mark, written = lines[node.lineno - 1].partition("  # ")
        if isinstance(node, ast.Expr) and mark:
            lines[node.lineno - 1] = f"checked({text!r}, {text}, {written!r})"
    return "\n".join(lines)
