"""From a run directory to predictions: the artifact, the backbone it belongs to, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from promptkit.errors import UserError
from promptkit.evaluation.probabilities import mean_log_softmax
from promptkit.hooks import no_exit
from promptkit.hub import Access
from promptkit.running.fields import rows_of
from promptkit.running.restore import open_prompt

if TYPE_CHECKING:
    from promptkit.nn import PromptedModel
    from promptkit.prompting import Encoded
    from promptkit.prompting.resolved import PromptTask

_COMPILE_FROM = 256  # texts; fewer are answered sooner without compiling


@dataclass(frozen=True)
class Prediction:
    """The answer for one text.

    Attributes:
        label: the most probable one.
        probabilities: label -> 0 to 1; they add up to 1.
    """

    label: str
    probabilities: dict[str, float]


class Predictor:
    """A prompt that was loaded from a run.

    Attributes:
        labels: class names.
        card: the artifact's card.
        members: for each template its task and its model.
    """

    def __init__(self, card: dict[str, Any], members: list[tuple[PromptTask, PromptedModel]]) -> None:
        self.card = card
        self.labels: tuple[str, ...] = tuple(card["labels"])
        self.members = tuple(members)

    @property
    def field_names(self) -> tuple[str, ...]:
        """The fields that the run's templates use, `text` and `text_b` first."""
        from promptkit.prompting.template import fields_of

        return fields_of(self.card["templates"])

    @no_exit()
    def predict(self, texts: Sequence[str | Mapping[str, str]], *, batch_size: int = 32) -> list[Prediction]:
        """Return a prediction for each text.

        Args:
            texts: plain texts, for a template with a single field; or mappings from the template's fields to texts.
            batch_size: texts at a time.

        Raises:
            UserError: for a single text in place of a sequence.
        """
        if not isinstance(texts, str | Mapping) and not len(texts):
            return []
        probabilities = self.probabilities(texts, batch_size=batch_size)
        return [
            Prediction(self.labels[int(row.argmax())], dict(zip(self.labels, row.tolist(), strict=True)))
            for row in probabilities
        ]

    def probabilities(self, texts: Sequence[str | Mapping[str, str]], *, batch_size: int = 32) -> Any:
        """Return class probabilities, (N, C); of no texts, (0, C).

        Raises:
            UserError: for what is no text, and for a batch size below 1.
        """
        if batch_size < 1:
            raise UserError(f"batch_size is {batch_size}; at least 1 text at a time.")
        rows = self.fields(texts)
        if not rows:
            return np.zeros((0, len(self.labels)), np.float32)
        scores = [
            self.scores(number, prompt.encode_fields(rows, prompt.sets), batch_size=batch_size, views=prompt.sets)
            for number, (prompt, _) in enumerate(self.members)
        ]
        return np.exp(mean_log_softmax(scores, self.card["weights"] or None))

    def fields(self, texts: Sequence[str | Mapping[str, str]]) -> list[dict[str, str]]:
        """Return what the template's fields stand for in each text, cleaned if the run cleaned its data.

        Raises:
            UserError: for a single text in place of a sequence, whose characters would be taken for texts.
        """
        from promptkit.data import clean_text

        rows = rows_of(texts, self.field_names)
        if self.card["clean"]:
            rows = [{key: clean_text(value) for key, value in row.items()} for row in rows]
        return rows

    def scores(self, number: int, encoded: Sequence[Encoded], *, batch_size: int = 32, views: int = 1) -> Any:
        """Return one template's class scores of encoded prompts, (N, C) unnormalised log-probabilities.

        Args:
            number: of the template, from 0.
            encoded: N prompts as its encoder makes them.
            batch_size: prompts at a time.
            views: how often each text is among them; prompt v * N + n is view v of text n, of N texts. The scores of
                a text are averaged.
        """
        from promptkit.data import plan_scoring_rows
        from promptkit.training import Classification, Executor, PackedSource

        prompt, model = self.members[number]
        backbone = getattr(model, "backbone", None)
        size = min(batch_size, len(encoded))
        info = backbone.info if backbone is not None else None
        rows = plan_scoring_rows([[len(each.token_ids) for each in encoded]], size, info)
        mode: Literal["graph", "pynative"] = "graph" if len(encoded) >= _COMPILE_FROM else "pynative"
        source = PackedSource(prompt.packer(encoded, None, batch_size=size, rows=rows), views=views)
        scores = Executor(model, mode, _ignore, label="predict", quiet=False).scores(source)
        Classification(len(self.labels), f"strategy '{self.card['strategy']}'").check(scores)
        return scores


@no_exit()
def load(
    path: str | Path,
    *,
    model: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    download: bool = False,
    mirror: str | None = None,
    offline: bool = False,
) -> Predictor:
    """Load the prompt of a run.

    Args:
        path: a run directory, or a `prompt.safetensors`.
        model: the backbone, if it is to be found elsewhere than the run found it.
        device: as for a run.
        precision: of matrix products, as for a run; whatever the run had.
        download: whether a model may be fetched by its id.
        mirror: base URL to fetch it from; asking for one asks for the download.
        offline: never touch the network, whatever else asks for it.

    Raises:
        UserError: if there is no artifact, its strategy is not installed, or it belongs to another backbone.
    """
    opened = open_prompt(
        path, model=model, device=device, precision=precision, access=Access(download, mirror, offline)
    )
    if opened.card["objective"] != "classes":
        raise UserError(f"'{path}' writes answers and knows no labels: use 'promptkit generate', or load_writer.")
    members = []
    for number in range(len(opened.card["templates"])):
        prompt, built = opened.rebuild(number)
        opened.fill(number, built)
        members.append((prompt, built))
    return Predictor(opened.card, members)


def _ignore(_: str) -> None:
    """Executors of a loaded prompt have warned during the run."""
