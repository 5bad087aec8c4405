"""Where a text is divided for `{text:first}` and `{text:second}`."""

from __future__ import annotations

import re

from promptkit.prompting.spacing import EAST_ASIAN

_BREAK = re.compile(rf"\s+|(?<=[{EAST_ASIAN}])|(?=[{EAST_ASIAN}])")


def split_halves(text: str) -> tuple[str, str]:
    """Return the first and the second half of a text; together they hold every word once, in order.

    The text is divided at the white space nearest its middle, counted in characters; of two equally near ones, at
    the earlier. Beside a Chinese or Japanese character it may be divided as if white space stood there. No other
    word is cut: a text that has nowhere to be divided is all first half.
    """
    bare = text.strip()
    breaks = [match.span() for match in _BREAK.finditer(bare) if match.start() > 0 and match.end() < len(bare)]
    if not breaks:
        return bare, ""
    start, end = min(breaks, key=lambda span: abs(span[0] + span[1] - len(bare)))
    return bare[:start].rstrip(), bare[end:].lstrip()
