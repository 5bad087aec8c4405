"""A frozen model with a prefix in its layers, and how one begins.

Dimensions: K layers with a prefix, of L; P prefix positions, A_kv heads of keys and values, D head width.
"""

from __future__ import annotations

from typing import Any

from promptkit.backbones.face import Backbone, Inputs
from promptkit.errors import UserError
from promptkit.prompting.resolved import PromptTask
from promptkit.strategies.models import FrozenPrompted
from promptkit.strategies.prefixes import (
    LayerPrefix,
    PrefixEncoder,
    PrefixStart,
    check_prefix,
    initial_prefix,
    prefix_depth,
)


class PrefixPrompt(FrozenPrompted):
    """A template read by a model whose layers also attend to learnt keys and values (Li & Liang 2021).

    Keys and values come from a cell that takes nothing and returns (K, 2, A_kv, P, D), those of the last K layers.

    Args:
        backbone: the language model.
        task: the resolved prompt. The cloze readout stays frozen, the head readout learns.
        prompt: the keys and values themselves, counted as `prompt`.
        encoder: or a cell that computes them, counted as `encoder`.
        head: the readout of another model, to share it; a new one by default.

    Raises:
        UserError: if there is not one cell of the two, or if what it gives is of another shape, or for more layers
            than the model has.
    """

    def _check_given(self) -> None:
        """Refuse what the model cannot take for a prefix, see `check_prefix`.

        Within a graph a shape that does not fit ends in an error of MindSpore's operators, or in none at all. It
        costs what one training step does for the cell: nothing where the prefix is a parameter.
        """
        check_prefix(self.backbone, self.given())

    def folded(self) -> PrefixPrompt:
        """Return the model with what the encoder gives now in the encoder's place; itself where there is none."""
        if not self.encoded:
            return self
        prefix = LayerPrefix(self.keys_and_values().asnumpy())
        return PrefixPrompt(self.backbone, self.task, prompt=prefix, head=self.head)

    def keys_and_values(self) -> Any:
        """The prefix, (K, 2, A_kv, P, D)."""
        return self.given()

    def embeddings(self, inputs: Inputs) -> Any:
        """Those of the words, (R, S, H)."""
        return self.backbone.embed(inputs["token_ids"])

    def in_front(self) -> Any:
        """The prefix, (K, 2, A_kv, P, D)."""
        return self.keys_and_values()


def deep_prompt(
    backbone: Backbone,
    task: PromptTask,
    *,
    tokens: int,
    layers: int = 0,
    init: PrefixStart = "auto",
    width: int = 0,
    words: str = "",
) -> PrefixPrompt:
    """Return the model that prefix tuning and P-tuning v2 train: a fresh prefix before a frozen model.

    Args:
        backbone: the language model.
        task: the resolved prompt.
        tokens: P.
        layers: K, how many of the last layers get a prefix; 0 for all (Liu et al. 2022, section 4.4).
        init: where keys and values start, see `initial_prefix`.
        width: of the network that computes them while they learn; 0 for none, so that they learn themselves.
        words: whose activations they start from, whatever `init` and `tokens` say; there are as many as these have
            pieces.

    Raises:
        UserError: for more layers than the model has, for a network that should start from activations, and for
            what `initial_prefix` or the backbone refuses.
    """
    info, depth = backbone.info, prefix_depth(backbone, layers)
    if words:
        init = "activations"
    if width and init == "activations":
        raise UserError("a prefix that a network computes cannot start from activations; leave one of the two.")
    if width:
        shape = (depth, 2, info.kv_heads, tokens, info.head_width)
        return PrefixPrompt(backbone, task, encoder=PrefixEncoder(shape, width, task.rng))
    values = initial_prefix(backbone, task, init, tokens, depth, words)
    return PrefixPrompt(backbone, task, prompt=LayerPrefix(values))
