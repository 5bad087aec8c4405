"""What the key of a run or a baseline holds of the metrics asked for."""

from __future__ import annotations

from collections.abc import Sequence

from promptkit.errors import UserError
from promptkit.evaluation.sources import BUILT_IN_METRICS, metric_digest, metric_file
from promptkit.hooks import get_host


def metric_marks(names: Sequence[str]) -> list[str | list[str]]:
    """Return what tells metrics from others of their names, one mark each.

    A metric that promptkit brings, or one of the Hub, is its name. One that a plugin registered has that plugin's
    version beside it, and one in a file a hash of what is in it.

    Raises:
        UserError: if a file is gone.
    """
    return [_mark(name) for name in names]


def _mark(name: str) -> str | list[str]:
    host = get_host()
    if name in BUILT_IN_METRICS or name.startswith(("f1:", "hub:")):
        return name
    if name in host.metrics:
        return [name, host.metrics[name].origin.version]
    if (file := metric_file(name, {})) is None:
        return name
    try:
        return [name, metric_digest(file)]
    except OSError as error:
        raise UserError(f"metric '{name}' cannot be read: {error.strerror}.") from None
