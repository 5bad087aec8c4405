"""A Sphinx extension: equations become MathML while the site is built, so that a page needs no script for them."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

_log = logging.getLogger(__name__)
# latex2mathml writes "log p" without the space that TeX puts behind the name of a function.
_NAMES = re.compile(r"(<mi>(?:log|exp)</mi>)(?!<mo)")
_SPACE = '<mspace width="0.17em"></mspace>'
# What it passes on without understanding it.
_UNREAD = re.compile(r"\\[A-Za-z]*|<mi>&</mi>")


def to_mathml(latex: str, *, block: bool) -> str:
    """Return an equation as a `<math>` element.

    Raises:
        ValueError: if a command is not understood, with that command.
    """
    markup = _NAMES.sub(rf"\1{_SPACE}", convert(latex, display="block" if block else "inline"))
    if unread := _UNREAD.search(markup):
        raise ValueError(f"no MathML for '{unread[0]}' in '{latex}'")
    return markup


def _visit(writer: Any, node: nodes.Element, *, block: bool) -> None:
    try:
        markup = to_mathml(node.astext(), block=block)
    except Exception as error:  # latex2mathml has a dozen kinds; -W makes a failure of any of them
        _log.warning("equation: %s", error, location=node)
        markup = f"<code>{writer.encode(node.astext())}</code>"
    writer.body.append(f'<div class="equation">{markup}</div>\n' if block else markup)
    raise nodes.SkipNode


def _visit_inline(writer: Any, node: nodes.Element) -> None:
    _visit(writer, node, block=False)


def _visit_block(writer: Any, node: nodes.Element) -> None:
    _visit(writer, node, block=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer under the name `mathml`."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
