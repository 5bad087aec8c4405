"""MindSpore building blocks for strategies, under one roof.

Dimensions: R rows, S positions a row, E examples a row, M positions read of each, N = R * E, H hidden, L layers, A
attention heads, D head width, V vocabulary, P virtual tokens, C classes.
"""

from __future__ import annotations

from promptkit.backbones.constants import numbers
from promptkit.backbones.face import Backbone, BackboneInfo, Dropout, Inputs
from promptkit.strategies.calibration import calibrated
from promptkit.strategies.deep import PrefixPrompt, deep_prompt
from promptkit.strategies.dropout import kept, kept_within
from promptkit.strategies.models import (
    PARTS,
    ClozePrompt,
    PromptedModel,
    SoftPrompt,
    Trial,
    count_parameters,
    packed,
    part_of,
    tensors,
)
from promptkit.strategies.prefixes import LayerPrefix, PrefixEncoder, initial_prefix
from promptkit.strategies.readouts import ClozeReadout, LinearReadout, readout
from promptkit.strategies.searching import Search
from promptkit.strategies.virtual import VirtualTokens, initial_vectors, mix_in, word_vectors

__all__ = [
    "PARTS", "Backbone", "BackboneInfo", "ClozePrompt", "ClozeReadout", "Dropout", "Inputs", "LayerPrefix",
    "LinearReadout", "PrefixEncoder", "PrefixPrompt", "PromptedModel", "Search", "SoftPrompt", "Trial",
    "VirtualTokens", "calibrated", "count_parameters", "deep_prompt", "initial_prefix",
    "initial_vectors", "kept", "kept_within", "mix_in", "numbers", "packed", "part_of", "readout", "tensors",
    "word_vectors",
]  # fmt: skip
