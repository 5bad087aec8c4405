"""What lies in a cell's folder, and the exit codes of its process: agreed between the worker and whoever starts it.

In a file of its own, for the worker is started by its name: were it imported along with its package, Python would
run it twice, and say so before every cell.
"""

from __future__ import annotations

ORDER, RESULT, STATE, FAILURE, LOCK, LOG = "order.json", "result", "state", "failure.txt", "lock", "log.txt"
WARNINGS = "warnings.txt"
BAD_INPUT, DISK = 2, 3
