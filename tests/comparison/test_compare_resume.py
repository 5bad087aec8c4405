"""The store is written by one process only, and whatever it was doing when it died, it goes on."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from invented import DiedError, Pool

import promptkit
from promptkit import UserError
from promptkit.cli.compare import report_failures
from promptkit.comparison import Experiment, compare
from promptkit.comparison.coordinator import Failure, _Work
from promptkit.comparison.orders import Order, Outcome
from promptkit.runs import Store

Make = Callable[..., Experiment]


def test_finished_cells_are_not_run_again(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    experiment, store = tiny(strategies=["pet", "soft"]), tmp_path / "s"
    first = pool(die_after=3)
    with pytest.raises(DiedError):
        compare(experiment, store=store)
    second = pool()
    result = compare(experiment, store=store)
    assert len(first.seen) == 3
    assert (result.ran, result.found, result.comparison.missing) == (2, 3, 0)
    assert not set(first.seen) & set(second.seen)
    third = pool()
    assert compare(experiment, store=store).ran == 0
    assert third.seen == []


def test_an_order_fetches_nothing_and_holds_no_mirror(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    """Planning has fetched what has an id; an order lies on disk, and a mirror's address may hold a password."""
    carried_out = pool()
    access = {"download": True, "mirror": "https://me:secret@host"}
    compare(tiny(strategies=["soft"], seeds=1, settings=access), store=tmp_path / "s")
    assert carried_out.orders
    for order in carried_out.orders:
        config = json.loads(order.config)
        assert (config["download"], config["mirror"]) == (False, None)


def test_another_comparison_takes_over_the_cells_it_shares(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool]
) -> None:
    pool()
    compare(tiny(strategies=["pet"], seeds=2), store=tmp_path / "s")
    result = compare(tiny(strategies=["pet", "soft"], seeds=3), store=tmp_path / "s")
    assert (result.found, result.ran) == (3, 4)
    with Store.open(tmp_path / "s") as store:
        assert len(store.comparisons()) == 2


def test_a_comparison_takes_over_what_was_run_by_itself(
    tiny: Make, tiny_reviews: Path, tmp_path: Path, pool: Callable[..., Pool]
) -> None:
    pytest.importorskip("mindspore")
    store, experiment = tmp_path / "s", tiny(strategies=["probe"], seeds=1)
    given = experiment.run_config("probe", None, 4, 0)
    run = promptkit.run(
        "probe", **{**given.model_dump(exclude={"strategy"}), "store": store, "save": True, "out": None}
    )
    carried_out = pool()
    result = compare(experiment, store=store)
    assert (result.found, result.ran, len(carried_out.seen)) == (1, 1, 1)
    (found,) = (entry.run for entry in result.comparison.entries if entry.cell.strategy == "probe")
    assert found.name == run.directory.name


