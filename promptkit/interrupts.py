"""Ctrl-C as Python knows it, whatever MindSpore does with the signal."""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

_POLL_SECONDS = 0.1


@dataclass
class _State:
    """Shared by the main thread and the watcher: `held` counts the holds that are open."""

    held: int = 0
    pending: bool = False
    interrupted: bool = False
    resumable: bool = False


_state = _State()


def was_interrupted() -> bool:
    """Return whether `KeyboardInterrupt` was raised since `keyboard_interrupts` was last entered.

    The exception that arrives does not always tell: raised within C++ or the start of an extension module, it
    may come out as a `RuntimeError` or an `ImportError`.
    """
    return _state.interrupted


def was_resumable() -> bool:
    """Return whether the last `resumable` body was interrupted."""
    return _state.resumable


@contextlib.contextmanager
def resumable() -> Iterator[None]:
    """Note that the body, interrupted and run again, goes on where it stopped, for whoever reports the interrupt."""
    _state.resumable = True
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:
        # An interrupt may come out as another exception, see above; a plugin's `sys.exit()` is none.
        _state.resumable = _state.interrupted
        raise
    _state.resumable = False


@contextlib.contextmanager
def keyboard_interrupts() -> Iterator[None]:
    """Make SIGINT raise `KeyboardInterrupt` in the main thread for as long as the body runs.

    MindSpore installs a handler of its own when it compiles. It ends the process on the spot, and nothing is
    cleaned up. So the signal is blocked, in this thread and in all that the body starts, and a watcher thread
    looks for it and hands it to Python. Where it is ignored, as in what a script starts with `&`, it stays so.
    Enter this before anything that starts threads is imported. Where the system has no `sigtimedwait`, or
    outside the main thread, nothing is changed.
    """
    _state.pending = _state.interrupted = _state.resumable = False
    if not hasattr(signal, "sigtimedwait") or threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.getsignal(signal.SIGINT)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(ended,), name="promptkit-interrupts", daemon=True)
    if previous is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
        watcher.start()
    try:
        yield
    finally:
        # Held, so that a second press cannot end this half-way and leave the signal blocked.
        with held_interrupts():
            ended.set()
            if watcher.ident is not None:
                watcher.join()
            # The handler first, for MindSpore's may stand there; only then may a signal that waits come through.
            signal.signal(signal.SIGINT, signal.default_int_handler if previous is None else previous)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if _state.pending and not _state.interrupted:
            # It came while this was ending: whoever had the signal before has it now.
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def held_interrupts() -> Iterator[None]:
    """Keep `KeyboardInterrupt` back until the body has ended; it counts within `keyboard_interrupts` only.

    For the import of MindSpore, which crashes at exit when it was left half done, and for compiling, where it
    would print a page of call stacks and leave a file behind.
    """
    _state.held += 1
    try:
        yield
    finally:
        _state.held -= 1


def restore_interrupts() -> None:
    """Put Python's SIGINT handler back in place of the one that MindSpore installs when it compiles.

    For `promptkit.run` in a notebook or a script of one's own: with MindSpore's handler Ctrl-C ends the process
    on the spot. Python still knows its own handler; setting it again is enough.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handler)


def _watch(ended: threading.Event) -> None:
    """Take the signal from where it waits.

    `sigpending` is asked, and what `sigtimedwait` returns is not looked at: where a process is stopped and goes on
    past the deadline, Python returns what was never filled in, and not None as it should.
    """
    while not ended.wait(_POLL_SECONDS):
        if signal.SIGINT in signal.sigpending():
            signal.sigtimedwait({signal.SIGINT}, 0)
            _state.pending = True
        if _state.pending and not _state.held:
            _thread.interrupt_main()


def _interrupt(number: int, frame: object) -> None:
    """Run in the main thread, so that no hold can begin between the check and the exception."""
    if _state.held:
        _state.pending = True
        return
    if _state.interrupted and not _state.pending:
        # The watcher looked just before the first one was raised; cleaning up is under way.
        return
    _state.pending, _state.interrupted = False, True
    raise KeyboardInterrupt
