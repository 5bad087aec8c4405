"""What a strategy's model answers, eagerly and without training: in a row, alone, folded, by long words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from promptkit.testing.runs import RunSet
from promptkit.testing.tiny import LONG_WORDS

if TYPE_CHECKING:
    from promptkit.nn import PromptedModel
    from promptkit.prompting import Encoded
    from promptkit.prompting.resolved import PromptTask

_TEXTS = (
    "good", "the film was very bad", "an actor", "it was a great story with so many good and great people in it",
    "not one of us liked the plot", "terrible , terrible",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """The scores of a model.

    Attributes:
        who: what the model is called.
        together: of texts that share rows, (2, C): the first and the longest of them.
        alone: of each of the two by itself, (2, C).
        empty: of places without an example.
    """

    who: str
    together: Any
    alone: Any
    empty: Any


def moved_scores(runs: RunSet) -> list[Found]:
    """Return the scores of the model away from where it starts, where zeros may hide a fault, and of the folded one.

    The second is left out where `fold` returns the model itself.
    """
    from promptkit.running.guard import fold_model

    prompt = runs.fresh_plan().prompts[0]
    model = _moved(runs, prompt)
    found = [_scores("the model", model, prompt)]
    folded = fold_model(runs.instance, model, runs.strategy.__name__)
    return found if folded is model else [*found, _scores("the folded model", folded, prompt)]


def long_word_scores(runs: RunSet) -> Any:
    """Return the scores of a few texts, (N, C), by label words of two pieces: `LONG_WORDS`.

    Raises:
        UserError: if the strategy refuses such words.
    """
    from promptkit.data import Rows
    from promptkit.nn import tensors

    prompt = runs.fresh_plan(verbalizer=LONG_WORDS).prompts[0]
    model = _moved(runs, prompt)
    model.set_train(False)
    encoded = _encoded(prompt)
    rows = Rows(len(encoded), max(len(each.token_ids) for each in encoded), 1)
    (batch,) = prompt.packer(encoded, None, batch_size=len(encoded), rows=rows).epoch(None)
    return model(tensors(batch.inputs)).asnumpy()


def _moved(runs: RunSet, prompt: PromptTask) -> PromptedModel:
    """Return the model of a prompt with noise on what learns."""
    from mindspore import Tensor, ops

    from promptkit.running.guard import build_model

    model = build_model(runs.instance, runs.backbone, prompt, runs.strategy.__name__)
    rng = np.random.default_rng(0)
    for parameter in model.trainable_params():
        ops.assign(parameter, parameter + Tensor(rng.normal(0.0, 0.05, parameter.shape).astype(np.float32)))
    return model


def _encoded(prompt: PromptTask) -> list[Encoded]:
    return prompt.encoder.encode_many([dict.fromkeys(prompt.template.fields, text) for text in _TEXTS])


def _scores(who: str, model: PromptedModel, prompt: PromptTask) -> Found:
    """Score texts, eagerly: that takes as long as compiling where every call has another shape, so there are two."""
    from promptkit.data import Rows
    from promptkit.nn import tensors

    model.set_train(False)
    encoded = _encoded(prompt)
    lengths = [len(each.token_ids) for each in encoded]
    rows = Rows(2, sum(lengths) // 2 + max(lengths), len(encoded))
    (batch,) = prompt.packer(encoded, None, batch_size=len(encoded), rows=rows).epoch(None)
    scores = model(tensors(batch.inputs)).asnumpy()
    places = {int(number): place for place, number in enumerate(batch.index)}
    chosen, alone = (0, lengths.index(max(lengths))), []
    for number in chosen:
        packer = prompt.packer([encoded[number]], None, batch_size=1, rows=Rows(1, max(lengths) + 2, 1))
        alone += [model(tensors(each.inputs)).asnumpy()[0] for each in packer.epoch(None)]
    together = np.array([scores[places[number]] for number in chosen])
    return Found(who, together, np.array(alone), scores[batch.index < 0])
