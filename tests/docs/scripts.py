"""The scripts and extensions of docs/, which are no package, loaded as modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"


def load_script(script: str | Path, **given: Any) -> Any:
    """Return the module of a file, or of a script of docs/ by its name, run with what is given as its globals."""
    path = DOCS / f"{script}.py" if isinstance(script, str) else script
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(given)
    spec.loader.exec_module(module)
    return module
