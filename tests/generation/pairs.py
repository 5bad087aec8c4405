"""A few pairs of texts and answers, in words that the tiny causal model knows."""

from __future__ import annotations

from pathlib import Path

SUBJECTS = ("the film", "this movie", "the plot", "the story", "one actor", "all this", "that film", "it")
ANSWERS = {"good": "yes it was very good", "bad": "no it was not good", "boring": "no"}
TEMPLATE = '{soft:"the film is good and the plot was bad"}{instruction} ? {mask}'
"""Its virtual tokens are enough for a front."""


def write_pairs(folder: Path) -> Path:
    """Write pairs as `train.tsv` (16), `dev.tsv` (4) and `test.tsv` (4), no text twice; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{subject} was {word}\t{answer}" for word, answer in ANSWERS.items() for subject in SUBJECTS]
    rows = rows[::5] + rows[1::5] + rows[2::5] + rows[3::5] + rows[4::5]
    for split, part in (("train", rows[:16]), ("dev", rows[16:20]), ("test", rows[20:])):
        lines = ["instruction\tanswer", *part]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
