"""A drawing as SVG text: real text, its own identifiers, the same bytes every time, and a description in words."""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from promptkit.drawing.text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 72.0
WIDTH = 288.0
"""Width of every plot in points: a phone gives a point about 1.27 CSS pixels, so that a 9-point label is read."""

FONT = 9.0
GREY = "#4d4d4d"

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
# Verdana is as wide as DejaVu Sans, which the layout is made with.
_FAMILY = "'DejaVu Sans', Verdana, sans-serif"
_FAMILIES = re.compile(r"'DejaVu Sans'[^;]*")
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": FONT,
    "axes.titlesize": FONT,
    "axes.labelsize": FONT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "xtick.labelsize": FONT - 0.5,
    "ytick.labelsize": FONT - 0.5,
    "legend.fontsize": FONT - 0.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 6.5,
}


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Draw with the house's style and nothing of the user's; `name` is the plot's."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # The browser has the glyphs that the measuring font lacks.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_STYLE, "svg.hashsalt": f"promptkit-{name}"})
        yield


def new_figure(height: float, title: str) -> Figure:
    """Return an empty figure of the common width, `height` points high, with its title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / POINTS, height / POINTS))
    figure.text(6 / WIDTH, 1 - 6 / height, title, ha="left", va="top", fontsize=FONT + 1.5, fontweight="bold")
    return figure


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float, **more: Any) -> Axes:
    """Return new axes at a place given in points from the lower left corner."""
    total = figure.get_figheight() * POINTS
    return figure.add_axes((left / WIDTH, bottom / total, width / WIDTH, height / total), **more)


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Return the figure as an SVG element, without XML declaration.

    Every identifier begins with the plot's name, so that several plots can stand in one page. `title` and
    `description` are what a screen reader says.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(stream.getvalue())
    for child in list(root):
        if child.tag == f"{{{_SVG}}}metadata":
            root.remove(child)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}style":
                # Inlined in a page it would apply to the whole page; on the root it is inherited.
                parent.remove(child)
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    for element in root.iter():
        _rename(element, name)
    _describe(root, name, plain(title), plain(description))
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ET.tostring(root, encoding="unicode")


def _rename(element: ET.Element, name: str) -> None:
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key == _XLINK and value.startswith("#"):
            element.set(key, f"#{name}-{value[1:]}")
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))
        elif key == "style":
            element.set(key, _FAMILIES.sub(_FAMILY, value))


def _describe(root: ET.Element, name: str, title: str, description: str) -> None:
    words = ET.Element(f"{{{_SVG}}}title", {"id": f"{name}-title"})
    words.text = title
    more = ET.Element(f"{{{_SVG}}}desc", {"id": f"{name}-desc"})
    more.text = description
    root.insert(0, words)
    root.insert(1, more)
    root.set("id", f"plot-{name}")
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title")
    root.set("aria-describedby", f"{name}-desc")
