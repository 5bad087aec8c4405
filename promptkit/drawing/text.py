"""Text that comes from the data, made fit to be shown, and how wide it will be; numbers to read."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left

# What neither XML nor a reader can do anything with: control characters, surrogates, and the two non-characters.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_GAP = 0.02


def plain(text: str) -> str:
    """Return the text in one line, with U+FFFD for every character that cannot be printed."""
    return " ".join(_UNPRINTABLE.sub("\ufffd", text).split())


def shorten(text: str, length: int) -> str:
    """Return the text in one line, cut to `length` characters, the last of them an ellipsis."""
    line = plain(text)
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def text_width(text: str, size: float) -> float:
    """Return about how wide a text of font size `size` is, in the unit of `size`; rather too wide than too narrow.

    The font that measures is not the one the reader has: Chinese characters, for one, are not in it.
    """
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return size * (wide + 0.62 * (len(text) - wide) + _GAP)


def fit(text: str, width: float, size: float) -> str:
    """Return the text in one line, cut so that it is at most `width` wide."""
    line = plain(text)
    if text_width(line, size) <= width or len(line) == 1:
        return line
    return line[: _fitting(line, width - text_width("…", size), size)].rstrip() + "…"


def _fitting(text: str, width: float, size: float) -> int:
    """Return how many of a text's characters are at most `width` wide, at least one."""
    return max(1, bisect_left(range(1, len(text)), True, key=lambda count: text_width(text[:count], size) > width))


def wrap(text: str, width: float, size: float, *, tail: str = "") -> str:
    """Return the text broken at a space into two lines at most `width` wide.

    What does not go into them is cut, but not `tail`, which stands at the end.
    """
    above: list[str] = []
    rest = plain(text).split(" ")
    if text_width(" ".join(rest) + tail, size) > width:
        if text_width(rest[0], size) > width:
            # One word, as a name in Chinese is: broken where the line ends.
            count = _fitting(rest[0], width, size)
            above = [rest[0][:count]]
            rest = [rest[0][count:], *rest[1:]] if rest[0][count:] else rest[1:]
        else:
            count = 1
            while count < len(rest) and text_width(" ".join(rest[: count + 1]), size) <= width:
                count += 1
            above = [fit(" ".join(rest[:count]), width, size)]
            rest = rest[count:]
    last = fit(" ".join(rest), width - text_width(tail, size), size) + tail if rest else tail.lstrip(", ")
    return "\n".join([*above, last])


def percent(share: float | None) -> str:
    """Return a share to read, e.g. `73.8 %`; a dash for one that was never measured."""
    return "–" if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def amount(value: float) -> str:
    """Return a number with three significant digits and no exponent, e.g. `0.05`, `12.3`, `1,230`."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def human_count(count: int) -> str:
    """Return a count to read, e.g. `512`, `12.3 K`, `22.7 M`."""
    if count < 1000:
        return str(count)
    value = count / 1000
    for unit in ("K", "M"):
        # 999.95 and above would be rounded to 1000.0.
        if value < 999.95:
            return f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} G"
