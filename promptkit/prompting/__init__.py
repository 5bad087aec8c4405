"""Templates and verbalizers: what a prompt looks like and how its answer is read; pure Python."""

from __future__ import annotations

from promptkit.prompting.encoder import Demonstration, Encoded, Encoder
from promptkit.prompting.layout import Layout, Readout
from promptkit.prompting.pieces import readable_piece, whole_word
from promptkit.prompting.showing import Query, Showing, in_turn
from promptkit.prompting.spacing import spaced
from promptkit.prompting.template import Template
from promptkit.prompting.verbalizer import (
    ResolvedVerbalizer,
    SlotRule,
    Verbalizer,
    default_words,
    explain_words,
    stand_in_words,
)

__all__ = [
    "Demonstration",
    "Encoded",
    "Encoder",
    "Layout",
    "Query",
    "Readout",
    "ResolvedVerbalizer",
    "Showing",
    "SlotRule",
    "Template",
    "Verbalizer",
    "default_words",
    "explain_words",
    "in_turn",
    "readable_piece",
    "spaced",
    "stand_in_words",
    "whole_word",
]
