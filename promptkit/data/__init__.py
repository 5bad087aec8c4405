"""From files to batches: readers, splits, K-shot draws, static shapes. Imports no MindSpore."""

from __future__ import annotations

from promptkit.data.batching import Batch, Batcher, plan_widths
from promptkit.data.catalog import list_datasets, load_task
from promptkit.data.cleaning import clean_text
from promptkit.data.splits import draw_shots
from promptkit.data.task import Example, Task

__all__ = [
    "Batch",
    "Batcher",
    "Example",
    "Task",
    "clean_text",
    "draw_shots",
    "list_datasets",
    "load_task",
    "plan_widths",
]
