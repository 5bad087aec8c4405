"""The same as an HTML page that needs nothing but itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptkit.inspection.attribution import Attribution, Piece
from promptkit.inspection.report import PromptReport
from promptkit.inspection.text import (
    cosine_text,
    distance_text,
    method_text,
    movement_text,
    prefix_text,
    short_name,
    size_texts,
)

_TEMPLATE = "page.html"
# The darkest shade still leaves black text with a contrast of more than 7 to 1.
_DARKEST = 0.6


@dataclass(frozen=True)
class _Shaded:
    """A piece with its sign and how dark it is: `sign` is `+`, `−` or empty, `shade` from 0 to `_DARKEST`."""

    piece: Piece
    sign: str
    shade: float


def report_page(report: PromptReport) -> str:
    """Return the page of what a run learnt: the tables first, then the picture, where there are virtual tokens."""
    from markupsafe import Markup

    from promptkit.inspection.picture import draw

    # The SVG is made here, and every text in it was escaped on the way in.
    picture = Markup(draw(report)) if report.templates else None
    title = "Virtual tokens" if report.templates else "Prefix"
    return _render(kind="report", title=title, report=report, picture=picture)


def attribution_page(found: Attribution, run: str) -> str:
    """Return the page of a prediction: its pieces, shaded by what they change.

    Args:
        found: what `attribute` returned.
        run: the run's name or path; the page shows its last part.
    """
    shaded = [_shade(template.pieces) for template in found.templates]
    method = method_text(found)
    return _render(
        kind="attribution", title="What the prediction hangs on", found=found, run=run, shaded=shaded, method=method
    )


def _shade(pieces: tuple[Piece, ...]) -> list[_Shaded]:
    largest = max((abs(piece.change) for piece in pieces if piece.change is not None), default=0.0)
    return [_Shaded(piece, _sign(piece.change), _share(piece.change, largest)) for piece in pieces]


def _sign(change: float | None) -> str:
    if change is None or abs(change) < 0.0005:
        return ""
    return "+" if change > 0 else "−"


def _share(change: float | None, largest: float) -> float:
    return round(_DARKEST * abs(change) / largest, 3) if change is not None and largest else 0.0


def _render(**values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {"sizes": size_texts, "prefix": prefix_text}
    filters |= {"distance": distance_text, "cosine": cosine_text, "movement": movement_text, "short": short_name}
    environment.filters.update(filters)
    return str(environment.get_template(_TEMPLATE).render(**values))
