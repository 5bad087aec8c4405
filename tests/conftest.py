"""What every test needs: MindSpore's own log kept quiet, as the command line keeps it."""

from __future__ import annotations

import os

os.environ.setdefault("GLOG_v", "3")
