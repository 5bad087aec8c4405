"""The table of operators in compiled graphs: what it says of platforms, and that graphs hold what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mindspore")

DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.insert(0, str(DOCS))

import make_operators as script

GRAPH = """
# In file x.py:1/    y = mix_in(a)/
subgraph @one() {
  %0(y) = PrimFunc_MatMul(%para1_x, %para2_w, Bool(0), Bool(1)) primitive_attrs: {}
  %1(CNode_3) = LSTM(%0) {instance name: x}
  %2(CNode_4) = call @two(%1)
  %3(z) = TupleGetItem(%2, I64(0))
      # In file x.py:2, 4~9/    z = mix_in(b)/
"""


@pytest.fixture(scope="module")
def table() -> dict[str, tuple[str, str]]:
    part = (DOCS / "operators.md").read_text(encoding="utf-8").split("<!-- compiled operators -->")[1]
    part = part.split("<!-- end compiled operators -->")[0]
    return {name: (said, where) for name, said, where in re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", part, re.M)}


def test_operators_are_read_from_a_graph() -> None:
    assert script.operators_of(GRAPH) == {"MatMul", "LSTM"}


def test_every_operator_is_documented_for_ascend_or_named_there(table: dict[str, tuple[str, str]]) -> None:
    libraries = script.ascend_libraries()
    assert len(table) > 40
    for name, (said, _) in table.items():
        known = script.platforms(name)
        assert said == (known or "not said; named in the libraries for Ascend"), name
        if name == "LSTM":  # on Ascend `ptuning` has one of matrix products
            assert known == "GPU CPU"
        else:
            assert "Ascend" in known.split() if known else script.is_named(name, libraries), name
    assert not script.is_named("NoSuchOperator", libraries)
    assert not script.platforms("NoSuchOperator")


def test_the_shorter_list_is_given() -> None:
    every = ["a", "b", "c", "d (causal)"]
    for having in ([], ["a"], ["a", "b"], ["a", "b", "d (causal)"], every):
        said = script.where(having, every)
        assert [label for label in every if script.is_in(label, said)] == having, said
    assert script.where(["a", "b", "d (causal)"], every) == "all but c"


@pytest.mark.slow
def test_graphs_hold_what_the_table_says(table: dict[str, tuple[str, str]]) -> None:
    runs: Any = [("soft", "masked"), ("prefix", "causal")]
    for label, operators in script.compiled(runs).items():
        listed = {name for name, (_, said) in table.items() if script.is_in(label, said)}
        assert set(operators) == listed, label
