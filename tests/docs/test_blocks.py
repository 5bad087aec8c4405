"""blocks.md has every name of promptkit.nn as the code has it, and its examples give what stands behind them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from models import load, prompt_task
from scripts import DOCS, load_script

pytest.importorskip("mindspore")

from promptkit import nn

PAGE = (DOCS / "blocks.md").read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    return dict(re.findall(r"^### (\w+)\n((?:(?!^##).*\n)*)", PAGE, re.M))


def code_of(section: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", section.split("<!-- end reference -->")[1], re.M | re.S))


def test_every_public_name_has_its_section_and_an_example_of_it() -> None:
    assert sorted(sections()) == sorted(nn.__all__)
    for name, section in sections().items():
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


def with_checks(code: str) -> str:
    """Turn every `value  # what it is` into a check."""
    lines = code.splitlines()
    for node in ast.parse(code).body:
        text, mark, written = lines[node.lineno - 1].partition("  # ")
        if isinstance(node, ast.Expr) and mark:
            lines[node.lineno - 1] = f"checked({text!r}, {text}, {written!r})"
    return "\n".join(lines)
