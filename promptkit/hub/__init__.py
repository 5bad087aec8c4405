"""Models and data by id: the Hub of Hugging Face and ModelScope, their caches, and downloads that are checked."""

from promptkit.hub.access import Access
from promptkit.hub.ids import HubId, at_revision, hub_id
from promptkit.hub.snapshots import Repository, find_snapshot, matches, revision_of

__all__ = ["Access", "HubId", "Repository", "at_revision", "find_snapshot", "hub_id", "matches", "revision_of"]
