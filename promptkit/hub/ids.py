"""What the user calls a model or a data set of a host: `owner/name`, `hub:name:part@revision`, `ms:owner/name`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

from promptkit.errors import UserError

HOSTS = ("hub", "ms")
_PART = r"[A-Za-z0-9_][\w.-]*"
_REVISION = r"[\w.-][\w./-]*"  # no absolute path, for it becomes a part of one
_ID = re.compile(rf"(?:({'|'.join(HOSTS)}):)?({_PART}(?:/{_PART})?)(?::({_PART}))?(?:@({_REVISION}))?", re.ASCII)


@dataclass(frozen=True)
class HubId:
    """A repository of models or data.

    Attributes:
        host: `hub`, that of Hugging Face, or `ms`, ModelScope.
        name: `owner/name`, or `name` for the oldest ones of the Hub.
        config: of a data set that has several, or the one file of a model that has several; empty otherwise.
        revision: branch, tag or commit; None is the host's main branch.
    """

    host: str
    name: str
    config: str = ""
    revision: str | None = None

    def __str__(self) -> str:
        """Return the id as a user writes it."""
        at = f"@{self.revision}" if self.revision else ""
        return f"{'' if self.host == 'hub' else 'ms:'}{self.name}{':' * bool(self.config)}{self.config}{at}"

    def at(self, revision: str | None) -> HubId:
        """Return the id at a revision; None leaves it as it is.

        Raises:
            UserError: if it names another one itself, or the revision cannot be one.
        """
        if revision is None:
            return self
        if not re.fullmatch(_REVISION, revision, re.ASCII) or ".." in revision:
            raise UserError(f"--revision takes a branch, a tag or a commit, not '{revision}'.")
        if self.revision not in (None, revision):
            raise UserError(f"'{self}' names a revision, and --revision {revision} another one.")
        return replace(self, revision=revision)


def at_revision(name: str, revision: str | None) -> str:
    """Return a model's name with the revision that was loaded; what is no id, or is a folder now, as it is."""
    found = None if revision is None or os.path.exists(name) else hub_id(name)
    return name if found is None else str(replace(found, revision=revision))


def hub_id(text: str) -> HubId | None:
    """Return the id that a text is, or None if it is none.

    Raises:
        UserError: for an id of ModelScope without an owner, which there is not.
    """
    found = _ID.fullmatch(text)
    if found is None or ".." in text:
        return None
    host, name, config, revision = found.groups()
    if host == "ms" and "/" not in name:
        raise UserError(f"'{text}' lacks an owner; ModelScope's ids are ms:OWNER/NAME.")
    return HubId(host or "hub", name, config or "", revision)
