"""The store hands out what was put in, each run once, and removes all of a run or nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_runs import TRUTH, add_baseline, add_run, cell, fake_baseline, fake_record, write_directory

from promptkit.errors import UserError
from promptkit.runs import STORE_NAME, RunDirectory, RunRecord, Store, StoredRun, resolve_run, save_artifact
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.card import Card


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "runs") as opened:
        yield opened


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != STORE_NAME)


def test_runs_and_baselines_come_back_as_they_were(store: Store) -> None:
    predicted = np.array([1, 1, 0, 0, 0, -0])
    run = add_run(store, "soft-001", predicted=predicted, seed=3)
    baseline = add_baseline(store, "majority-1", "ab12", shots=None, settings={"ngrams": [1, 2]})
    for found, made in zip(store.runs(), (run, baseline), strict=True):
        assert (found.id, found.name, found.key, found.record) == (made.id, made.name, made.key, made.record)
        assert found.truth.dtype == found.predicted.dtype == np.int64
    assert isinstance(run.record, RunRecord)
    assert isinstance(baseline.record, BaselineRecord)
    assert (run.strategy, run.data, run.shots, run.seed) == ("soft", "reviews-en", 16, 3)
    assert (baseline.strategy, baseline.shots, baseline.is_baseline) == ("majority", None, True)
    assert run.directory == store.folder / "soft-001"
    assert baseline.directory is None
    np.testing.assert_array_equal(store.find("soft-001").truth, TRUTH)
    np.testing.assert_array_equal(store.find(str(run.id)).predicted, predicted)


def test_it_is_the_same_store_when_opened_again_and_moved(store: Store, tmp_path: Path) -> None:
    add_run(store, "soft-001", "ab12")
    store.close()
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    with Store.open(tmp_path / "elsewhere", create=False) as again:
        assert again.by_key("ab12").artifact() == tmp_path / "elsewhere" / "soft-001" / "prompt.safetensors"
        assert again.by_key("ffff") is None


def test_a_record_of_a_baseline_goes_through_json() -> None:
    record = fake_baseline(settings={"c": 1.0})
    assert BaselineRecord.from_json(record.to_json()) == record
    with pytest.raises(UserError, match="'here' is not the record of a baseline: name: Field required"):
        BaselineRecord.from_json("{}", "here")


def test_a_key_is_there_once_and_the_first_stays(store: Store) -> None:
    first = add_run(store, "soft-001", "ab12", seed=1)
    second = add_run(store, "soft-002", "ab12", seed=1, created="2025-01-01T00:00:00+00:00")
    assert (second.id, second.name, second.record) == (first.id, "soft-001", first.record)
    assert len(store.runs()) == 1


def test_a_run_listed_twice_is_there_once_and_may_get_its_key_later(store: Store) -> None:
    first = add_run(store, "soft-001")
    again = store.add(first.record, TRUTH, TRUTH, name="soft-001")
    keyed = store.add(first.record, TRUTH, TRUTH, name="soft-001", key="ab12")
    assert [run.id for run in (again, keyed, store.by_key("ab12"))] == [first.id] * 3


def test_who_lost_the_folder_makes_way_for_the_run_that_has_the_name_now(store: Store) -> None:
    old = add_run(store, "soft-001", "ab12", seed=1)
    shutil.rmtree(old.directory)
    new = add_run(store, "soft-001", seed=2)
    assert [run.name for run in store.runs()] == [f"soft-001~{old.id}", "soft-001"]
    store.remove([str(old.id)])
    assert new.artifact().is_file()
    assert store.by_key("ab12") is None


def test_what_cannot_be_a_run_is_a_programming_error(store: Store) -> None:
    with pytest.raises(ValueError, match="not in place"):
        store.add(fake_record(), TRUTH, TRUTH, name="soft-001")
    with pytest.raises(ValueError, match="no name of a directory"):
        store.add(fake_baseline(), TRUTH, TRUTH, name="../soft-001")
    with pytest.raises(ValueError, match="6 true classes, but 2"):
        store.add(fake_baseline(), TRUTH, TRUTH[:2], name="majority")
    with pytest.raises(ValueError, match="whole numbers in one dimension"):
        store.add(fake_baseline(), TRUTH, TRUTH + 0.5, name="majority")
    assert store.runs() == []


def test_find_takes_an_id_or_a_name_and_says_what_is_near(store: Store) -> None:
    run = add_run(store, "soft-001")
    with pytest.raises(UserError, match=r"no run 'soft-01' in the store .*Did you mean 'soft-001'\?"):
        store.find("soft-01")
    for absent in ("7", "9" * 30, "-1", "", "٣"):
        with pytest.raises(UserError, match="there is no run"):
            store.find(absent)
    five = add_baseline(store, str(run.id))
    with pytest.raises(UserError, match=f"'1' is the name of run {five.id} and the id of run 'soft-001'"):
        store.find("1")
    assert store.find("2").id == five.id


def test_adopt_lists_a_whole_directory_that_nobody_listed(store: Store) -> None:
    predicted = np.array([0, 0, 0, 1, 1, 1])
    write_directory(store.folder, "soft-ab12", fake_record(), TRUTH, predicted)
    run = store.adopt("soft-ab12", key="ab12")
    assert store.adopt("soft-ab12", key="ab12").id == run.id
    assert store.adopt("soft-ab12", key="ffff") is None
    assert store.by_key("ab12").record == fake_record()
    np.testing.assert_array_equal(run.truth, TRUTH)
    np.testing.assert_array_equal(run.predicted, predicted)


@pytest.mark.parametrize("name", ["run.json", "prompt.safetensors", "predictions.tsv"])
def test_adopt_leaves_alone_what_is_not_whole(store: Store, name: str) -> None:
    file = write_directory(store.folder, "soft-ab12", fake_record()) / name
    content = file.read_bytes()
    file.unlink()
    assert store.adopt("soft-ab12", key="ab12") is None
    if name != "prompt.safetensors":
        file.write_bytes(content[: len(content) // 2])
        assert store.adopt("soft-ab12", key="ab12") is None
    assert store.adopt("absent", key="ab12") is None
    assert store.runs() == []
    file.write_bytes(content)
    assert store.adopt("soft-ab12", key="ab12") is not None


def test_remove_takes_the_folders_too_and_reuses_no_id(store: Store) -> None:
    runs = [add_run(store, f"soft-{number}", f"{number}") for number in range(3)]
    baseline = add_baseline(store, "majority", "b")
    removed = store.remove(["soft-0", str(runs[2].id), "soft-0", "majority"])
    assert [run.id for run in removed] == [runs[0].id, runs[2].id, baseline.id]
    assert [run.name for run in store.runs()] == names(store.folder) == ["soft-1"]
    assert add_run(store, "soft-2").id > baseline.id


def test_remove_takes_all_or_none(store: Store) -> None:
    add_run(store, "soft-0")
    with pytest.raises(UserError, match="no run 'soft-9'"):
        store.remove(["soft-0", "soft-9"])
    assert [run.name for run in store.runs()] == names(store.folder) == ["soft-0"]


@pytest.mark.parametrize("failure", [OSError(13, "Permission denied", "soft-1"), KeyboardInterrupt()])
def test_a_removal_that_fails_in_the_middle_is_undone(
    store: Store, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    for number in range(2):
        add_run(store, f"soft-{number}")
    rename = os.rename

    def fail_at_the_second(source: Path, target: Path) -> None:
        if Path(source).name == "soft-1":
            raise failure
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_at_the_second)
    with pytest.raises((UserError, KeyboardInterrupt)):
        store.remove(["soft-0", "soft-1"])
    assert [run.name for run in store.runs()] == names(store.folder) == ["soft-0", "soft-1"]
    assert all(run.artifact().is_file() for run in store.runs())


def test_remove_spares_a_folder_that_holds_something_else(store: Store) -> None:
    for name in ("soft-0", "soft-1"):
        shutil.rmtree(add_run(store, name).directory)
    write_directory(store.folder, "soft-0", fake_record(seed=9))
    (store.folder / "soft-1").mkdir()
    (store.folder / "soft-1" / "notes.txt").write_text("mine")
    store.remove(["soft-0", "soft-1"])
    assert names(store.folder) == ["soft-0", "soft-1"]
    assert store.runs() == []


def add_text_run(store: Store, name: str) -> StoredRun:
    """A run that writes texts, with its record and its prompt; it predicts no classes."""
    plain = fake_record()
    options = plain.options.model_copy(update={"objective": "text"})
    record = plain.model_copy(update={"options": options, "task": plain.task.model_copy(update={"labels": ()})})
    chosen = options.model_dump(mode="json")
    card = {name: value for name, value in chosen.items() if name in Card.model_fields}
    card |= {"options": chosen["strategy_options"], "backbone": {"fingerprint": record.backbone.fingerprint}}
    with RunDirectory.create(store.folder / name, name) as directory:
        save_artifact(directory.file("prompt.safetensors"), {}, card)
        directory.file("run.json").write_text(record.to_json(), encoding="utf-8")
        directory.commit()
    return store.add(record, [], [], name=name)


@pytest.mark.parametrize("left", ["notes.txt", "run.json", "prompt.safetensors"])
def test_remove_spares_what_lies_in_place_of_a_run_that_writes_texts(store: Store, left: str) -> None:
    run = add_text_run(store, "soft-0")
    shutil.rmtree(run.directory)
    run.directory.mkdir()
    if left == "prompt.safetensors":
        save_artifact(run.directory / left, {}, {"format": 2, "strategy": "prefix", "objective": "text"})
    else:
        (run.directory / left).write_text("mine")
    store.remove(["soft-0"])
    assert names(store.folder) == ["soft-0"]
    assert [file.name for file in run.directory.iterdir()] == [left]


@pytest.mark.parametrize("edit", ["none", "a number", "damaged", "deleted"])
def test_a_run_that_writes_texts_is_known_by_its_record_or_its_prompt(store: Store, edit: str) -> None:
    file = add_text_run(store, "soft-0").directory / "run.json"
    text = file.read_text()
    if edit == "deleted":
        file.unlink()
    else:
        file.write_text({"none": text, "a number": text.replace("0.625", "0.9"), "damaged": text[:99]}[edit])
    store.remove(["soft-0"])
    assert names(store.folder) == []


def test_a_folder_behind_a_link_is_removed_as_a_link(store: Store, tmp_path: Path) -> None:
    run = add_run(store, "soft-0")
    shutil.move(run.directory, tmp_path / "large-disk")
    run.directory.symlink_to(tmp_path / "large-disk")
    store.remove(["soft-0"])
    assert names(store.folder) == []
    assert (tmp_path / "large-disk" / "run.json").is_file()


def test_a_deleted_prompt_is_said_in_one_line(store: Store) -> None:
    run = add_run(store, "soft-0")
    run.artifact().unlink()
    with pytest.raises(UserError, match=r"run 'soft-0': its prompt '.*' was deleted"):
        run.artifact()
    with pytest.raises(UserError, match="is a baseline; it has no prompt"):
        add_baseline(store, "majority").artifact()


def test_a_comparison_keeps_its_order_and_knows_what_is_missing(store: Store) -> None:
    kept, lost = add_run(store, "soft-0", "a"), add_run(store, "soft-1", "b")
    cells = [
        cell("c", strategy="majority", role="baseline", shots=None),
        cell("b", shots="full", variant="tokens=20"),
        cell("a", seed=4),
    ]
    spec = {"data": "reviews-zh", "shots": [16, "full"], "verbalizer": "好 / 差"}
    store.save_comparison("first", cells, spec=spec, command=["promptkit", "compare"])
    store.remove([lost.name])
    found = store.comparison("first")
    assert [entry.cell for entry in found.entries] == cells
    assert [entry.run and entry.run.id for entry in found.entries] == [None, None, kept.id]
    assert (found.spec, found.command) == (spec, ("promptkit", "compare"))
    assert (found.missing, [entry.cell.key for entry in found.finished]) == (2, ["a"])
    (summary,) = store.comparisons()
    assert (summary.name, summary.finished, summary.whole, summary.missing) == ("first", 1, 3, 2)


def test_the_latest_comparison_is_the_one_saved_last(store: Store) -> None:
    for name in ("one", "two", "one"):
        store.save_comparison(name, [cell("a"), cell("b")], spec={}, command=[])
    assert store.comparison().name == "one"
    assert [each.name for each in store.comparisons()] == ["two", "one"]
    store.save_comparison("two", [cell("a")], spec={}, command=[])
    assert len(store.comparison("two").entries) == 1
    assert [each.name for each in store.comparisons(key="b")] == ["one"]


def test_a_comparison_goes_without_its_runs_and_stays_dated_when_saved_again(store: Store) -> None:
    run = add_run(store, "soft-0", "a")
    store.save_comparison("one", [cell("a")], spec={"shots": 1}, command=[])
    store._database.connection.execute("UPDATE comparison SET created = 'then'")
    store.save_comparison("one", [cell("a")], spec={"shots": 1}, command=[])
    assert store.comparison("one").created == "then"
    store.save_comparison("one", [cell("a")], spec={"shots": 2}, command=[])
    assert store.comparison("one").created.endswith("+00:00")
    with pytest.raises(UserError, match=r"no comparison 'oen' .*Did you mean 'one'\?"):
        store.remove_comparison("oen")
    store.remove_comparison("one")
    assert store._database.rows("SELECT * FROM cell") == []
    assert store.find("soft-0").id == run.id
    with pytest.raises(UserError, match="holds no comparison; 'promptkit compare' makes one"):
        store.comparison()


def test_a_spec_that_is_not_json_is_a_programming_error(store: Store) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.save_comparison("one", [], spec={"lr": float("nan")}, command=[])
    assert store.comparisons() == []


def test_a_path_stands_for_itself_and_a_name_for_its_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = add_run(store, "soft-001")
    add_baseline(store, "majority")
    (tmp_path / "1").mkdir()
    assert resolve_run("1", "runs") == Path("1")
    assert resolve_run("runs/soft-001", "nowhere") == Path("runs/soft-001")
    assert resolve_run("soft-001", "runs") == run.directory
    with pytest.raises(UserError, match=r"no path 'soft-01' exists, and there is no run .* Did you mean 'soft-001'"):
        resolve_run("soft-01", "runs")
    with pytest.raises(UserError, match="does not exist: there is no such path, and no store in 'nowhere'"):
        resolve_run("soft-001", "nowhere")
    with pytest.raises(UserError, match="is a baseline"):
        resolve_run("majority", "runs")
    shutil.rmtree(run.directory)
    for reference in ("soft-001", "runs/soft-001"):
        with pytest.raises(UserError, match=r"'runs/soft-001/prompt\.safetensors' was deleted"):
            resolve_run(reference, "runs")


ADDER = """
import sys
from collections.abc import Iterator
from pathlib import Path
sys.path[:0] = sys.argv[2:4]
from fake_runs import add_baseline, add_run
from promptkit.runs import Store
with Store.open(Path(sys.argv[1])) as store:
    print("ready", flush=True)
    for number in range(20):
        sys.stdin.readline()
        add = add_run if number % 2 else add_baseline
        print(add(store, f"soft-{number}-{sys.argv[4]}", f"key-{number}").id, flush=True)
