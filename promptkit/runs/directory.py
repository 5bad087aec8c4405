"""The run directory appears under its name once everything in it is written, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from pathlib import Path
from types import TracebackType

from promptkit.checking import user_path
from promptkit.errors import UserError
from promptkit.runs.files import folder_name, partial_name, sync_folder

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


class RunDirectory:
    """A directory that is filled under a hidden name and renamed into place by `commit`.

    Use it as a context manager: without a `commit`, and on any exception (Ctrl-C too), nothing stays.

        with RunDirectory.create(out, "soft-reviews-en") as directory:
            directory.file("run.json").write_text(...)
            path = directory.commit()

    A run that is killed leaves at most the hidden directory `.NAME.partial-PID-...`.

    Attributes:
        path: where the directory is, once committed; None before.
    """

    def __init__(self, parent: Path, name: str, *, numbered: bool) -> None:
        self.path: Path | None = None
        self._parent = parent
        self._name = name
        self._numbered = numbered
        self._made_parents = [folder for folder in (parent, *parent.parents) if not os.path.exists(folder)]
        self._partial = parent / partial_name(name)
        try:
            self._partial.mkdir(parents=True)
        except OSError as error:
            self.discard()
            raise UserError(f"cannot write to '{parent}': {error.strerror}") from None

    @classmethod
    def create(cls, out: Path | None, default_stem: str, *, runs: Path | None = None) -> RunDirectory:
        """Start a run directory.

        Args:
            out: its name; it must not exist, or be an empty directory.
            default_stem: without `out` the name is this with the next free number, `runs/STEM-001`.
            runs: the folder for numbered runs, by default `runs` in the working directory.

        Raises:
            UserError: if `out` exists, is the working directory, or its folder cannot be written.
        """
        if out is None:
            return cls((runs or Path("runs")).absolute(), folder_name(default_stem), numbered=True)
        target = cls.check(out)
        return cls(target.parent, target.name, numbered=False)

    @staticmethod
    def check(out: Path) -> Path:
        """Return where a directory of this name goes; see `create`."""
        # Resolved, for a directory cannot be renamed onto a symbolic link.
        try:
            target = user_path(out).resolve()
            taken = os.path.lexists(target) and target.is_dir() and any(target.iterdir())
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"'{out}' cannot be used: {getattr(error, 'strerror', None) or 'a loop of links'}"
            ) from None
        if os.path.lexists(target):
            if not target.is_dir():
                raise UserError(f"'{out}' exists and is not a directory")
            if taken:
                raise UserError(f"'{out}' exists and is not empty; name another --out or remove it")
            if target.samefile(Path.cwd()):
                # The rename would take the place of the folder that this process, and a shell, are in.
                raise UserError(f"'{out}' is the working directory; name a directory inside it")
            if target.is_mount():
                raise UserError(f"'{out}' is a mount point; name a directory inside it")
        return target

    def file(self, name: str) -> Path:
        """Return where to write the file `name` until the directory is committed."""
        return self._partial / name

    def commit(self) -> Path:
        """Put the directory into place and return its path.

        Raises:
            UserError: if another process has taken the name meanwhile; the files are kept, and it says where.
        """
        self._sync()
        if self._numbered:
            self.path = self._claim_number()
        elif self._rename(self._parent / self._name):
            self.path = self._parent / self._name
        else:
            self.path = self._claim_number()
            raise UserError(
                f"'{self._parent / self._name}' came into being during the run; this run is in '{self.path}'"
            )
        sync_folder(self._parent)
        return self.path

    def discard(self) -> None:
        """Remove what was written, and the folders made for it; nothing happens after a commit."""
        if self.path is not None:
            return
        shutil.rmtree(self._partial, ignore_errors=True)
        for folder in self._made_parents:
            # It may never have come about, or hold something of someone else by now.
            with contextlib.suppress(OSError):
                folder.rmdir()

    def __enter__(self) -> RunDirectory:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove everything that was not committed."""
        self.discard()

    def _sync(self) -> None:
        files = [path for path in self._partial.rglob("*") if path.is_file()]
        if not files:
            # An empty directory would be overwritten by the next rename onto it.
            raise ValueError("a run directory without files cannot be committed")
        for path in files:
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        sync_folder(self._partial)

    def _claim_number(self) -> Path:
        """Rename to the next free number. The rename itself is the claim, so parallel runs cannot collide."""
        number = self._highest_number() + 1
        while not self._rename(target := self._parent / f"{self._name}-{number:03d}"):
            number += 1
        return target

    def _highest_number(self) -> int:
        pattern = re.compile(re.escape(self._name) + r"-(\d+)")
        matches = (pattern.fullmatch(path.name) for path in self._parent.iterdir())
        return max((int(match[1]) for match in matches if match), default=0)

    def _rename(self, target: Path) -> bool:
        """Rename into place; False if something lies there. POSIX: an empty directory is replaced."""
        try:
            os.rename(self._partial, target)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True
