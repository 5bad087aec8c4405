"""Text in Markdown."""

from __future__ import annotations

import re

# Underscores within a word are no emphasis, so `my_metric` stays as it is.
_SIGNS = re.compile(r"[\\`*<|\[~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")


def markdown_text(text: str) -> str:
    """Return text in one line that Markdown shows as it is: no end of a cell, no tag, no link, no emphasis."""
    return _SIGNS.sub(r"\\\g<0>", " ".join(text.split()))
