"""Classes that cannot be told: those that train lacks, and those whose labels are hardly two."""

from __future__ import annotations

from dataclasses import replace

from promptkit.checking import cut
from promptkit.data.doubles import folded
from promptkit.data.task import Task
from promptkit.errors import listed

NO_EXAMPLE = "train has no example of "
"""How the caution begins that is for what learns from train alone."""
_LONGEST = 120  # characters of labels in a caution


def note_classes(task: Task) -> Task:
    """Return the task with cautions about classes without training example, and labels of (nearly) one spelling."""
    learnable = {example.label for example in task.train}
    lacking = [label for label in task.labels if label not in learnable]
    cautions = []
    if lacking:
        count = sum(example.label in lacking for example in task.test)
        names, them = cut(", ".join(lacking), _LONGEST), "it" if len(lacking) == 1 else "them"
        cautions.append(
            f"{NO_EXAMPLE}{names} ({count:,} of {len(task.test):,} test texts): what learns from train cannot learn "
            f"{them}"
        )
    spelt: dict[str, list[str]] = {}
    for label in task.labels:
        spelt.setdefault(folded(label), []).append(f"'{label}'")
    if alike := "; ".join(listed(labels) for labels in spelt.values() if len(labels) > 1):
        cautions.append(
            "labels that differ only in letter case or white space are classes of their own: " + cut(alike, _LONGEST)
        )
    # A plugin's set may come from a reader that has looked already.
    return replace(task, cautions=tuple(dict.fromkeys((*task.cautions, *cautions)))) if cautions else task
