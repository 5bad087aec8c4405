"""The cell behind `finetune`; imported only when a run builds it."""

from __future__ import annotations

from typing import Any

import numpy as np

from promptkit import PromptTask
from promptkit.nn import Backbone, ClozePrompt, Inputs, kept, kept_within


class FineTuned(ClozePrompt):
    """A model that learns as a whole, with dropout in training steps.

    Args:
        backbone: the frozen model, of which a copy learns.
        task: the resolved prompt.
        rate: share that a training step drops of the states behind the embeddings and behind each block, of attention
            probabilities, and of what a linear head reads.
    """

    def __init__(self, backbone: Backbone, task: PromptTask, rate: float) -> None:
        super().__init__(backbone.trainable("all"), task, head_learns=task.readout == "head")
        self.linear, self.rate = task.readout == "head", rate

    def noise(self, inputs: Inputs, rng: np.random.Generator) -> tuple[Any, ...]:
        """What the step keeps: within the model, and of the states read, (N, M, H)."""
        if not self.rate:
            return ()
        rows, examples, slots = inputs["read"].shape
        read = (rows * examples, slots, self.backbone.info.hidden_size)
        return (*kept_within(self.backbone.info, inputs, self.rate, rng), kept(read, self.rate, rng))

    def learning(self, inputs: Inputs, hidden: Any, attention: Any, read: Any) -> Any:  # type: ignore[override]
        """Class scores with dropout, (N, C)."""
        dropout = {"hidden": hidden, "attention": attention, "rate": self.rate}
        states = self.backbone.run(self.embeddings(inputs), inputs, None, dropout)  # type: ignore[arg-type]
        if self.linear:
            states = states * (read.astype(states.dtype) * (1.0 / (1.0 - self.rate)))
        return self.head(states)
