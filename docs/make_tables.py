"""Copies the measured tables of docs/tables/ into the pages that show them.

    python docs/make_tables.py [--check]

Between `<!-- table: NAME -->` and `<!-- end table -->` in README.md, docs/*.md and docs/strategies/*.md stands what
docs/tables/NAME.md holds, which `promptkit report` or a script in benchmarks/ wrote; where there is no such file,
that it has not been measured yet. `<!-- table: NAME, columns: A; B -->` shows these columns alone, and the first of
the notes, which is the verdict. With `--check` nothing is written, and the exit code is 1 if a page is out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_YET = "_Not measured yet._\n"
MARKED = re.compile(r"(<!-- table: ([\w-]+)(?:, columns: ([^\n>]+))? -->\n)(.*?)(<!-- end table -->)", re.DOTALL)


def pages() -> list[Path]:
    """Return the files that may show tables."""
    docs = ROOT / "docs"
    return [ROOT / "README.md", *sorted(docs.glob("*.md")), *sorted((docs / "strategies").glob("*.md"))]


def filled(page: str) -> str:
    """Return a page with every table that was measured."""

    def table(match: re.Match[str]) -> str:
        path = ROOT / "docs" / "tables" / f"{match[2]}.md"
        body = path.read_text(encoding="utf-8").strip() + "\n" if path.is_file() else NOT_YET
        if match[3] and body != NOT_YET:
            body = narrowed(body, match[3].split("; "))
        return f"{match[1]}{body}{match[5]}"

    return MARKED.sub(table, page)


def narrowed(body: str, columns: Sequence[str]) -> str:
    """Return some columns of a table, and the first of the notes below it."""
    lines = body.splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    places = [[head.strip() for head in rows[0]].index(name) for name in columns]
    shown = ["|" + "|".join(row[place] for place in places) + "|" for row in rows]
    return "\n".join([*shown, "", *[line for line in lines if line.startswith("- ")][:1]]) + "\n"


def main() -> int:
    """Bring every page up to date, or say which are not."""
    stale = []
    for path in pages():
        page = path.read_text(encoding="utf-8")
        new = filled(page)
        if new != page:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    if stale:
        print("out of date: " + ", ".join(stale) if "--check" in sys.argv else "written: " + ", ".join(stale))
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
