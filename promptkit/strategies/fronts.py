"""What all prompts of a causal model begin with, computed once for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn

from promptkit.backbones.face import Backbone
from promptkit.errors import UserError
from promptkit.prompting.layout import Front
from promptkit.prompting.resolved import PromptTask
from promptkit.strategies.virtual import mix_in


class FrontStates(nn.Cell):
    """Keys and values of the positions that all prompts begin with, (L, 2, A_kv, F, D).

    What comes first in a causal model sees nothing of what comes behind it, so it is the same for every text. Where
    no virtual token stands there it is computed when the model is built; otherwise once for every batch, and
    gradients reach the virtual tokens through it.

    Args:
        backbone: the language model.
        front: what stands there.
    """

    def __init__(self, backbone: Backbone, front: Front) -> None:
        super().__init__()
        self.backbone = backbone
        self.ids = Tensor(np.asarray(front.ids, np.int32))
        self.virtual_ids = Tensor(np.asarray([front.virtual_ids], np.int32))
        self.learns = any(number >= 0 for number in front.virtual_ids)
        if not self.learns:
            values = backbone.keys_and_values(backbone.embed(self.ids))
            self.values = Parameter(Tensor(values.asnumpy()), name="values", requires_grad=False)

    def construct(self, vectors: Any = None) -> Any:
        """Return them; `vectors` are the virtual tokens, (P, H)."""
        if not self.learns:
            return self.values
        words = self.backbone.embed(self.ids)
        return self.backbone.keys_and_values(mix_in(words.expand_dims(0), vectors, self.virtual_ids)[0])


def front_states(backbone: Backbone, task: PromptTask) -> FrontStates | None:
    """Return what gives the front of a task's prompts; None where they have none.

    Raises:
        UserError: if the language model learns, behind whose back the front would stay as it was.
    """
    if task.front is not None and backbone.learns not in (None, "head"):
        raise UserError(
            "what prompts begin with is computed once for a frozen language model (fronts); this one learns."
        )
    return None if task.front is None else FrontStates(backbone, task.front)


def run_behind(backbone: Any, embeddings: Any, inputs: Any, front: Any) -> Any:
    """Run the layers behind a front, if there is one; see `Backbone.run`."""
    if front is None:
        return backbone.run(embeddings, inputs)
    return backbone.run(embeddings, inputs, None, None, front)
