"""How plots are drawn: those of a comparison are in `promptkit.drawing.plots`; here is what other pictures share."""

from promptkit.drawing.legend import Legend
from promptkit.drawing.notes import place_notes
from promptkit.drawing.svg import FONT, GREY, POINTS, WIDTH, add_axes, drawing, new_figure, to_svg
from promptkit.drawing.text import fit, shorten

__all__ = [
    "FONT", "GREY", "POINTS", "WIDTH", "Legend", "add_axes", "drawing", "fit", "new_figure", "place_notes", "shorten",
    "to_svg",
]  # fmt: skip
