"""Data sets by id: the same caches and options as models, and what `datasets` makes of their files."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
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


def parquet(labels: list[int], *, start: int = 0, names: Sequence[str] = ("terrible", "great")) -> bytes:
    """Return texts with classes as the Hub keeps them."""
    import datasets

    features = datasets.Features(
        sentence=datasets.Value("string"),
        label=datasets.ClassLabel(names=list(names)),
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


def test_a_class_that_only_a_later_split_has_is_listed(host: Host) -> None:
    names = ("terrible", "great", "mixed")
    files = {"train.parquet": parquet([0, 1, 1, 0], names=names)}
    files |= {f"{split}.parquet": parquet([2, 1, 0], start=50, names=names) for split in ("validation", "test")}
    host.put("owner/late", files, kind="dataset")
    assert load_task("hub:owner/late", access=Access(mirror=host.url)).labels == names


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


def test_a_part_of_a_table_is_not_taken_for_the_whole(host: Host, tmp_path: Path) -> None:
    """As a program leaves it that was stopped, or that wanted one file."""
    parts = [parquet([0, 1] * 9, start=start) for start in (0, 50)]
    files = {f"data/train-{number:05d}-of-00002.parquet": rows for number, rows in enumerate(parts)}
    host.put("owner/parts", files, kind="dataset")
    task = load_task("hub:owner/parts", access=Access(mirror=host.url, download=True))
    assert len(task.train) + len(task.dev) + len(task.test) == 36
    (part,) = tmp_path.rglob("train-00001-of-00002.parquet")
    part.unlink()
    with pytest.raises(UserError, match="in the local cache in part only; add --download"):
        load_task("hub:owner/parts")


def test_a_part_of_another_configuration_does_not_hide_what_is_whole(glue: Host, tmp_path: Path) -> None:
    task = load_task("hub:owner/glue:first", access=Access(mirror=glue.url, download=True))
    (first,) = tmp_path.rglob("first")
    (first.parent / "second").mkdir()
    (first.parent / "second/train-00000-of-00010.parquet").write_bytes(b"a part")
    assert load_task("hub:owner/glue:first") == task


_ODD_FILES = ["{train: a.csv}", "\n  - split: train", "null", "3", "\n  - split: a\n    path: null"]


@pytest.mark.parametrize("files", _ODD_FILES)
def test_a_readme_of_another_shape_is_no_traceback(host: Host, files: str) -> None:
    readme = f"---\nconfigs:\n- config_name: one\n  data_files: {files}\n---\n".encode()
    table = rows_of("text,label", "text {0},a") + rows_of("", "more {0},b")[1:]
    host.put("owner/odd", {"README.md": readme, "a.csv": table}, kind="dataset")
    said = ""
    try:
        load_task("hub:owner/odd:one", access=Access(mirror=host.url, download=True))
    except UserError as error:
        said = str(error)
    assert not said or said.startswith("data 'owner/odd:one' cannot be read")


def test_a_misspelt_label_column_is_named_and_not_taken_for_hidden_labels(glue: Host) -> None:
    with pytest.raises(UserError, match=r"no label column 'lable'\. Did you mean 'label'\?"):
        load_task("hub:owner/glue:first", label_column="lable", access=Access(mirror=glue.url))


def test_of_pairs_a_column_named_as_labels_are_hides_no_row(host: Host) -> None:
    about = [{"question": f"q{n}", "answer": f"a{n}", "category": "odd" if n % 2 else None} for n in range(30)]
    rows = "".join(json.dumps(each) + "\n" for each in about)
    host.put("owner/pairs", {"train.jsonl": rows.encode()}, kind="dataset")
    task = load_task("hub:owner/pairs", answers=True, access=Access(mirror=host.url))
    assert len(task.train) + len(task.dev) + len(task.test) == 30


def test_nothing_is_fetched_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="data set 'owner/glue' is no directory and not in the local cache"):
        load_task("hub:owner/glue")


@pytest.mark.parametrize("path", ["https://elsewhere.example/train.csv", "/etc/passwd", "../other/train.csv"])
def test_a_set_that_names_files_of_others_is_refused_before_any_is_read(host: Host, path: str) -> None:
    readme = f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: '{path}'\n---\n"
    host.put("owner/far", {"README.md": readme.encode(), "a.csv": b"text,label\na,b\n"}, kind="dataset")
    with pytest.raises(UserError, match=r"^data 'owner/far' names a file that is not its own: '"):
        load_task("hub:owner/far", access=Access(mirror=host.url))


def rows_of(header: str, rows: str, count: int = 20) -> bytes:
    """Return a CSV file with the row so many times, each time with its number."""
    return (header + "\n" + "".join(rows.format(n) + "\n" for n in range(count))).encode()


def test_the_label_column_is_the_one_that_a_table_on_disk_would_have(host: Host) -> None:
    content = rows_of("category,text,label", "x{0},text {0},n") + rows_of("", "y{0},more {0},p")[1:]
    host.put("owner/two", {"train.csv": content}, kind="dataset")
    assert load_task("hub:owner/two", access=Access(mirror=host.url)).labels == ("n", "p")


def test_two_splits_of_one_meaning_are_refused(host: Host) -> None:
    readme = b"---\nconfigs:\n- config_name: default\n  data_files:\n" + b"".join(
        f"  - split: {split}\n    path: {split}.csv\n".encode() for split in ("train", "validation", "dev")
    )
    table = rows_of("text,label", "text {0},a") + rows_of("", "more {0},b")[1:]
    files = {f"{split}.csv": table for split in ("train", "validation", "dev")}
    host.put("owner/twice", {"README.md": readme + b"---\n", **files}, kind="dataset")
    with pytest.raises(UserError, match=r"^data 'owner/twice' has two splits that are dev: validation and dev.$"):
        load_task("hub:owner/twice", access=Access(mirror=host.url))


def test_a_set_of_which_nothing_is_left_says_what_was_left_out(host: Host) -> None:
    readme = b"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: test.parquet\n---\n"
    host.put("owner/hidden", {"README.md": readme, "test.parquet": parquet([-1, -1])}, kind="dataset")
    with pytest.raises(UserError) as refusal:
        load_task("hub:owner/hidden", access=Access(mirror=host.url))
    assert str(refusal.value).startswith("data 'owner/hidden' holds neither train/dev/test tables")
    assert str(refusal.value).endswith("2 of 2 rows of 'test' left out: their label is hidden.")


@pytest.mark.parametrize("data", ["hub:owner/own", "ms:owner/own"])
def test_a_cache_that_cannot_be_written_is_one_line(
    host: Host, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    taken = tmp_path / "taken"
    taken.write_text("a file")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(taken))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(taken))
    revision = "master" if data.startswith("ms:") else COMMIT
    host.put("owner/own", {"train.csv": rows_of("text,label", "text {0},a")}, kind="dataset", revision=revision)
    with pytest.raises(UserError, match=r"own' could not be downloaded: cannot write '.*taken.*': Not a directory"):
        load_task(data, access=Access(mirror=host.url))


def test_a_mirror_that_is_no_address_is_one_line() -> None:
    with pytest.raises(UserError, match="the mirror is no address that begins with https"):
        load_task("hub:owner/own", access=Access(mirror="http://[::1"))
    with pytest.raises(UserError, match="cannot be reached"):
        load_task("hub:owner/own", access=Access(mirror=f"http://{'a' * 70}.example"))


@pytest.mark.parametrize("data", ["hub:owner/own@/etc", "ms:owner/own@/etc"])
def test_a_revision_is_no_absolute_path(data: str) -> None:
    with pytest.raises(UserError, match="is no id of a data set"):
        load_task(data)
