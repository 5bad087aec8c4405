"""What every test needs: MindSpore's own log kept quiet, and no test that fails because the machine is busy."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("promptkit", deadline=None)
settings.load_profile("promptkit")
os.environ.setdefault("GLOG_v", "3")


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard() -> Iterator[None]:
    """Undo that SIGINT is ignored where the tests are started in the background; their children inherit it."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
