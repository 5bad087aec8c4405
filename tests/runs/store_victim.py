"""A process that works on a store until it is killed; `test_store_kill.py` starts it.

`python store_victim.py TESTS REPOSITORY` reads lines `SEED DELAY FOLDER LOG`. For each it forks a child that works
on the store in FOLDER, kills it with SIGKILL after DELAY seconds, and answers with a line. Where DELAY is `between`,
the child kills itself when the directory of its second run is in place and its row is not. The fork saves the
start of Python; the child opens the store, and dies, by itself. LOG holds what the child began and completed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path[:0] = sys.argv[1:3]

from fake_runs import TRUTH, add_baseline, add_run, cell, fake_record

from promptkit.runs import Store

BETWEEN = "between"


def work(random_: random.Random, folder: Path, log: int) -> None:
    """Add, remove, save, for ever."""

    def say(*words: object) -> None:
        os.write(log, (" ".join(map(str, words)) + "\n").encode())

    with Store.open(folder) as store:
        say("opened")
        while True:
            step(store, random_, say)


def step(store: Store, random_: random.Random, say: object) -> None:
    """Do one thing."""
    key = f"{random_.getrandbits(64):016x}"
    kind = random_.choices(["run", "baseline", "twice", "remove", "save", "forget"], [40, 12, 8, 25, 12, 3])[0]
    if kind in ("run", "twice"):
        run = add_run(store, f"soft-{key}", key, predicted=TRUTH[:: random_.choice([1, -1])])
        say("added", key)
        if kind == "twice":
            store.add(fake_record(), TRUTH, TRUTH, name=run.name, key=key)
    elif kind == "baseline":
        add_baseline(store, f"majority-{key}", key)
        say("added", key)
    elif kind == "remove":
        runs = store.runs()
        gone = random_.sample(runs, min(len(runs), random_.choice([1, 1, 3])))
        for run in gone:
            say("removing", run.key)
        store.remove([run.name for run in gone])
        for run in gone:
            say("removed", run.key)
    elif kind == "save":
        count, name = random_.randrange(1, 40), random_.choice("ab")
        # In the notes, for with another spec it would be another experiment under the same name.
        spec = {"notes": [str(count)]}
        store.save_comparison(name, [cell(f"{key}-{n}") for n in range(count)], spec=spec, command=[key])
        say("saved", name, key)
    else:
        for each in store.comparisons()[:1]:
            store.remove_comparison(each.name)


def die_between(random_: random.Random, folder: Path, log: int) -> None:
    """List a run, and die when the directory of the next is in place."""
    with Store.open(folder) as store:
        first, second = (f"{random_.getrandbits(64):016x}" for _ in range(2))
        add_run(store, f"soft-{first}", first)
        os.write(log, f"added {first}\n".encode())
        Store.add = lambda *given, **more: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        add_run(store, f"soft-{second}", second)


def main() -> None:
    """Answer lines until there are no more."""
    import safetensors.numpy  # noqa: F401  # so that no child spends its time on importing it

    for line in sys.stdin:
        seed, delay, folder, log = line.rstrip("\n").split(" ", 3)
        child = os.fork()
        if child == 0:
            opened = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            (die_between if delay == BETWEEN else work)(random.Random(seed), Path(folder), opened)
        if delay != BETWEEN:
            time.sleep(float(delay))
            os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
