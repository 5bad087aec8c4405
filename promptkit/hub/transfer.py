"""One file over HTTP: what broke off goes on where it stopped, in this process or a later one, and is checked whole.

The Hub's own client resumes within one process and checks a file's length, not its checksum.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from promptkit.errors import UserError

_CHUNK = 1 << 14  # what a break within one costs is fetched again
_TRIES = 4  # in a row that bring nothing new
_WAIT = 0.5  # seconds before the second try; doubled after each
_TIMEOUT = (10, 60)  # seconds: to connect, and without a byte
_BUSY = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository.

    Attributes:
        path: in the repository, with slashes.
        url: where it is.
        size: in bytes, None where the host does not say.
        digest: hexadecimal; 64 digits are its SHA-256, 40 the SHA-1 of it as a git blob; empty where the host gives
            none.
    """

    path: str
    url: str
    size: int | None = None
    digest: str = ""


@dataclass(frozen=True)
class Listing:
    """What a host has of a repository.

    Attributes:
        session: the connection to it.
        folder: of the repository in the cache.
        revision: that was asked for.
        commit: that it stands for; the revision itself where the host does not say.
        files: all there are.
    """

    session: Session
    folder: Path
    revision: str
    commit: str
    files: tuple[RemoteFile, ...]


class Session:
    """A connection to a host. Its errors are words that follow "could not be downloaded: ", without any address.

    Args:
        token: sent to this host, and to no other one that it redirects to; empty for none.
        base: the host's base URL.
        cookie: name of the cookie that holds the token as well, for hosts that look there.
    """

    def __init__(self, token: str, base: str, cookie: str = "") -> None:
        import requests

        try:
            self.host = urlsplit(base).hostname or ""
        except ValueError:  # half an IPv6 address
            self.host = ""
        if not base.startswith(("https://", "http://")) or not self.host:
            raise UserError("the mirror is no address that begins with https:// or http://")
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": "promptkit", "Accept-Encoding": "identity"})
        if urlsplit(base).username is None:
            # Also without a token, for it keeps a netrc file from adding one; requests drops it for another host.
            self._session.auth = _Bearer(token)
        if token and cookie:
            self._session.cookies.set(cookie, token, domain=self.host, path="/")

    def get(self, url: str, headers: Mapping[str, str] | None = None, params: Mapping[str, Any] | None = None) -> Any:
        """Begin a response, whose body is not read yet.

        Raises:
            UserError: if the host says no.
            ConnectionError: if nothing comes, or the host is busy.
        """
        import requests
        from urllib3.exceptions import LocationParseError

        try:
            response = self._session.get(url, headers=headers, params=params, stream=True, timeout=_TIMEOUT)
        except (requests.RequestException, UnicodeError, LocationParseError):
            # What it says holds the address, and an address may hold a secret.
            raise ConnectionError from None
        if response.status_code in _BUSY:
            response.close()
            raise ConnectionError
        if response.status_code >= 400 and response.status_code != 416:
            response.close()
            raise UserError(_refusal(response.status_code, self.host))
        return response

    def json(self, url: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON of an address.

        Raises:
            UserError: if there is none.
        """
        import requests

        for turn in range(_TRIES):
            try:
                with self.get(url, params=params) as response:
                    return response.json()
            except ValueError:  # requests' own for what is no JSON is a RequestException as well
                raise UserError(f"{self.host} answers with something other than JSON") from None
            except (ConnectionError, requests.RequestException):  # the second where it breaks off within the body
                time.sleep(_WAIT * 2**turn if turn + 1 < _TRIES else 0)
        raise UserError(f"{self.host} cannot be reached, or is busy")


class _Bearer:
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def inside(path: str) -> str:
    """Return the path of a file in a repository, if it leads nowhere else.

    Raises:
        ValueError: if it does.
    """
    if not path or Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(path)
    return path


def _refusal(code: int, host: str) -> str:
    if code in (401, 403):
        return f"{host} does not allow it ({code}): it is not there, or needs a token, or its terms accepted"
    return f"{host} does not have it (404)" if code == 404 else f"{host} answers with error {code}"


def fetch(session: Session, file: RemoteFile, target: Path) -> None:
    """Bring a file to `target`, where nothing is before all of it is, checked.

    What has come so far lies beside it as `NAME.promptkit-part`; two processes do not write it at once.

    Raises:
        UserError: in words that follow "could not be downloaded: ".
    """
    part = target.with_name(target.name + ".promptkit-part")
    part.parent.mkdir(parents=True, exist_ok=True)
    while not target.is_file():
        with part.open("ab+") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            if target.is_file() or not _is_at(out, part):
                # Another process has brought it, or thrown it away, while this one waited.
                continue
            _receive(session, file, out)
            if fault := fault_of(part, file):
                part.unlink()
                raise UserError(f"'{file.path}' {fault}; nothing of it was kept")
            os.fsync(out.fileno())
            os.replace(part, target)
            return
    part.unlink(missing_ok=True)


def _is_at(opened: IO[bytes], path: Path) -> bool:
    """Return whether an open file is still the one that lies there."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False


def fault_of(path: Path, file: RemoteFile) -> str:
    """Return what tells a file on disk from what the host says of it; empty for nothing."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"has {size} bytes where the host says {file.size}"
    if not file.digest:
        return ""
    git = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    digest = git if len(file.digest) == 40 else hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return "" if digest.hexdigest() == file.digest.lower() else "does not have the checksum that the host says"


def _receive(session: Session, file: RemoteFile, out: IO[bytes]) -> None:
    """Append to what is there until all is, trying again whenever the connection breaks off."""
    from tqdm import tqdm

    tries = 0
    # None: no bar unless somebody looks at a terminal.
    with tqdm(desc=file.path, total=file.size, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        while True:
            if file.size is not None and out.seek(0, os.SEEK_END) > file.size:
                out.truncate(0)
            had = out.seek(0, os.SEEK_END)
            bar.update(had - bar.n)
            if had == file.size:
                return
            try:
                whole = _once(session, file, out, had, bar)
            except ConnectionError:
                whole = False
            out.flush()
            if whole:
                return
            came = out.seek(0, os.SEEK_END)
            tries = 0 if came > had else tries + 1
            if tries >= _TRIES:
                raise UserError(
                    f"the connection to {session.host} broke off in '{file.path}' after {came} bytes of "
                    f"{'an unknown number' if file.size is None else file.size}; the same command goes on from there"
                )
            time.sleep(_WAIT * 2**tries)


def _once(session: Session, file: RemoteFile, out: IO[bytes], had: int, bar: Any) -> bool:
    """Receive as much as comes; return whether that was all."""
    import requests

    with session.get(file.url, {"Range": f"bytes={had}-"} if had else None) as response:
        begins = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if had and (response.status_code != 206 or begins != str(had)):
            # The host sends all of it, or what is there is no beginning of it.
            out.truncate(0)
            bar.update(-bar.n)
            if response.status_code == 416:
                return False
        try:
            for chunk in response.iter_content(_CHUNK):
                out.write(chunk)
                bar.update(len(chunk))
        except requests.RequestException:
            raise ConnectionError from None
    return file.size is None or out.tell() == file.size
