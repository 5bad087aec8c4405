"""A repository's files at a revision: in a local cache, else fetched into it where that is allowed."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from promptkit.errors import UserError
from promptkit.hub.access import Access
from promptkit.hub.ids import HubId

if TYPE_CHECKING:
    from promptkit.hub.transfer import Listing, RemoteFile

Kind = Literal["model", "dataset"]
_CALLED = {"model": "model", "dataset": "data set"}


@dataclass(frozen=True)
class Repository:
    """What to look for.

    Attributes:
        id: its host, name and revision.
        kind: `model` or `dataset`.
        patterns: of the files to fetch, as in a shell.
        refuse: says what is wrong with the paths that a host lists, before anything is fetched; empty for nothing.
        whole: whether a folder of the cache holds what is needed; another program may have fetched a part of it.
    """

    id: HubId
    kind: Kind
    patterns: Sequence[str]
    refuse: Callable[[Sequence[str]], str] = lambda paths: ""
    whole: Callable[[Path], bool] = lambda folder: True


class _Host(Protocol):
    def cached(self, repository: HubId, kind: Kind, patterns: Sequence[str]) -> Path | None:
        """Return the folder of a repository's files in the local cache, if they are there; touches no network."""

    def listing(self, repository: HubId, kind: Kind, mirror: str | None) -> Listing:
        """Ask the host what there is."""

    def bring(self, listing: Listing, files: Sequence[RemoteFile]) -> Path:
        """Fetch files into the cache, and return their folder."""


def _host(name: str) -> _Host:
    # Imported when one is asked for something: every command imports this file.
    if name == "ms":
        from promptkit.hub.modelscope import ModelScope

        return ModelScope()
    from promptkit.hub.huggingface import Hub

    return Hub()


def find_snapshot(wanted: Repository, access: Access, hint: str = "") -> Path:
    """Return the folder that holds the files of a repository.

    Args:
        wanted: the repository.
        access: whether it may be fetched. Where it may, the host is asked, and what has come before is checked too.
        hint: ends the error of a download that fails.

    Raises:
        UserError: if it is not in the cache and must not, or cannot, be fetched.
    """
    host, called = _host(wanted.id.host), f"{_CALLED[wanted.kind]} '{wanted.id}'"
    if access.fetches:
        try:
            listing = host.listing(wanted.id, wanted.kind, access.mirror)
            if fault := wanted.refuse([file.path for file in listing.files]):
                raise UserError(fault)
            files = [it for it in listing.files if matches(it.path, wanted.patterns)]
            if not files:
                raise UserError("it holds no file that promptkit reads")
            return host.bring(listing, files)
        except UserError as error:
            raise UserError(f"{called} could not be downloaded: {str(error).rstrip('.')}.{hint}") from None
        except OSError as error:
            place = f" '{error.filename}'" if error.filename else " the cache"
            raise UserError(f"{called} could not be downloaded: cannot write{place}: {error.strerror}.") from None
    found = host.cached(wanted.id, wanted.kind, wanted.patterns)
    if found is not None and wanted.whole(found):
        return found
    lacks = "is not in the local cache" if found is None else "is in the local cache in part only"
    if access.forbidden:
        raise UserError(f"{called} {lacks}, and {access.forbidden} keeps promptkit off the network.")
    lacks = "is no directory and not in the local cache" if found is None else lacks
    raise UserError(f"{called} {lacks}; add --download to fetch it (--mirror URL for another host).")


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Return whether a file's path within its repository is among those that patterns ask for."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def revision_of(directory: Path) -> str | None:
    """Return which revision a folder of a cache holds, a commit where the host has them; None for other folders.

    For a GGUF file it is that of its folder.
    """
    directory = directory.parent if directory.suffix == ".gguf" and directory.is_file() else directory
    # `models--OWNER--NAME/snapshots/COMMIT` or `models/OWNER--NAME/snapshots/master`, and no folder of the user's.
    of_cache = directory.parent.name == "snapshots" and "--" in directory.parent.parent.name
    return directory.name if of_cache else None
