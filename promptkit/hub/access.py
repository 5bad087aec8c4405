"""Whether the network may be touched, and where."""

from __future__ import annotations

import os
from dataclasses import dataclass

_YES = ("1", "on", "yes", "true")


@dataclass(frozen=True)
class Access:
    """What a user allows. Without anything, only local caches are looked at.

    Attributes:
        download: what has an id may be fetched.
        mirror: base URL to fetch from in place of the host's own; asking for one asks for the download.
        offline: nothing is fetched, whatever else asks for it. The environment's `HF_HUB_OFFLINE` says the same.
    """

    download: bool = False
    mirror: str | None = None
    offline: bool = False

    @property
    def fetches(self) -> bool:
        """Whether the network may be touched."""
        return (self.download or self.mirror is not None) and not self.forbidden

    @property
    def forbidden(self) -> str:
        """What keeps promptkit off the network; empty where nothing does."""
        if self.offline:
            return "--offline"
        return "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE", "").lower() in _YES else ""
