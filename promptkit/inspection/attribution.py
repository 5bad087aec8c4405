"""What a prediction hangs on: each piece of the prompt is taken out in turn (leave-one-out)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from promptkit.evaluation.probabilities import mean_log_softmax
from promptkit.hooks import no_exit

if TYPE_CHECKING:
    from promptkit.prompting import Encoded
    from promptkit.running.predictor import Predictor

# The prompts without a piece go through the model together, up to so many: their activations must fit into memory.
_TOGETHER = 128
_KEPT = ("special", "chat", "mask", "virtual", "separator")


@dataclass(frozen=True)
class Piece:
    """One position of a prompt.

    Attributes:
        text: the piece as the tokenizer writes it; `[V0]` for a virtual token.
        role: `template`, `field:NAME`, `special`, `chat`, `mask`, `virtual` or `separator`.
        change: what the piece changes: the log-odds of the predicted class with it minus those without it. Positive
            speaks for the prediction. None where nothing was taken out: special tokens, separators, mask slots,
            virtual tokens.
    """

    text: str
    role: str
    change: float | None


@dataclass(frozen=True)
class TemplateAttribution:
    """What the prediction hangs on under one template.

    Attributes:
        template: its source.
        probability: of the predicted class under this template.
        log_odds: of the same, log p / (1 - p).
        pieces: every position of the prompt, (S,).
        dropped: pieces of the text that were cut off and so have no say.
    """

    template: str
    probability: float
    log_odds: float
    pieces: tuple[Piece, ...]
    dropped: int


@dataclass(frozen=True)
class Attribution:
    """What `attribute` found.

    Attributes:
        fields: what stood for the template's fields.
        label: the predicted class, by the mean over the templates.
        probabilities: of every class.
        templates: one for each template of the run.
        sets: of demonstrations that a text is scored with; its pieces are looked at with the first.
    """

    fields: dict[str, str]
    label: str
    probabilities: dict[str, float]
    templates: tuple[TemplateAttribution, ...]
    sets: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@no_exit()
def attribute(predictor: Predictor, text: str | Mapping[str, str]) -> Attribution:
    """Take out each piece of the template's text and of the fields in turn, and see what that changes.

    Li, Monroe and Jurafsky (2016, arXiv:1612.08220) measure a word by what erasing it does to the
    log-likelihood of the class; here it is the log-odds, and the piece is gone from the row: later ones move up by
    one position. The changes do not add up to the log-odds, for pieces act together. Where a text is scored with
    several sets of demonstrations, the prediction is that of all of them and the pieces are looked at with the first.

    Args:
        predictor: from `promptkit.load`.
        text: a text, or a mapping from the template's fields to texts.

    Raises:
        UserError: if the template has a field that is not given.
    """
    (fields,) = predictor.fields([text])
    explained = [task.explain(fields) for task, _ in predictor.members]
    rows = [
        _erased(task.encode_whole([fields])[0], [role for _, role in told])
        for (task, _), told in zip(predictor.members, explained, strict=True)
    ]
    scores = [
        predictor.scores(number, encoded, batch_size=min(len(encoded), _TOGETHER))
        for number, (encoded, _) in enumerate(rows)
    ]
    if any(task.sets > 1 for task, _ in predictor.members):
        mean = predictor.probabilities([fields])[0]
    else:
        mean = np.exp(mean_log_softmax([each[:1] for each in scores], predictor.card["weights"] or None)[0])
    winner = int(mean.argmax())
    templates = []
    for (task, _), told, (encoded, places), each in zip(predictor.members, explained, rows, scores, strict=True):
        odds = _log_odds(each, winner)
        change = dict(zip(places, (odds[0] - odds[1:]).tolist(), strict=True))
        templates.append(
            TemplateAttribution(
                template=str(task.template),
                probability=float(np.exp(mean_log_softmax([each[:1]])[0, winner])),
                log_odds=float(odds[0]),
                pieces=tuple(Piece(piece, role, change.get(place)) for place, (piece, role) in enumerate(told)),
                dropped=encoded[0].dropped,
            )
        )
    return Attribution(
        fields,
        predictor.labels[winner],
        dict(zip(predictor.labels, mean.tolist(), strict=True)),
        tuple(templates),
        max(task.sets for task, _ in predictor.members),
    )


def _erased(encoded: Encoded, roles: list[str]) -> tuple[list[Encoded], list[int]]:
    """Return the prompt, then the prompt without each of the places that are returned beside it.

    A prompt of a single piece is left as it is: nothing would be left to read.
    """
    places = [place for place, role in enumerate(roles) if role not in _KEPT and len(roles) > 1]
    return [encoded, *(_without(encoded, place) for place in places)], places


def _without(encoded: Encoded, place: int) -> Encoded:
    """Return the prompt without one place. Where a causal model is read there, it is read one piece before."""
    starts = np.cumsum((0, *encoded.parts[:-1]))  # the prompt stands in each part once
    gone = {int(start) + place for start in starts}
    kept = [at for at in range(len(encoded.token_ids)) if at not in gone]
    return replace(
        encoded,
        token_ids=tuple(encoded.token_ids[at] for at in kept),
        virtual_ids=tuple(encoded.virtual_ids[at] for at in kept),
        read=tuple(at - sum(it <= at for it in gone) for at in encoded.read),
        parts=tuple(length - 1 for length in encoded.parts),
    )


def _log_odds(scores: Any, index: int) -> NDArray[np.float64]:
    """Return log p / (1 - p) of one class: (N, C) class scores -> (N,)."""
    from scipy.special import logsumexp  # type: ignore[import-untyped]

    scores = np.asarray(scores, np.float64)
    return np.asarray(scores[:, index] - logsumexp(np.delete(scores, index, axis=-1), axis=-1))