"""


def test_two_processes_with_the_same_keys_list_each_run_once(tmp_path: Path) -> None:
    tests = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", ADDER, str(tmp_path), str(tests), str(tests.parent)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*command, name], **pipes) for name in "ab"]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    said = []
    for number in range(20):
        # Key by key, so that they meet at every one however busy the machine is; each is let go first by turns.
        for process in processes if number % 4 < 2 else reversed(processes):
            process.stdin.write("go\n")
            process.stdin.flush()
        said.append([process.stdout.readline() for process in processes])
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0]
    first, second = zip(*said, strict=True)
    assert first == second
    with Store.open(tmp_path) as store:
        runs = store.runs()
        assert [run.id for run in runs] == [int(line) for line in first]
        assert sorted(run.key for run in runs) == sorted(f"key-{number}" for number in range(20))
        assert {run.name[-1] for run in runs} == {"a", "b"}, "the two never met; let them add more"


def test_the_file_says_whose_it_is(store: Store) -> None:
    with sqlite3.connect(store.folder / STORE_NAME) as raw:
        assert raw.execute("PRAGMA application_id").fetchone() == (0x706B7273,)
        assert raw.execute("PRAGMA user_version").fetchone() == (1,)
    raw.close()


@pytest.mark.parametrize("edit", ["", "{}", '{"schema": 1', "a number"])
def test_an_edited_record_makes_no_other_run_of_a_folder(store: Store, edit: str) -> None:
    run = add_run(store, "soft-0")
    file = run.directory / "run.json"
    text = file.read_text()
    file.write_text(text.replace("0.625", "0.9") if edit == "a number" else edit)
    assert file.read_text() != text
    store.remove(["soft-0"])
    assert names(store.folder) == []
    assert store.runs() == []


def test_a_name_is_of_one_experiment_until_it_is_forgotten(store: Store) -> None:
    store.save_comparison("one", [cell("a"), cell("b")], spec={"shots": [1], "seeds": 2}, command=[])
    with pytest.raises(UserError, match=r"another comparison 'one', which differs in shots\. Choose another --name"):
        store.save_comparison("one", [cell("c")], spec={"shots": [2], "seeds": 2}, command=[])
    assert [entry.cell.key for entry in store.comparison("one").entries] == ["a", "b"]
    store.save_comparison("one", [cell("a"), cell("b"), cell("c")], spec={"shots": [1, 2], "seeds": 2}, command=[])
    assert len(store.comparison("one").entries) == 3
    store.save_comparison("one", [cell("d")], spec={"shots": [1, 2], "seeds": 2, "notes": ["x"]}, command=[])
    store.remove_comparison("one")
    store.save_comparison("one", [cell("e")], spec={"shots": [9], "seeds": 2}, command=[])