def test_a_run_made_while_the_comparison_computed_the_same_stands(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, store = pool(), tmp_path / "s"
    compare(tiny(strategies=["pet"], seeds=1), store=store)
    before = sorted(os.listdir(store))
    # The comparison does not see that its cells are there before it stores them.
    monkeypatch.setattr(_Work, "missing", lambda self: list(self._grid.cells))
    result = compare(tiny(strategies=["pet"], seeds=1), store=store)
    assert len(made.seen) == 4
    assert result.comparison.missing == 0
    assert sorted(os.listdir(store)) == before


@pytest.mark.parametrize("moment", ["before the directory", "before the row", "before the state is cleared"])
def test_a_death_while_a_run_is_stored_loses_and_doubles_nothing(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def die(*_: Any, **__: Any) -> Any:
        raise DiedError

    target = {
        "before the directory": "promptkit.comparison.coordinator._Work._make_way",
        "before the row": "promptkit.comparison.coordinator.sync_folder",
        "before the state is cleared": "promptkit.comparison.coordinator.clear",
    }[moment]
    experiment = tiny(strategies=["soft"], seeds=1)
    pool()
    with monkeypatch.context() as patch:
        patch.setattr(target, die)
        with pytest.raises(DiedError):
            compare(experiment, store=tmp_path / "s")
    again = pool()
    result = compare(experiment, store=tmp_path / "s")
    assert result.comparison.missing == 0
    # Once the directory is in place the run counts as finished.
    assert len(again.seen) == (2 if moment == "before the directory" else 1)
    with Store.open(tmp_path / "s") as store:
        keys = [run.key for run in store.runs()]
        assert len(keys) == len(set(keys))
        directories = [run.directory for run in store.runs() if run.directory]
    assert all((d / "run.json").is_file() for d in directories)
    assert sorted(p.name for p in (tmp_path / "s").iterdir() if p.name.startswith(".")) == []


def test_a_cell_that_fails_takes_no_other_with_it(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    pool(fail="pet")
    said: list[str] = []
    result = compare(tiny(strategies=["pet", "soft"], seeds=1), store=tmp_path / "s", announce=said.append)
    assert list(result.failures.values()) == [Failure("pet, 4 shots, seed 0", "training diverged; lower --lr.")]
    assert (result.ran, result.bugs, result.comparison.missing) == (2, (), 1)
    assert any("failed: training diverged" in line for line in said)
    pool()
    assert compare(tiny(strategies=["pet", "soft"], seeds=1), store=tmp_path / "s").comparison.missing == 0


def test_cells_of_one_title_that_fail_are_counted_each(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    pool(fail="hard")
    # The zero-shot baseline has its own template, so these are two runs.
    experiment = tiny(strategies=["hard"], settings={"templates": ["{text} is {mask}."]})
    result = compare(experiment, store=tmp_path / "s")
    assert [failure.title for failure in result.failures.values()] == ["hard, no training, seed 0"] * 2
    assert (result.ran, result.comparison.missing) == (0, 2)
    with pytest.raises(UserError, match=r"^2 runs failed, the first \(hard, no training, seed 0\): "):
        report_failures(result)


def test_a_bug_is_told_from_bad_input(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    pool(bug="soft")
    assert compare(tiny(strategies=["soft"], seeds=1), store=tmp_path / "s").bugs


def test_two_comparisons_at_once_do_not_write_to_one_store(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny(strategies=["soft"], seeds=1)
    inner = pool()

    def meanwhile(orders: list[Order], jobs: int) -> Iterator[Outcome]:
        with pytest.raises(UserError, match="another comparison is writing"):
            compare(experiment, store=tmp_path / "s")
        yield from inner(orders, jobs)

    monkeypatch.setattr("promptkit.comparison.coordinator.run_here", meanwhile)
    assert compare(experiment, store=tmp_path / "s").comparison.missing == 0


def test_a_full_disk_leaves_what_was_finished(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny(strategies=["soft"], seeds=2)
    pool()
    real, left = os.rename, [1]

    def fills_up(source: Any, target: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fills_up)
        with pytest.raises(OSError, match="No space left"):
            compare(experiment, store=tmp_path / "s")
    result = compare(experiment, store=tmp_path / "s")
    assert result.found == 1
    assert result.comparison.missing == 0


def test_a_dry_run_writes_nothing(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    made = pool()
    result = compare(tiny(strategies=["soft"]), store=tmp_path / "s", dry=True)
    assert made.seen == []
    assert result.comparison.entries == ()
    assert not (tmp_path / "s").exists()


def test_a_single_run_is_one_run(tiny: Make, tmp_path: Path) -> None:
    said: list[str] = []
    compare(tiny(strategies=["hard"], baselines=[]), store=tmp_path / "s", dry=True, announce=said.append)
    assert said[0].endswith(": 1 run")


def test_a_dry_run_refuses_a_store_that_cannot_be_made(tiny: Make, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a file", encoding="utf-8")
    for store in (tmp_path / "s", tmp_path / "s" / "below"):
        with pytest.raises(UserError, match=f"cannot make the folder '{store}': '{tmp_path / 's'}' is no folder"):
            compare(tiny(strategies=["soft"]), store=store, dry=True)


def test_baselines_alone_need_no_model(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    pool()
    result = compare(tiny(strategies=[], model="no-such-model"), store=tmp_path / "s")
    assert {entry.cell.strategy for entry in result.comparison.entries} == {"majority", "tfidf"}


def test_a_damaged_run_in_the_way_is_kept_aside_and_the_comparison_goes_on(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool]
) -> None:
    pool()
    experiment, folder = tiny(strategies=["soft"], seeds=1), tmp_path / "s"
    compare(experiment, store=folder)
    with Store.open(folder) as store:
        (run,) = [run for run in store.runs() if run.strategy == "soft"]
        store._database.connection.execute("DELETE FROM run WHERE id = ?", (run.id,))
    (run.directory / "run.json").write_text("edited")
    said: list[str] = []
    result = compare(experiment, store=folder, announce=said.append)
    assert (result.ran, result.comparison.missing) == (1, 0)
    assert (folder / f"{run.name}.old-1" / "run.json").read_text() == "edited"
    assert any(f"it is '{run.name}.old-1' now" in line for line in said)


def test_another_experiment_does_not_take_a_name(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    made = pool()
    compare(tiny(strategies=["pet"], name="mine"), store=tmp_path / "s")
    before = list(made.seen)
    for dry in (True, False):
        with pytest.raises(UserError, match="another comparison 'mine', which differs in strategies"):
            compare(tiny(strategies=["soft"], name="mine"), store=tmp_path / "s", dry=dry)
    assert made.seen == before
    compare(tiny(strategies=["pet", "soft"], name="mine"), store=tmp_path / "s")


@pytest.fixture(params=["data", "model"])
def there_and_here(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., Experiment]:
    """Make an experiment on `reviews` with `./model` in one of two folders that differ in one of them."""
    for folder, told in (("there", "film"), ("here", "movie")):
        (tmp_path / folder).mkdir()
        data = shutil.copytree(tiny().data, tmp_path / folder / "reviews")
        model = shutil.copytree(tiny().model, tmp_path / folder / "model")
        if request.param == "data":
            (data / "test.tsv").write_text(f"label\ttext\npositive\ta good {told}\nnegative\ta bad {told}\n")
        elif folder == "here":
            words = (model / "vocab.txt").read_text().splitlines()
            (model / "vocab.txt").write_text("\n".join([*words[:-2], words[-1], words[-2]]) + "\n")

    def make(folder: str, **values: Any) -> Experiment:
        monkeypatch.chdir(tmp_path / folder)
        return tiny(data="reviews", model="./model", strategies=["pet"], baselines=[], seeds=2, **values)

    return make


def cells_of(folder: Path) -> dict[str, list[str]]:
    """Return the keys of each comparison's runs."""
    with Store.open(folder, create=False) as store:
        return {
            it.name: [each.cell.key for each in store.comparison(it.name).entries if each.cell.role == "strategy"]
            for it in store.comparisons()
        }


def test_another_thing_under_the_same_path_is_a_comparison_of_its_own(
    there_and_here: Callable[..., Experiment], tmp_path: Path, pool: Callable[..., Pool]
) -> None:
    pool()
    first = compare(there_and_here("there"), store=tmp_path / "s").comparison.name
    before = cells_of(tmp_path / "s")
    pool(die_after=1)
    with pytest.raises(DiedError):
        compare(there_and_here("here"), store=tmp_path / "s")
    pool()
    said: list[str] = []
    result = compare(there_and_here("here"), store=tmp_path / "s", announce=said.append)
    second = result.comparison.name
    assert (result.found, result.ran, result.comparison.missing) == (1, 1, 0)
    assert f"note: '{first}' in the store is of other data or another model, so this one is '{second}'" in said
    after = cells_of(tmp_path / "s")
    assert set(after) == {first, second}
    assert after[first] == before[first]
    assert not set(after[second]) & set(before[first])
    for folder, name in (("there", first), ("here", second)):
        for dry in (True, False):
            assert compare(there_and_here(folder), store=tmp_path / "s", dry=dry).comparison.name == name
    assert cells_of(tmp_path / "s") == after


def test_a_name_is_not_of_another_thing(
    there_and_here: Callable[..., Experiment], tmp_path: Path, pool: Callable[..., Pool]
) -> None:
    pool()
    compare(there_and_here("there", name="mine"), store=tmp_path / "s")
    before = cells_of(tmp_path / "s")
    for dry in (True, False):
        with pytest.raises(UserError, match=r"another comparison 'mine', which differs in (data|model) fingerprint"):
            compare(there_and_here("here", name="mine"), store=tmp_path / "s", dry=dry)
    assert cells_of(tmp_path / "s") == before
