"""The frozen model's states of texts, by which demonstrations are told to be like a text. H hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from promptkit.backbones.device import Mode
from promptkit.data import plan_scoring_rows
from promptkit.nn import Backbone, Inputs, PromptedModel
from promptkit.prompting.resolved import PromptTask
from promptkit.training import Executor, Executors, PackedSource

if TYPE_CHECKING:
    from promptkit.data.packing import Packable

BATCH = 32  # texts at a time; those of a run and of a loaded prompt are computed alike


class Reading(PromptedModel):
    """Last hidden states where a prompt is read; nothing learns."""

    fixed_features = True

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def features(self, inputs: Inputs) -> Any:
        """Return (N, M, H)."""
        return self.backbone.run(self.backbone.embed(inputs["token_ids"]), inputs)


class States:
    """From texts to states: the mean over the positions at which their prompts are read.

    The prompts stand without demonstrations. So what is compared is what the model makes of a text with the question
    in view, and not its words alone.

    Args:
        backbone: the frozen model.
        prompt: lays the texts out.
        mode: how the model is run.
        warn: takes a warning.
        executors: what is compiled already.
    """

    def __init__(
        self, backbone: Backbone, prompt: PromptTask, mode: Mode, warn: Callable[[str], None], executors: Executors
    ) -> None:
        fresh = Executor(Reading(backbone), mode, warn, label="likeness", quiet=True)
        self._executor = executors.kept_for(fresh)
        self._prompt, self._info = prompt, backbone.info
        self._rows: Any = None

    def __call__(self, texts: Sequence[Mapping[str, Any]]) -> Any:
        """Return (N, H) float32."""
        return self.of(self._prompt.encoder.encode_many(texts, [()] * len(texts))).mean(1)

    def of(self, encoded: Sequence[Packable]) -> Any:
        """Return the states of prompts where each is read, (N, M, H) float32."""
        lengths = [len(each.token_ids) for each in encoded]
        if self._rows is None or max(lengths) > self._rows.length:
            # One shape for all that is to come, but for what a strategy asks in words of more pieces than the run's.
            longest = max(self._prompt.encoder.longest, *lengths)
            self._rows = plan_scoring_rows([lengths], BATCH, self._info, longest=longest)
        size = min(BATCH, len(encoded))
        packer = self._prompt.packer(encoded, None, batch_size=size, rows=self._rows)
        return self._executor.features(PackedSource(packer))
