"""From a run directory to predictions: the artifact, the backbone it belongs to, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from promptkit.errors import UserError
from promptkit.hooks import get_host
from promptkit.interrupts import held_interrupts
from promptkit.scores import mean_log_softmax
from promptkit.strategy import parse_options

if TYPE_CHECKING:
    from promptkit.nn import PromptedModel
    from promptkit.prompt import PromptTask

CARD_FORMAT = 1
_COMPILE_FROM = 256  # texts; fewer are answered sooner without compiling


@dataclass(frozen=True)
class Prediction:
    """The answer for one text: the label, and the probability of every label."""

    label: str
    probabilities: dict[str, float]


class Predictor:
    """A prompt that was loaded from a run.

    Attributes:
        labels: class names.
        card: the artifact's card.
    """

    def __init__(self, card: dict[str, Any], members: list[tuple[PromptTask, PromptedModel]]) -> None:
        self.card = card
        self.labels: tuple[str, ...] = tuple(card["labels"])
        self._members = members

    def predict(self, texts: Sequence[str | Mapping[str, str]], *, batch_size: int = 32) -> list[Prediction]:
        """Return a prediction for each text.

        Args:
            texts: plain texts, or mappings with `text` and `text_b`.
            batch_size: texts at a time.
        """
        if not texts:
            return []
        probabilities = self.probabilities(texts, batch_size=batch_size)
        return [
            Prediction(self.labels[int(row.argmax())], dict(zip(self.labels, row.tolist(), strict=True)))
            for row in probabilities
        ]

    def probabilities(self, texts: Sequence[str | Mapping[str, str]], *, batch_size: int = 32) -> Any:
        """Return class probabilities, (N, C)."""
        from promptkit.data import clean_text, plan_widths
        from promptkit.training import EncodedSource, Executor

        rows = [{"text": t} if isinstance(t, str) else dict(t) for t in texts]
        if self.card["clean"]:
            rows = [{key: clean_text(value) for key, value in row.items()} for row in rows]
        size = min(batch_size, len(rows))
        mode = "graph" if len(rows) >= _COMPILE_FROM else "pynative"
        scores = []
        for prompt, model in self._members:
            encoded = prompt.encoder.encode_many(rows)
            lengths = [len(e.input_ids) for e in encoded]
            widths = plan_widths(lengths, size, passes=1, token_cost=1, compile_cost=20_000, multiple=8)
            limit = self._limit(prompt, model)
            batcher = prompt.batcher(
                encoded,
                None,
                batch_size=size,
                widths=(*widths[:-1], min(widths[-1], max(limit, max(lengths)))),
            )
            found = Executor(model, mode, _ignore).scores(EncodedSource(batcher, len(rows)))  # type: ignore[arg-type]
            scores.append(found)
        return np.exp(mean_log_softmax(scores))

    @staticmethod
    def _limit(prompt: PromptTask, model: PromptedModel) -> int:
        backbone = getattr(model, "backbone", None)
        return int(backbone.config.max_length) if backbone is not None else 1 << 30


def load(
    path: str | Path,
    *,
    model: str | None = None,
    device: str = "auto",
    download: bool = False,
    mirror: str | None = None,
) -> Predictor:
    """Load the prompt of a run.

    Args:
        path: a run directory, or a `prompt.safetensors`.
        model: the backbone, if it is to be found elsewhere than the run found it.
        device: as for a run.
        download: whether a Hub model may be fetched.
        mirror: base URL of a Hub mirror.

    Raises:
        UserError: if there is no artifact, its strategy is not installed, or it belongs to another backbone.
    """
    from promptkit.engine.catalog import find_model
    from promptkit.engine.device import set_device
    from promptkit.runs import load_artifact

    path = Path(path)
    if not path.exists():
        raise UserError(f"run '{path}' does not exist.")
    tensors, card = load_artifact(path / "prompt.safetensors" if path.is_dir() else path)
    if card.get("format") != CARD_FORMAT:
        raise UserError(
            f"'{path}' has a prompt.safetensors of format {card.get('format')}; this promptkit reads {CARD_FORMAT}."
        )
    host = get_host()
    cls = host.strategy(card["strategy"]).cls
    strategy = cls(parse_options(cls, card["options"]))
    directory = find_model(
        model or card["model"],
        registry={name: entry.locate for name, entry in host.models.items()},
        download=download,
        mirror=mirror,
    )
    with held_interrupts():
        set_device(device)
    return Predictor(card, _members(strategy, card, tensors, directory, model or card["model"], path))


def _members(
    strategy: Any, card: dict[str, Any], tensors: dict[str, Any], directory: Path, model: str, path: Path
) -> list[tuple[PromptTask, PromptedModel]]:
    from promptkit.engine.loading import load_backbone
    from promptkit.member import load_tensors
    from promptkit.prompt import resolve_prompt
    from promptkit.prompting import Template, Verbalizer

    backbone = load_backbone(directory, source=model)
    if backbone.fingerprint != card["backbone"]["fingerprint"]:
        raise UserError(
            f"'{path}' was made with another model than '{model}' (fingerprint {card['backbone']['fingerprint']}, "
            f"this one has {backbone.fingerprint}); give the right one with --model."
        )
    members = []
    for number, source in enumerate(card["templates"]):
        prompt = resolve_prompt(
            Template.parse(source),
            Verbalizer.parse(card["verbalizer"]) if card["verbalizer"] else None,
            labels=card["labels"],
            tokenizer=backbone.tokenizer,
            readout=card["readout"],
            slots=card["slots"],
            max_length=min(card["max_length"], backbone.config.max_length),
            rng=np.random.default_rng([card["seed"], 1, number]),
            language=card["language"],
        )
        built = strategy.fold(strategy.build(backbone, prompt))
        prefix = f"{number}."
        fault = load_tensors(built, {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})
        if fault:
            raise UserError(f"'{path}' does not fit strategy '{card['strategy']}': {fault}.")
        members.append((prompt, built))
    return members


def _ignore(_: str) -> None:
    """Executors of a loaded prompt have warned during the run."""
