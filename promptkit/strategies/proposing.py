"""What a strategy is given that looks for templates or label words before it builds anything; no MindSpore here.

N prompts, M positions read of each, H hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from promptkit.prompting import Template, Verbalizer

if TYPE_CHECKING:
    import numpy as np

    from promptkit.backbones.face import Tokenizer
    from promptkit.data import Example
    from promptkit.data.packing import Packable
    from promptkit.prompting.resolved import PromptTask


@dataclass(frozen=True)
class Proposal:
    """The templates and label words to go on with, as if the user had given them.

    Attributes:
        templates: as they are to be used; `Strategy.prepare` does not see them again.
        verbalizer: the label words.
        found: what was found, in words, for the record.
        dev_scores: how many dev scores it was picked by.
    """

    templates: tuple[Template, ...]
    verbalizer: Verbalizer
    found: tuple[str, ...] = ()
    dev_scores: int = 0


class Draft(Protocol):
    """A run before its templates and label words are final.

    Attributes:
        templates: those of the run so far, as `prepare` returned them.
        verbalizer: its label words so far.
        words_known: whether these mean anything. Where none are known for the labels, and the strategy proposes some,
            words of the vocabulary stand in for them.
        labels: the classes.
        language: language code of the data.
        train: training examples.
        dev: dev examples.
        tokenizer: of the model.
        rng: the only source of random numbers.
    """

    templates: tuple[Template, ...]
    verbalizer: Verbalizer
    words_known: bool
    labels: tuple[str, ...]
    language: str
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    tokenizer: Tokenizer
    rng: np.random.Generator

    def prompt(self, template: Template, verbalizer: Verbalizer) -> PromptTask:
        """Return the resolved prompt of a template, without demonstrations.

        Raises:
            UserError: if they do not fit the model or each other.
        """
        ...

    def states(self, encoded: Sequence[Packable]) -> Any:
        """Return the frozen model's last hidden states where prompts are read, (N, M, H) NumPy.

        Prompts come from `PromptTask.encode_examples`, and may have been changed since.
        """
        ...

    def log_probabilities(self, states: Any, rows: Sequence[int] | None = None) -> Any:
        """Return the log-probabilities of vocabulary ids, or of all V: (N, M, H) -> (N, M, W) NumPy."""
        ...
