"""The other end of `promptkit_mindnlp.worker`: starts the process, asks it, and ends it.

One process holds all models, for importing mindnlp takes long.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

import promptkit
from promptkit import UserError
from promptkit.backbones.face import BackboneInfo

# Without the working directory, which Python looks in first: a `peft.py` of the user's would stand for the package.
_START = "import sys; del sys.path[0]; from promptkit_mindnlp.worker import main; main()"
_ENDING_SECONDS = 2.0  # that a process whose pipe is closed has to end in


class Server:
    """The process. It ends with the one that started it, and whenever an answer is not heard to its end."""

    _running: Server | None = None

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(),
            # Ctrl-C is for the process that asks; it ends this one.
            start_new_session=True,
        )
        weakref.finalize(self, _end, self._process)
        self._lock, self._started_by = threading.Lock(), os.getpid()
        self._unused: list[int] = []

    @classmethod
    def running(cls) -> Server:
        """Return the process that runs, or start it."""
        found = cls._running
        if found is None or found._process.poll() is not None or found._started_by != os.getpid():
            found = cls._running = cls()
        return found

    def ask(self, model: int | None, name: str, *given: Any) -> tuple[bool, Any]:
        """Return (True, result), or (False, why there is none).

        Raises:
            EOFError: if the process has ended, with its last words.
        """
        with self._lock:
            # What a garbage collector lets go of is told with the next request, for it may do so amidst one.
            unused, self._unused = self._unused, []
            try:
                assert self._process.stdin is not None
                assert self._process.stdout is not None
                pickle.dump((unused, model, name, given), self._process.stdin, protocol=5)
                self._process.stdin.flush()
                return pickle.load(self._process.stdout)  # type: ignore[no-any-return]
            except (OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
                raise EOFError(self._last_words()) from error
            except BaseException:
                # Amidst an answer, as Ctrl-C may come, nothing that follows can be understood.
                _end(self._process)
                raise

    def forget(self, model: int) -> None:
        """Let go of a model with the next request."""
        self._unused.append(model)

    def _last_words(self) -> str:
        """End the process, unless it has ended by itself, and return why it did."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_SECONDS)
        code = self._process.returncode
        _end(self._process)
        if code is not None and code < 0:
            return f"signal {-code} ended it{', out of memory perhaps' if code == -signal.SIGKILL else ''}"
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].rstrip(".") if lines else f"exit code {self._process.returncode}"


class ModelProcess:
    """A model in the process. It is forgotten there with this object.

    Args:
        directory: the checkpoint.
        info: its sizes.
        source: what errors call the model.

    Raises:
        UserError: for what mindnlp cannot load.
    """

    def __init__(self, directory: Path, info: BackboneInfo, source: str) -> None:
        import mindspore as ms

        self._source, self._server, self._model = source, Server.running(), None
        sizes = {name: getattr(info, name) for name in ("embedding_size", "hidden_size", "vocab_size")}
        device = ms.get_context("device_target")
        self._model = self.ask("load", device, str(Path(directory).resolve()), info.kind, sizes)
        weakref.finalize(self, self._server.forget, self._model)

    def ask(self, name: str, *given: Any) -> Any:
        """Return what a method of `LanguageModel` returns.

        Raises:
            UserError: if it raises something, or the process has ended.
        """
        try:
            done, found = self._server.ask(self._model, name, *given)
        except EOFError as error:
            raise UserError(f"mindnlp's process of model '{self._source}' has ended: {error}.") from error
        if not done:
            what = "cannot be loaded by mindnlp: " if name == "load" else ""
            raise UserError(f"model '{self._source}': {what}{found}.")
        return found


def _environment() -> dict[str, str]:
    """Return the process's environment: where promptkit is found, and no network."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(_places()),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }


def _places() -> list[str]:
    """Return the folders that hold this package and promptkit, and those that the user named."""
    given = os.environ.get("PYTHONPATH", "")
    own = [str(Path(file).resolve().parents[1]) for file in (__file__, promptkit.__file__)]
    return [*own, *([given] if given else [])]


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
