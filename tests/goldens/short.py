"""Writes `bert-short`, the first layer of `bert-odd` alone, for tests of runs and not of models.

    python tests/goldens/short.py

A graph of one layer compiles in less time than one of three.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

HERE = Path(__file__).resolve().parent
_LAYER = re.compile(r"\.layer\.(\d+)\.")


def first_layer(weights: dict[str, Any]) -> dict[str, Any]:
    """Return the weights without those of the second layer and what is above it."""
    return {name: each for name, each in weights.items() if (found := _LAYER.search(name)) is None or found[1] == "0"}


def main() -> None:
    """Write the folder."""
    whole, short = HERE / "bert-odd", HERE / "bert-short"
    short.mkdir(exist_ok=True)
    config = json.loads((whole / "config.json").read_text(encoding="utf-8")) | {"num_hidden_layers": 1}
    (short / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(whole / "vocab.txt", short / "vocab.txt")
    save_file(first_layer(load_file(whole / "model.safetensors")), short / "model.safetensors", {"format": "pt"})


if __name__ == "__main__":
    main()
