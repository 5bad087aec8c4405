"""ModelScope, through the HTTP interface that its own client uses, and that client's cache.

A client of our own, for two addresses and a checksum: the package `modelscope-hub`, on which `modelscope` stands,
says of itself that it is alpha, has changed the cache's layout once already, and brings `cryptography`, which nothing
here needs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from promptkit.errors import UserError
from promptkit.hub.ids import HubId
from promptkit.hub.transfer import Listing, RemoteFile, Session, fault_of, fetch, inside

_ENDPOINT = "https://www.modelscope.cn"
_PAGE = 200
_MOST = 3000  # entries of a model's listing, of which the host leaves out the rest without saying so


class ModelScope:
    """Talks to ModelScope, or to the address in `MODELSCOPE_ENDPOINT`, as docs/models.md says."""

    def cached(self, repository: HubId, kind: str, patterns: Sequence[str]) -> Path | None:
        """See `promptkit.hub.snapshots`."""
        snapshot = _folder(repository, kind) / "snapshots" / (repository.revision or "master")
        owner, _, name = repository.name.partition("/")
        older = [root / f"{kind}s" / owner / name.replace(".", "___") for root in (_root(), _root() / "hub")]
        # Clients before 1.38 kept one revision, and did not say which.
        folders = [snapshot, *(older if repository.revision is None else [])]
        return next((it for it in folders if it.is_dir() and any(p.is_file() for p in it.rglob("*"))), None)

    def listing(self, repository: HubId, kind: str, mirror: str | None) -> Listing:
        """See `promptkit.hub.snapshots`."""
        base = (mirror or os.environ.get("MODELSCOPE_ENDPOINT") or _ENDPOINT).rstrip("/")
        session = Session(os.environ.get("MODELSCOPE_API_TOKEN", ""), base, cookie="m_session_id")
        revision = repository.revision or "master"
        where = f"{base}/api/v1/{kind}s/{repository.name}/repo"
        entries = _entries(session, where, kind, revision)
        try:
            files = tuple(_file(each, where, revision) for each in entries if each.get("Type") != "tree")
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UserError(f"{session.host} lists its files in a way that is not ModelScope's") from None
        return Listing(session, _folder(repository, kind), revision, revision, files)

    def bring(self, listing: Listing, files: Sequence[RemoteFile]) -> Path:
        """See `promptkit.hub.snapshots`."""
        snapshot = listing.folder / "snapshots" / listing.revision
        coming = listing.folder / ".promptkit" / listing.revision
        new = [it for it in files if not (snapshot / it.path).is_file() or fault_of(snapshot / it.path, it)]
        for file in new:
            if (coming / file.path).is_file() and fault_of(coming / file.path, file):
                (coming / file.path).unlink()
            fetch(listing.session, file, coming / file.path)
        # Once all are there, for a folder with some of them would be taken for the model.
        for file in new:
            (snapshot / file.path).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another process, with the same file, was quicker
                os.replace(coming / file.path, snapshot / file.path)
        return snapshot


def _root() -> Path:
    return Path(os.environ.get("MODELSCOPE_CACHE") or "~/.cache/modelscope").expanduser()


def _folder(repository: HubId, kind: str) -> Path:
    return _root() / f"{kind}s" / repository.name.replace("/", "--")


def _entries(session: Session, where: str, kind: str, revision: str) -> list[Any]:
    """Return what a repository holds, page by page where there are pages."""
    asked: dict[str, Any] = {"Revision": revision, "Recursive": "True"}
    if kind == "model":
        found = _list(session, f"{where}/files", asked)
        if len(found) >= _MOST:
            raise UserError(f"it holds more than {_MOST} files, of which {session.host} lists no more")
        return found
    pages: list[Any] = []
    while True:
        page = _list(session, f"{where}/tree", {**asked, "PageNumber": len(pages) // _PAGE + 1, "PageSize": _PAGE})
        pages += page
        if len(page) < _PAGE:
            return pages


def _list(session: Session, address: str, asked: dict[str, Any]) -> list[Any]:
    told = session.json(address, asked)
    data = told.get("Data") if isinstance(told, dict) else None
    found = data.get("Files") if isinstance(data, dict) else data
    if not isinstance(found, list):
        raise UserError(f"{session.host} lists its files in a way that is not ModelScope's")
    return found


def _file(told: Any, where: str, revision: str) -> RemoteFile:
    path, size, digest = inside(str(told["Path"])), told.get("Size"), str(told.get("Sha256") or "")
    if digest and len(digest) != 64:
        raise ValueError(path)
    asked = urlencode({"Revision": revision, "FilePath": path})
    return RemoteFile(path, f"{where}?{asked}", None if size is None else int(size), digest)
