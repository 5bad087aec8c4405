"""The plots of a comparison, as SVG text. Each returns None where there is nothing to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from promptkit.analysis.summary import Summary
from promptkit.drawing.accuracy import accuracy
from promptkit.drawing.confusion import confusion
from promptkit.drawing.cost import cost
from promptkit.drawing.curves import learning_curves
from promptkit.drawing.variants import variant_curves, variant_dots

PLOTS: Mapping[str, Callable[[Summary], str | None]] = {
    "accuracy": accuracy,
    "variant-curves": variant_curves,
    "variant-dots": variant_dots,
    "confusion": confusion,
    "learning-curves": learning_curves,
    "cost": cost,
}
"""Every plot by name, in the order of the page. Identifiers in an SVG begin with its name."""

__all__ = ["PLOTS", "accuracy", "confusion", "cost", "learning_curves", "variant_curves", "variant_dots"]
