"""What every test needs: MindSpore's own log kept quiet, and no test that fails because the machine is busy."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("promptkit", deadline=None)
settings.load_profile("promptkit")
os.environ.setdefault("GLOG_v", "3")
