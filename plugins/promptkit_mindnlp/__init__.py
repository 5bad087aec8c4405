"""`mindnlp`: the engine for checkpoints that mindnlp's transformers load and promptkit's own engine does not."""

from __future__ import annotations

from collections.abc import Callable

from promptkit import hookimpl
from promptkit.backbones.face import Engine


@hookimpl
def promptkit_register_engines(register: Callable[[Engine], None]) -> None:
    """Register the engine. Neither mindnlp nor MindSpore is imported here, nor for listing or describing."""
    from promptkit_mindnlp.engine import MindNLPEngine

    register(MindNLPEngine())
