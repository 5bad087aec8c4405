"""The weights of a decoder checkpoint: the engine's names, theirs in files, and their shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptkit.backbones.native.checkpoint import WeightPlan
from promptkit.backbones.native.decoder.shape import DecoderShape

Take = Callable[[Any], Any]
# Of GGUF files: frequencies, which the configuration holds, and tables of old files that no program reads.
_BUFFERS = r"(rotary_emb\.inv_freq|attn\.(masked_)?bias|rope_freqs\.weight|attn_rot_embd\.weight)$"


def decoder_plan(
    shape: DecoderShape,
    layer: Mapping[str, str],
    top: Mapping[str, str],
    *,
    stems: Sequence[str],
    layers: str,
    head: str = "lm_head.weight",
    takes: Mapping[str, Take] | None = None,
) -> WeightPlan:
    """Return the plan of a checkpoint.

    Args:
        shape: of the model.
        layer: parts of a layer (`query`, `ffn_norm`) -> their names in a file, behind the layer's own.
        top: the same of what stands outside of the layers: `word`, `position`, `embedding_norm`, `final_norm`.
        stems: what names may begin with, the usual one first.
        layers: what layers are called, `{}` for the number.
        head: the output rows' name.
        takes: parts -> what of the file's array is theirs: of one that holds several, or one that is turned round.
    """
    names: dict[str, tuple[str, ...]] = {}
    takes = takes or {}
    taken: dict[str, Take] = {}
    for ours in shape.shapes():
        if ours == "head.decoder":
            continue
        if ours.startswith("layers."):
            _, number, part, kind = ours.split(".")
            theirs = f"{layers.format(number)}.{layer[part]}.{kind}"
            if f"{part}.{kind}" in takes:
                taken[ours] = takes[f"{part}.{kind}"]
        else:
            part, _, kind = ours.partition(".")
            theirs = f"{top[part]}.{kind or 'weight'}"
        names[ours] = tuple(stem + theirs for stem in stems)
    names["head.decoder"] = (head, *names["word"]) if shape.tied else (head,)
    return WeightPlan(names, shape.shapes(), re.compile(_BUFFERS), takes=taken)
