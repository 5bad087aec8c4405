"""The Hub of Hugging Face: what it lists, and its cache, laid out as its own client documents and reads it."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from promptkit.errors import UserError
from promptkit.hub.ids import HubId
from promptkit.hub.transfer import Listing, RemoteFile, Session, fault_of, fetch, inside


class Hub:
    """Talks to the Hub, or a mirror of it, as docs/models.md says."""

    def cached(self, repository: HubId, kind: str, patterns: Sequence[str]) -> Path | None:
        """See `promptkit.hub.snapshots`."""
        from huggingface_hub import snapshot_download

        try:
            found = snapshot_download(
                repository.name,
                repo_type=kind,
                revision=repository.revision,
                allow_patterns=list(patterns),
                local_files_only=True,
            )
        except Exception as error:  # a dozen kinds, of several libraries, for what is not there
            # A model may do without some of the files, which another program left out.
            part = getattr(error, "snapshot_path", None)
            return Path(part) if kind == "model" and isinstance(part, str) and os.path.isdir(part) else None
        return Path(found)

    def listing(self, repository: HubId, kind: str, mirror: str | None) -> Listing:
        """See `promptkit.hub.snapshots`."""
        from huggingface_hub import constants, get_token

        base = (mirror or constants.ENDPOINT).rstrip("/")
        session = Session(get_token() or "", base)
        revision = repository.revision or "main"
        told = session.json(
            f"{base}/api/{kind}s/{repository.name}/revision/{quote(revision, safe='')}", {"blobs": "true"}
        )
        try:
            commit = str(told["sha"])
            prefix = "" if kind == "model" else f"{kind}s/"
            where = f"{base}/{prefix}{repository.name}/resolve/{commit}"
            files = tuple(_file(each, where) for each in told["siblings"])
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{session.host} lists its files in a way that is not the Hub's") from None
        if not commit.isalnum():
            raise UserError(f"{session.host} names a commit that is none")
        folder = f"{kind}s--" + repository.name.replace("/", "--")
        return Listing(session, Path(constants.HF_HUB_CACHE) / folder, revision, commit, files)

    def bring(self, listing: Listing, files: Sequence[RemoteFile]) -> Path:
        """See `promptkit.hub.snapshots`."""
        snapshot = listing.folder / "snapshots" / listing.commit
        for file in files:
            blob = listing.folder / "blobs" / file.digest
            if blob.is_file() and fault_of(blob, file):
                blob.unlink()
            fetch(listing.session, file, blob)
        for file in files:
            _link(listing.folder / "blobs" / file.digest, snapshot / file.path)
        if listing.revision != listing.commit:
            # Last, for it makes the snapshot the one that is found.
            ref = listing.folder / "refs" / listing.revision
            ref.parent.mkdir(parents=True, exist_ok=True)
            _write(ref, listing.commit)
        return snapshot


def _file(told: Any, where: str) -> RemoteFile:
    path, lfs = inside(str(told["rfilename"])), told.get("lfs") or {}
    digest = str(lfs.get("sha256") or told["blobId"])
    if not (digest.isalnum() and len(digest) in (40, 64)):
        raise ValueError(digest)
    size = lfs.get("size", told.get("size"))
    return RemoteFile(path, f"{where}/{quote(path)}", None if size is None else int(size), digest)


def _link(blob: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    new = _beside(target)
    try:
        new.symlink_to(os.path.relpath(blob, target.parent))
    except OSError:
        # A file system without links of this kind, or of any: the file is there twice then.
        try:
            os.link(blob, new)
        except OSError:
            shutil.copyfile(blob, new)
    os.replace(new, target)
    new.unlink(missing_ok=True)  # of two links to one file nothing is replaced


def _beside(path: Path) -> Path:
    """Return a name that no other process takes."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex}.promptkit-new")


def _write(path: Path, text: str) -> None:
    new = _beside(path)
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)
