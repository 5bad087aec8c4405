"""A Hub and a ModelScope on this machine, as the tests want them: in good order, breaking off, or lying."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "fedcba9876543210fedcba9876543210fedcba98"


@dataclass
class Host:
    """What a host has, how it misbehaves, and what it was asked.

    Attributes:
        files: (kind, name, revision) -> path -> content; a commit is found at its branch `main` or `master` too.
        commits: revision of the Hub -> its commit.
        breaks: path, or `a listing` -> how many bytes it sends, once for each, before it hangs up.
        lies: path -> what it says the file is, and sends something else.
        asked: the paths of files it was asked for, with the first byte of each.
        tokens: what came in Authorization headers.
        redirects: the host that has the files in its place.
    """

    files: dict[tuple[str, str, str], dict[str, bytes]] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    breaks: dict[str, list[int]] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    redirects: str = ""
    url: str = ""

    def put(self, name: str, files: dict[str, bytes], kind: str = "model", revision: str = COMMIT) -> None:
        """Add a repository."""
        self.files[kind, name, revision] = files


class _Handler(BaseHTTPRequestHandler):
    host: Host
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.host.tokens.append(self.headers.get("Authorization"))
        url = urlsplit(self.path)
        parts, query = [unquote(it) for it in url.path.strip("/").split("/")], parse_qs(url.query)
        if parts[:2] == ["api", "v1"]:
            self._modelscope(parts[2:], query)
        elif parts[0] == "api":
            kind, name, revision = parts[1].removesuffix("s"), "/".join(parts[2:-2]), parts[-1]
            self._list_of_hub(kind, name, self.host.commits.get(revision, revision))
        else:
            kind = "dataset" if parts[0] == "datasets" else "model"
            at = parts.index("resolve")
            name = "/".join(parts[kind == "dataset" : at])
            if self.host.redirects:
                self._send(302, b"", {"Location": self.host.redirects + self.path})
                return
            self._send_file(self.host.files.get((kind, name, parts[at + 1]), {}), "/".join(parts[at + 2 :]))

    def _list_of_hub(self, kind: str, name: str, commit: str) -> None:
        there = self.host.files.get((kind, name, commit))
        if there is None:
            return self._send(401, b"{}")
        siblings = []
        for path, content in there.items():
            entry: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_sha(content)}
            if path.endswith((".safetensors", ".parquet")):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            siblings.append(entry)
        return self._send(200, json.dumps({"sha": commit, "siblings": siblings}).encode())

    def _modelscope(self, parts: list[str], query: dict[str, list[str]]) -> None:
        kind, name, revision = parts[0].removesuffix("s"), "/".join(parts[1:3]), query["Revision"][0]
        there = self.host.files.get((kind, name, revision))
        if there is None:
            return self._send(404, b"{}")
        if parts[3:] == ["repo"]:
            return self._send_file(there, query["FilePath"][0])
        entries = [
            {"Path": path, "Type": "blob", "Size": len(content), "Sha256": hashlib.sha256(content).hexdigest()}
            for path, content in there.items()
        ]
        folders = sorted({path.rpartition("/")[0] for path in there} - {""})
        entries += [{"Path": folder, "Type": "tree", "Size": 0} for folder in folders]
        if query.get("PageNumber", ["1"]) != ["1"]:
            entries = []
        return self._send(200, json.dumps({"Code": 200, "Success": True, "Data": {"Files": entries}}).encode())

    def _send_file(self, there: dict[str, bytes], path: str) -> None:
        if path not in there:
            return self._send(404, b"")
        content = self.host.lies.get(path, there[path])
        first = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.host.asked.append((path, first))
        if first >= len(content) > 0:
            return self._send(416, b"")
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        left = self.host.breaks.get(path)
        if left:
            self.wfile.write(content[first : first + left.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            return None
        self.wfile.write(content[first:])
        return None

    def _send(self, code: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(code)
        if (left := self.host.breaks.get("a listing")) and code == 200:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: left.pop(0)])
            self.close_connection = True
            return
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def git_sha(content: bytes) -> str:
    """Return the name that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving(host: Host) -> Iterator[Host]:
    """Let a host answer at `host.url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"host": host}))
    host.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
