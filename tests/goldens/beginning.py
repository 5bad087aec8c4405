"""How the scripts that write goldens begin."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers.utils import logging


def begin(description: str) -> Path:
    """Return `--out`, with PyTorch set to give the same numbers again."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    out: Path = parser.parse_args().out
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    return out
