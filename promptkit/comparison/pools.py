"""Where cells are carried out: in processes here, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import re
import signal
import subprocess
import threading
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from promptkit.comparison.keeping import Keeper
from promptkit.comparison.orders import Order, Outcome, carry_out
from promptkit.errors import UserError
from promptkit.hooks import get_host

_ADDRESS = re.compile(r"(\w+://)?[^/\s]+:[0-9]+/?|inproc://\S+")
_CONNECT_SECONDS = 10
_RETRIES = 5
_LAST_WORDS_SECONDS = 10.0


def run_here(orders: Sequence[Order], jobs: int) -> Iterator[Outcome]:
    """Carry out orders in up to `jobs` processes at a time and yield what became of each as it ends.

    A process that has carried out an order goes on with the next one of its kin. When the caller stops early
    (Ctrl-C), the processes are ended; their states stay. Where a plugin waits to hear how runs end, they are first
    interrupted and have some seconds to tell it.
    """
    if not orders:
        return
    jobs = min(jobs, len(orders))
    threads = max(1, _cores() // jobs) if jobs > 1 else 0
    running = _Running(_LAST_WORDS_SECONDS if get_host().listens("promptkit_run_ended") else 0.0)
    waiting = _Waiting([replace(order, threads=threads) for order in orders])
    done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            for _ in range(jobs):
                pool.submit(_work, waiting, Keeper(running.add), done.put)
            for _ in orders:
                outcome = done.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
        finally:
            waiting.clear()
            running.end()


def _cores() -> int:
    """Return how many cores this process may use; a batch system gives a job a few of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work(waiting: _Waiting, keeper: Keeper, tell: Callable[[Outcome | BaseException], None]) -> None:
    """Carry out what is waiting, with one process at a time."""
    try:
        while (order := waiting.take(keeper)) is not None:
            tell(carry_out(order, keeper))
    except BaseException as error:
        tell(error)
    finally:
        keeper.end()


class _Waiting:
    """The orders that nobody has taken yet."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self._lock = threading.Lock()
        self._orders = list(orders)
        self._kins: dict[Keeper, str] = {}

    def take(self, keeper: Keeper) -> Order | None:
        """Return the next order: one of the keeper's kin, else of a kin that no other is about, else any."""
        with self._lock:
            others = {kin for other, kin in self._kins.items() if other is not keeper}
            own = self._kins.get(keeper)
            order = min(self._orders, key=lambda it: (it.kin != own, it.kin in others), default=None)
            if order is not None:
                self._orders.remove(order)
                self._kins[keeper] = order.kin
            return order

    def clear(self) -> None:
        """Let nothing more be taken."""
        with self._lock:
            self._orders.clear()


class _Running:
    """The processes that were started, to end them all.

    Args:
        patience: seconds that they have to end by themselves once they are interrupted; 0 kills them at once.
    """

    def __init__(self, patience: float) -> None:
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ended = False
        self._patience = patience

    def add(self, process: subprocess.Popen[bytes]) -> bool:
        """Note a process; return whether it may be started again if it is killed."""
        with self._lock:
            self._processes = [p for p in self._processes if p.returncode is None]
            self._processes.append(process)
            if self._ended:
                process.kill()
            return not self._ended

    def end(self) -> None:
        """Kill what runs: states and results are written so that a kill cannot tear them."""
        with self._lock:
            self._ended = True
            running = [process for process in self._processes if process.poll() is None]
        try:
            if self._patience:
                for process in running:
                    process.send_signal(signal.SIGINT)
                _wait(running, self._patience)
        finally:
            for process in running:
                process.kill()


def _wait(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    until = time.monotonic() + seconds
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))


def run_on_cluster(orders: Sequence[Order], address: str) -> Iterator[Outcome]:
    """Carry out orders on a Dask cluster and yield what became of each as it ends.

    A cell whose worker dies is given to another one. The workers must see the same folders as this machine:
    the data, the model and the store, where the states of half-trained cells lie. Only this process writes to
    the store's database.

    Args:
        orders: what to run.
        address: of the scheduler, e.g. `tcp://10.0.0.1:8786`.

    Raises:
        UserError: if Dask is not installed, or nobody answers at the address.
    """
    if not orders:
        return
    try:
        import distributed
    except ModuleNotFoundError:
        raise UserError("--dask needs Dask, the extra 'dask' of promptkit: pip install 'distributed'.") from None
    client = _connect(distributed, address)
    try:
        _check_version(client)
        futures = {
            # Dask gives one task of a name to all who ask for it, and another store has the same runs elsewhere.
            client.submit(carry_out, order, key=f"promptkit-{order.key}-{_short(order)}", retries=_RETRIES): order.key
            for order in orders
        }
        for future in distributed.as_completed(futures, loop=client.loop):
            yield _outcome(future, futures[future])
    finally:
        client.close()


def _short(order: Order) -> str:
    """Return a few digits that stand for where an order's result is to lie."""
    return hashlib.sha256(order.folder.encode()).hexdigest()[:8]


def _connect(distributed: Any, address: str) -> Any:
    if not _ADDRESS.fullmatch(address):
        raise UserError(f"no Dask scheduler at '{address}': write HOST:PORT, e.g. tcp://127.0.0.1:8786.")
    try:
        # Not the default client of the process: a notebook may have one of its own.
        return distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(f"no Dask scheduler at '{address}': {reason}.") from None


def _check_version(client: Any) -> None:
    from promptkit.version import __version__

    found = client.run(_version, on_error="return")
    if not found:
        raise UserError("the Dask cluster has no worker.")
    for worker, version in found.items():
        if version != __version__:
            said = f"promptkit {version}" if isinstance(version, str) else "no promptkit"
            raise UserError(f"Dask worker '{worker}' has {said}; this is promptkit {__version__}.")


def _version() -> str:
    from promptkit.version import __version__

    return __version__


def _outcome(future: Any, key: str) -> Outcome:
    try:
        error = future.exception()
    except (CancelledError, OSError) as gone:
        # The scheduler went away, and with it what it knew.
        error = gone
    if error is None:
        outcome: Outcome = future.result()
        return outcome
    return Outcome(key, "", f"the cluster gave it up: {type(error).__name__}: {error}", bad_input=True)
