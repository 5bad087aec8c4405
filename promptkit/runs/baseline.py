"""The record of a baseline: what any prompt has to beat, measured on the same draw."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from promptkit.checking import checked, parse_json_object
from promptkit.runs.record import Cost, LearntParameters, RecordPart, Scores, TaskInfo, Versions, now
from promptkit.version import __version__


class BaselineRecord(RecordPart):
    """A baseline on one draw of the data. It keeps no artifact, so it has no directory either.

    Attributes:
        name: `majority` or `tfidf`.
        summary: what it is, in one line.
        data: the data set as it was asked for.
        shots: K examples a class, None for all.
        seed: of the draw.
        fold: which fold of how many it was tested on, from 1; None outside a cross-validation.
        settings: what it was fitted with.
        parameters: the coefficients of a linear classifier count as `head`.
    """

    name: str
    summary: str
    promptkit: str = __version__
    created: str = Field(default_factory=now)
    data: str
    shots: int | None
    seed: int
    fold: tuple[int, int] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    task: TaskInfo
    versions: Versions = Field(default_factory=Versions.collect)
    dev: Scores
    test: Scores
    parameters: LearntParameters
    cost: Cost

    @classmethod
    def from_json(cls, text: str, source: str = "the record") -> BaselineRecord:
        """Read a record; `source` is what to call it in an error.

        Raises:
            UserError: if it is not JSON, or not the record of a baseline.
        """
        values = parse_json_object(text, f"'{source}'", nan=True)
        return checked(cls, values, f"'{source}' is not the record of a baseline")
