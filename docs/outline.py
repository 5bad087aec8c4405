"""A Sphinx extension: the sidebar, and links that lead out of the site.

The sidebar is made from docs/index.md. Each section there has a table of pages; it becomes a part of the sidebar
under the section's heading, so that a page is named in one place only. A link to a file of the repository that is
no page of the site (a card, an example) becomes the file's path in the repository.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

_SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n)*)", re.MULTILINE)
_PAGE = re.compile(r"^\| \[[^\]]+\]\(([\w/-]+)\.md\) \|", re.MULTILINE)
# Not of a picture, which is part of its page.
_LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def sidebar(index: str) -> str:
    """Return a hidden toctree for every section of index.md that lists pages."""
    parts = []
    for caption, body in _SECTION.findall(index):
        if pages := _PAGE.findall(body):
            parts.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""]))
    return "\n".join(parts)


def without_outside_links(text: str, page: Path, docs: Path, pages: set[Path]) -> str:
    """Return a page in which links to files that are not in the site have become their names.

    Args:
        text: the Markdown.
        page: its file.
        docs: the folder of the site; its parent is the repository.
        pages: the files that are pages.
    """

    def named(match: re.Match[str]) -> str:
        label, target = match[1], match[2]
        file = (page.parent / target).resolve()
        if re.match(r"[a-z]+:", target) or file in pages or not file.exists():
            return match[0]
        path = file.relative_to(docs.parent).as_posix()
        plain = label.strip("`")
        return f"`{path}`" if path.endswith(plain) else f"{label} (`{path}`)"

    # Odd pieces are fenced code.
    pieces = _FENCE.split(text)
    return "".join(it if i % 2 else _LINK.sub(named, it) for i, it in enumerate(pieces))


def _on_read(app: Sphinx, docname: str, content: list[str]) -> None:
    docs = Path(app.srcdir)
    pages = {Path(app.env.doc2path(name)).resolve() for name in app.env.found_docs}
    page = Path(app.env.doc2path(docname)).resolve()
    if docname == "index":
        content[0] += "\n" + sidebar(content[0])
    content[0] = without_outside_links(content[0], page, docs.resolve(), pages)


def setup(app: Sphinx) -> dict[str, Any]:
    """Look at every page before it is parsed."""
    app.connect("source-read", _on_read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
