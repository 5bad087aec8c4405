"""What a trained prompt looks like from outside: its virtual tokens, and what a prediction hangs on."""

from __future__ import annotations

from promptkit.inspection.attribution import Attribution, Piece, TemplateAttribution, attribute
from promptkit.inspection.report import Mark, PromptReport, VirtualPrompt, VirtualToken, inspect_prompt
from promptkit.inspection.vectors import Neighbour

__all__ = [
    "Attribution",
    "Mark",
    "Neighbour",
    "Piece",
    "PromptReport",
    "TemplateAttribution",
    "VirtualPrompt",
    "VirtualToken",
    "attribute",
    "inspect_prompt",
]
