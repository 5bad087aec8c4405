"""What the tests of pages and plots share: predictions with texts on disk, and what is inside an SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np

from promptkit.data import Example
from promptkit.runs import write_predictions
from promptkit.runs.stored import StoredComparison

SVG = "{http://www.w3.org/2000/svg}"


def Text(text: str, text_b: str | None = None) -> Example:  # noqa: N802
    return Example(text, "", text_b)


def write_texts(comparison: StoredComparison, texts: Sequence[str], second: Sequence[str] | None = None) -> None:
    """Write `predictions.tsv` of every run that has a directory; texts are repeated as often as needed."""
    for entry in comparison.entries:
        run = entry.run
        if run is None or run.directory is None:
            continue
        run.directory.mkdir(parents=True)
        size, labels = len(run.truth), run.record.task.labels
        examples = [Text(texts[i % len(texts)], second[i % len(second)] if second else None) for i in range(size)]
        chances = np.full((size, len(labels)), 1 / len(labels))
        path = run.directory / "predictions.tsv"
        write_predictions(path, labels, run.truth.tolist(), run.predicted.tolist(), chances, examples)


def words(svg: str) -> list[str]:
    """Return what the text elements of an SVG say."""
    return ["".join(element.itertext()).strip() for element in ET.fromstring(svg).iter(f"{SVG}text")]


def identifiers(svg: str) -> list[str]:
    """Return every id in an SVG."""
    return [element.attrib["id"] for element in ET.fromstring(svg).iter() if "id" in element.attrib]
