"""From files to batches: readers, splits, K-shot draws, packed rows. Imports no MindSpore."""

from __future__ import annotations

from promptkit.data.answers import AnswerPacker, with_reads
from promptkit.data.catalog import list_datasets, load_task
from promptkit.data.cleaning import clean_text
from promptkit.data.folds import take_fold
from promptkit.data.limits import limit_splits
from promptkit.data.packing import Batch, Packer, Rows, as_targets, rows_for_any
from promptkit.data.pairs import PairTask
from promptkit.data.planning import plan_rows, plan_scoring_rows
from promptkit.data.splits import draw_shots
from promptkit.data.task import Example, Task
from promptkit.data.unlabelled import unlabelled_texts

__all__ = [
    "AnswerPacker",
    "Batch",
    "Example",
    "Packer",
    "PairTask",
    "Rows",
    "Task",
    "as_targets",
    "clean_text",
    "draw_shots",
    "limit_splits",
    "list_datasets",
    "load_task",
    "plan_rows",
    "plan_scoring_rows",
    "rows_for_any",
    "take_fold",
    "unlabelled_texts",
    "with_reads",
]
