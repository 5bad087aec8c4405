"""Processes that MindSpore's launcher `msrun` started to train one prompt together, and what they tell each other."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from promptkit.errors import UserError

LOST_SECONDS = 15
"""After so long without a sign of life MindSpore's scheduler takes a process for lost, and ends the others."""
LATE_SECONDS = 300
"""So long a process on a CPU waits for another that is alive: its machine may be busy."""
_joined: list[bool] = []


class Ranks:
    """The processes of a run; one alone, as nearly always, is rank 0 of 1.

    Attributes:
        rank: number of this process, from 0, or -1 of the one that `msrun` starts to watch the others. Rank 0 alone
            prints, writes and tells plugins of the run.
        size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def leads(self) -> bool:
        """Whether this process writes what comes out."""
        return self.rank == 0

    def takes(self, batch: int) -> bool:
        """Return whether the batch of this number, counted within an epoch from 0, is this process's own."""
        return batch % self.size == self.rank

    def sum(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the sums of float32 arrays over all processes, which all get the same.

        Every process calls it equally often, with arrays of equal shapes.

        Raises:
            UserError: if another process is gone.
        """
        if self.size == 1:
            return list(arrays)
        import numpy as np
        from mindspore import Tensor, ops

        flat = np.concatenate([np.ravel(np.asarray(each, np.float32)) for each in arrays])
        try:
            # In one piece: what a reduction costs is mostly that there is one.
            total = ops.AllReduce()(Tensor(flat)).asnumpy()
        except RuntimeError:
            raise UserError(f"another process of this run has ended; rank {self.rank} cannot go on alone.") from None
        places = np.cumsum([np.size(each) for each in arrays])[:-1]
        return [part.reshape(np.shape(each)) for part, each in zip(np.split(total, places), arrays, strict=True)]

    def first(self, value: bool) -> bool:
        """Return what rank 0 says: where processes part ways, one of them waits for the others forever."""
        return bool(self.sum([float(value) if self.leads else 0.0])[0] > 0)


def launched() -> bool:
    """Return whether `msrun` started this process."""
    return os.environ.get("MS_ROLE") in ("MS_WORKER", "MS_SCHED")


def here() -> Ranks:
    """Return the ranks as `msrun` set them in the environment.

    Raises:
        UserError: if it left the rank of this process open.
    """
    if not launched():
        return Ranks()
    size, rank = int(os.environ.get("MS_WORKER_NUM", "1")), os.environ.get("RANK_ID", "")
    if os.environ["MS_ROLE"] == "MS_SCHED":
        return Ranks(-1, size)
    if not rank.isdecimal():
        raise UserError("msrun has given this process no rank; name its machine's number with --node_rank.")
    return Ranks(int(rank), size)


def join() -> None:
    """Meet the other processes; MindSpore's device must be set, and nothing computed before.

    The process that `msrun` starts to watch the others does that here, and ends when they have.

    Raises:
        UserError: if the others do not come.
    """
    if _joined:
        return
    watches = os.environ["MS_ROLE"] == "MS_SCHED"
    # One name for two times: how long signs of life may fail, where they are watched, and how long a sum may take.
    os.environ.setdefault("MS_NODE_TIMEOUT", str(LOST_SECONDS if watches else LATE_SECONDS))
    from mindspore.communication import init

    try:
        init()
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        if not watches:
            raise UserError(f"msrun's processes did not find each other: {reason}.") from None
        _mourn(reason)
    if watches:
        os._exit(0)
    _joined.append(True)


def _mourn(reason: str) -> None:
    """Say in one line which process is gone, and end this one, which has nothing to clean up."""
    lost = re.search(r"worker (\d+) is the first", reason)
    who = f"rank {lost[1]}" if lost else reason
    advice = "The same command with --checkpoint goes on where it stopped."
    print(f"error: a process of this run is gone: {who}. {advice}", file=sys.stderr, flush=True)
    os._exit(1)
