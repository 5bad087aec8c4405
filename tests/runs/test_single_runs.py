"""A run of `promptkit run` can be a place of a comparison: which of several equal ones is."""

from __future__ import annotations

from pathlib import Path

from fake_runs import TRUTH, add_run, cell, fake_record, write_directory

from promptkit.runs import Store, StoredRun


def single(store: Store, name: str, *, key: str, **fields: object) -> StoredRun:
    record = fake_record(**fields)
    write_directory(store.folder, name, record)
    return store.add(record, TRUTH, TRUTH, name=name, key=key, single=True)


def test_the_last_single_run_has_the_key_until_a_comparison_has_a_place_for_it(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "runs")
    first = single(store, "soft-001", key="ab12", created="2025-01-01T00:00:00+00:00")
    assert store.by_key("ab12").id == first.id
    second = single(store, "soft-002", key="ab12", created="2025-01-02T00:00:00+00:00")
    assert store.by_key("ab12").id == second.id
    assert [run.key for run in store.runs()] == [None, "ab12"]
    store.save_comparison("one", [cell(key="ab12")], spec={}, command=())
    third = single(store, "soft-003", key="ab12", created="2025-01-03T00:00:00+00:00")
    assert store.by_key("ab12").id == second.id
    assert third.key is None
    store.remove([str(second.id)])
    assert store.comparison("one").missing == 1
    fourth = single(store, "soft-004", key="ab12", created="2025-01-04T00:00:00+00:00")
    assert store.comparison("one").entries[0].run.id == fourth.id
    store.close()


def test_a_run_that_lost_its_key_to_one_that_was_removed_is_found_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "runs")
    first = add_run(store, "soft-ab12", "ab12", seed=1)
    other = single(store, "soft-001", key="ab12", seed=1, created="2025-01-01T00:00:00+00:00")
    assert (store.by_key("ab12").id, store.find("soft-ab12").key) == (other.id, None)
    store.remove(["soft-001"])
    assert store.adopt("soft-ab12", key="ab12").id == first.id
    assert [run.key for run in store.runs()] == ["ab12"]
    store.close()
