"""Templates and verbalizers: what a prompt looks like and how its answer is read; pure Python."""

from __future__ import annotations

from promptkit.prompting.encoding import Encoded, Encoder, TokenizerFace
from promptkit.prompting.template import Template
from promptkit.prompting.verbalizer import (
    ResolvedVerbalizer,
    SlotRule,
    Verbalizer,
    default_words,
    explain_words,
)

__all__ = [
    "Encoded",
    "Encoder",
    "ResolvedVerbalizer",
    "SlotRule",
    "Template",
    "TokenizerFace",
    "Verbalizer",
    "default_words",
    "explain_words",
]
