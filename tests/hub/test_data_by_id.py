"""Data sets by id: the same caches and options as models, and what `datasets` makes of their files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hosts import COMMIT, Host

from promptkit import load_task
from promptkit.errors import UserError
from promptkit.hub import Access

README = b"""---
configs:
- config_name: first
  data_files:
  - split: train
    path: first/train-*
  - split: validation
    path: first/validation-*
  - split: test
    path: first/test-*
- config_name: second
  data_files:
  - split: train
    path: second/train-*
---
# A set
"""


def parquet(labels: list[int], *, start: int = 0) -> bytes:
    """Return texts of two classes as the Hub keeps them."""
    import datasets

    features = datasets.Features(
        sentence=datasets.Value("string"),
        label=datasets.ClassLabel(names=["terrible", "great"]),
        idx=datasets.Value("int32"),
        parts=datasets.Sequence(datasets.Value("string")),
    )
    rows = {
        "sentence": [f"text {start + n}" for n in range(len(labels))],
        "label": labels,
        "idx": list(range(len(labels))),
        "parts": [["a"]] * len(labels),
    }
    out = io.BytesIO()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(out)
    return out.getvalue()


@pytest.fixture
def glue(host: Host) -> Host:
    """A host with a set of two configurations, of which the test labels are hidden, as GLUE's are."""
    host.put(
        "owner/glue",
        {
            "README.md": README,
            "first/train-00000-of-00001.parquet": parquet([0, 1, 1, 0, -1]),
            "first/validation-00000-of-00001.parquet": parquet([0, 1], start=50),
            "first/test-00000-of-00001.parquet": parquet([-1, -1], start=90),
            "second/train-00000-of-00001.parquet": parquet([0, 1] * 8),
            "glue.py": b"raise SystemExit",
        },
        kind="dataset",
    )
    return host


def test_a_configuration_is_fetched_alone_and_read_with_the_names_of_its_classes(glue: Host) -> None:
    task = load_task("hub:owner/glue:first", access=Access(mirror=glue.url))
    assert (task.name, task.labels) == ("first", ("terrible", "great"))
    # The dev set stands in for a test set whose labels nobody has.
    assert [(it.text, it.label) for it in task.test] == [("text 50", "terrible"), ("text 51", "great")]
    assert len(task.train) + len(task.dev) == 4
    assert task.notes[:2] == (
        "1 of 5 rows of 'train' left out: their label is hidden",
        "2 of 2 rows of 'test' left out: their label is hidden",
    )
    assert {path.partition("/")[0] for path, _ in glue.asked} == {"README.md", "first"}
    asked = len(glue.asked)
    assert load_task("hub:owner/glue:first") == task == load_task(f"hub:owner/glue:first@{COMMIT}")
    assert load_task("hub:owner/glue:first", access=Access(True, glue.url, offline=True)) == task
    assert len(glue.asked) == asked


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            "hub:owner/glue",
            r"^data 'owner/glue' cannot be read: .*first.*second.* Write --data hub:owner/glue:CONFIG\.$",
        ),
        ("hub:owner/glue:third", "^data 'owner/glue:third' cannot be read: .*third"),
        ("hub:owner/none", "^data set 'owner/none' could not be downloaded: 127.0.0.1 does not allow it"),
        ("hub:", "is no id of a data set"),
        ("ms:none", "lacks an owner"),
    ],
)
def test_what_cannot_be_read_is_one_line(glue: Host, data: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        load_task(data, access=Access(mirror=glue.url))


def test_a_missing_column_is_named_and_no_place_on_this_disk(glue: Host) -> None:
    with pytest.raises(UserError) as refusal:
        load_task("hub:owner/glue:first", access=Access(mirror=glue.url), text_column="nothing")
    assert str(refusal.value).startswith("data 'owner/glue:first', dev.jsonl: no text column 'nothing'.")
    assert "tmp" not in str(refusal.value)


@pytest.mark.parametrize("data", ["hub:owner/own", "ms:owner/own"])
def test_a_folder_of_ours_is_read_as_one(host: Host, data: str) -> None:
    rows = "text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(40))
    card = json.dumps({"name": "mine", "language": "zh", "labels": ["b", "a"]}).encode()
    files = {"dataset.json": card, "train.csv": rows.encode(), "more/notes.txt": b"none"}
    host.put("owner/own", files, kind="dataset", revision="master" if data.startswith("ms:") else COMMIT)
    task = load_task(data, access=Access(mirror=host.url))
    assert (task.name, task.language, task.labels, len(task.train)) == ("mine", "zh", ("b", "a"), 32)
    assert load_task(data) == task
    with pytest.raises(UserError, match="an encoding is for files"):
        load_task(data, encoding="gb18030")


def test_nothing_is_fetched_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="data set 'owner/glue' is no directory and not in the local cache"):
        load_task("hub:owner/glue")
