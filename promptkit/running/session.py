"""What several runs in one process share."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from promptkit.backbones.device import Mode
from promptkit.backbones.engines import load_backbone
from promptkit.backbones.face import ModelFiles
from promptkit.backbones.fusion import fuse, fuses
from promptkit.hooks import get_host
from promptkit.interrupts import held_interrupts
from promptkit.ranks import here, join, launched
from promptkit.running.loader import Loader

if TYPE_CHECKING:
    from promptkit.backbones.face import Backbone
    from promptkit.training import Executors


class Session:
    """Data and models, each read once, and compiled graphs.

    The numbers of a run are the same in a session as by itself. Its peak memory is too, but for what earlier runs of
    the session have left behind; so sessions are for runs of one kind, such as the seeds of a cell.

    Attributes:
        inputs: the data sets and the models' files.
        ranks: the processes that train together.
        warned: what was said of plugins that failed when they were told of a run, a line each.
    """

    def __init__(self) -> None:
        self.inputs, self.ranks = Loader(), here()
        self.warned: list[str] = []
        self._backbones: dict[tuple[str, ...], Backbone] = {}
        self._executors: Executors | None = None
        self._devices: dict[str, str] = {}

    def use(self, device: str, mode: Mode = "graph") -> str:
        """Set device and mode, meet the processes that train together, and return the device's name.

        Raises:
            UserError: if there is no such device here, or kernels cannot be fused.
        """
        # Once the processes have met, MindSpore has given each its chip.
        if device not in self._devices or not launched():
            from promptkit.backbones.device import set_device

            with held_interrupts():
                # Whoever watches the others computes nothing, and takes no chip from them.
                self._devices[device] = set_device(device if self.ranks.rank >= 0 else "CPU")
                if launched():
                    join()
        fuse(mode == "fused", self._devices[device])
        return self._devices[device]

    @property
    def executors(self) -> Executors:
        """The compiled graphs. Not before the device is set."""
        from promptkit.training import Executors

        self._executors = self._executors or Executors()
        return self._executors

    def backbone(self, files: ModelFiles, source: str, device: str) -> Backbone:
        """Return the frozen model of a checkpoint.

        Args:
            files: the checkpoint.
            source: what tables and errors call it.
            device: that is set.
        """
        key = (files.engine, files.fingerprint, files.precision, device, str(fuses()))
        if key not in self._backbones:
            self._backbones[key] = load_backbone(files, get_host().engine_objects(), source)
        return self._backbones[key]

    def close(self) -> None:
        """Give back the memory of models and graphs, which MindSpore would keep to the end of the process.

        It lets go of the graphs of everybody in the process; what is called again is compiled again.
        """
        if self._executors is None:
            return
        from mindspore import ms_memory_recycle

        self._executors.release()
        self._backbones.clear()
        gc.collect()  # cells refer to each other in circles
        ms_memory_recycle()
