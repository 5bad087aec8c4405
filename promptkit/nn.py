"""MindSpore building blocks for strategies, under one roof.

Dimensions: R rows, S positions a row, E examples a row, M positions read of each, N = R * E, H hidden, L layers, A
attention heads, D head width, V vocabulary, P virtual tokens, C classes.
"""

from __future__ import annotations

from promptkit.backbones.face import Backbone, BackboneInfo, Inputs
from promptkit.strategies.models import (
    PARTS,
    ClozePrompt,
    PrefixPrompt,
    PromptedModel,
    SoftPrompt,
    Trial,
    count_kept,
    count_parameters,
    mix_in,
    packed,
    part_of,
    tensors,
)
from promptkit.strategies.readouts import ClozeReadout, LinearReadout, readout
from promptkit.strategies.searching import Search
from promptkit.strategies.virtual import LayerPrefix, VirtualTokens, initial_vectors, word_vectors

__all__ = [
    "PARTS", "Backbone", "BackboneInfo", "ClozePrompt", "ClozeReadout", "Inputs", "LayerPrefix", "LinearReadout",
    "PrefixPrompt", "PromptedModel", "Search", "SoftPrompt", "Trial", "VirtualTokens", "count_kept",
    "count_parameters", "initial_vectors", "mix_in", "packed", "part_of", "readout", "tensors", "word_vectors",
]  # fmt: skip
