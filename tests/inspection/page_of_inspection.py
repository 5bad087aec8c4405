"""A page opened in a real browser, in a frame as wide as a phone."""

from __future__ import annotations

import html
import re
from pathlib import Path

from chromium import open_page

_MEASURE = """<script>
onload = () => {
  const inside = document.querySelector("iframe").contentDocument, note = document.createElement("pre");
  const end = element => element.getBoundingClientRect().right;
  const last = [...inside.querySelectorAll("body *")].sort((one, other) => end(other) - end(one))[0];
  note.id = "measured";
  const view = inside.scrollingElement.clientWidth;
  note.textContent = `${view} ${end(last)} ${last.tagName} ${last.id} ${last.textContent}`;
  document.body.append(note);
};
</script>"""


def widths_on_a_phone(page: str, folder: Path) -> tuple[float, float, str]:
    """Return how wide the view is, how far to the right the page reaches, in CSS pixels, and what of it does."""
    frame = f'<iframe style="border:0;width:360px;height:900px" srcdoc="{html.escape(page)}"></iframe>'
    file = folder / "frame.html"
    file.write_text(f'<!doctype html><meta charset="utf-8"><body>{frame}{_MEASURE}', encoding="utf-8")
    run = open_page(file, "--dump-dom")
    found = re.search(r'<pre id="measured">([\d.]+) ([\d.]+) ([^<]*)</pre>', run.stdout)
    assert found is not None, run.stderr
    return float(found[1]), float(found[2]), found[3]
