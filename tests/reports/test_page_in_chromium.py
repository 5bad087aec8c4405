"""The page in a real browser: no complaint on the console, every plot visible, nothing wider than the screen."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from chromium import CHROMIUM, open_page
from fake_comparisons import fake_comparison
from page_files import write_texts

from promptkit.analysis import summarise
from promptkit.reports.page import report_page
from promptkit.runs.stored import StoredComparison

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH to open the page in"),
]

# The page forbids scripts, so it is measured from around it. A frame can be narrower than a window may be.
_FRAME = '<iframe style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe>'
_MEASURE = """<script>
const box = element => element.getBoundingClientRect();
const measure = frame => {
  const inside = frame.contentDocument, view = inside.scrollingElement;
  const texts = [...inside.querySelectorAll("figure svg text")];
  return {
    scroll: view.scrollWidth, client: view.clientWidth,
    plots: [...inside.querySelectorAll("figure > svg")].map(svg => [svg.id, box(svg).width, box(svg).height]),
    spilt: texts.filter(text => {
      const inner = box(text), outer = box(text.closest("svg"));
      return inner.left < outer.left - 1 || inner.right > outer.right + 1
        || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
    }).map(text => text.textContent),
    // A font's size in CSS pixels, as it is shown: what it is in the drawing, times how far that is stretched.
    smallest: Math.min(...texts.map(text => {
      const svg = text.closest("svg");
      return parseFloat(getComputedStyle(text).fontSize) * box(svg).width / svg.viewBox.baseVal.width;
    })),
    hint: inside.querySelector(".hint").getClientRects().length > 0,
    cut: (table => table.scrollWidth > table.clientWidth)(inside.querySelector(".scroll")),
  };
};
onload = () => {
  const note = document.createElement("pre");
  note.id = "measured";
  note.textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(measure));
  document.body.append(note);
};
</script>"""
WIDTHS = (360, 1280)

CASES: dict[str, dict[str, Any]] = {
    "all plots": {
        "variants": {"soft": ("tokens=1", "tokens=5", "tokens=20"), "pet": ("great / terrible", "good / bad")}
    },
    "one run": {"strategies": ("soft",), "baselines": (), "shots": (16,), "seeds": (0,)},
    "a missing cell": {"missing": [("soft", "", 16, 1), ("pet", "", "full", 0)]},
    "eight variants": {
        "strategies": ("soft",),
        "variants": {"soft": tuple(f"a variant with a long name, number {number}" for number in range(8))},
    },
    "Chinese": {"name": "中文评论", "variants": {"pet": ("好 / 差", "不错 / 糟糕", "总之很{mask}。{text}")}},
}
TEXTS = [
    "<script>document.title = 'broken'</script>",
    "停车场乱收费，还不给发票，专坑外地人。" * 9,
    "word " * 90,
    "x" * 400,
]


def made(case: str, folder: Path) -> StoredComparison:
    comparison = fake_comparison(**{"test_examples": 60, "folder": folder, **CASES[case]})
    write_texts(comparison, TEXTS)
    return comparison


def measure(page: str, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Open a page in a frame of each width; return what was measured, and what the console said."""
    frames = "".join(_FRAME.format(width=width, page=html.escape(page)) for width in WIDTHS)
    file = folder / "frames.html"
    file.write_text(f'<!doctype html><meta charset="utf-8"><body>{frames}{_MEASURE}', encoding="utf-8")
    run = open_page(file, "--enable-logging=stderr", "--v=0", "--window-size=1400,1000", "--dump-dom")
    found = re.search(r'<pre id="measured">(.*?)</pre>', run.stdout, re.DOTALL)
    assert found is not None, run.stderr
    return json.loads(html.unescape(found[1])), [line for line in run.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The page of a case, made once."""

    @cache
    def make(case: str) -> str:
        return report_page(summarise(made(case, tmp_path_factory.mktemp("store"))))

    return make


@pytest.mark.parametrize("case", list(CASES))
def test_every_plot_shows_and_nothing_is_wider_than_the_screen(
    case: str, page_of: Callable[[str], str], tmp_path: Path
) -> None:
    page = page_of(case)
    expected = [f"plot-{name}" for name in re.findall(r'<figure id="figure-([\w-]+)">', page)]
    assert len(expected) >= 4
    several, console = measure(page, tmp_path)
    assert console == []
    for width, measured in zip(WIDTHS, several, strict=True):
        assert measured["scroll"] <= measured["client"] <= width
        assert [name for name, _, _ in measured["plots"]] == expected
        for name, wide, high in measured["plots"]:
            assert wide > 0.8 * min(width, 500), name
            assert high > 100, name
        assert measured["spilt"] == []
        assert measured["smallest"] > 8.8
    phone = several[0]
    assert phone["cut"]
    assert phone["hint"], "a table that is cut says that it scrolls"


def test_a_page_that_is_broken_is_noticed(page_of: Callable[[str], str], tmp_path: Path) -> None:
    broken = page_of("one run").replace("</main>", '<script>alert(1)</script><p style="width:3000px">wide</p></main>')
    (phone, _), console = measure(broken, tmp_path)
    assert any("Content Security Policy" in line for line in console)
    assert phone["scroll"] > phone["client"]


def test_it_prints(page_of: Callable[[str], str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(page_of("all plots"), encoding="utf-8")
    paper = tmp_path / "page.pdf"
    open_page(page, f"--print-to-pdf={paper}")
    assert paper.read_bytes().startswith(b"%PDF")
    assert paper.stat().st_size > 20_000
