"""Training in rounds: what a strategy is told after a round, and what it answers. No MindSpore here.

In a run of several rounds the models of one round label texts that have no labels, and the next round's models learn
from them: generations (Schick & Schütze 2021, section 3.4), self-training, distillation into one classifier (section
3.3). Dimensions: n models of a round, U texts without labels, N examples, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from promptkit.data import Example
    from promptkit.prompting import Readout, Template
    from promptkit.strategies.contract import Defaults, Strategy


@dataclass(frozen=True)
class Student:
    """The one model that learns in the last round, in place of one for each template. The artifact holds it alone.

    Attributes:
        strategy: builds it; an instance, of the same class or another registered one, with its options.
        template: its template.
        readout: how its class scores are read.
        training: its epochs, rate, decay and patience; what else is in there does not count.
    """

    strategy: Strategy
    template: Template
    readout: Readout
    training: Defaults


@dataclass(frozen=True)
class Lesson:
    """What one model of the coming round learns from.

    Attributes:
        examples: N examples; what label they bear does not count.
        targets: their class indices, (N,) int, or soft labels: the probabilities of the classes, (N, C) float.
    """

    examples: Sequence[Example]
    targets: Any


@dataclass(frozen=True)
class Round:
    """What `Strategy.teach` is told once the models of a round have learnt.

    Attributes:
        number: of the coming round; the first that is taught is 1.
        train: the labelled examples of the run.
        labels: their class indices, (N,).
        texts: U examples without labels: their label is the empty string.
        scores: log-probabilities that each model gives the classes of each text, (n, U, C) float64.
        weights: of the models where scores are combined, (n,); see `Strategy.weights`.
        rng: the only source of random numbers.
        warn: takes a sentence for the user and the record.
    """

    number: int
    train: tuple[Example, ...]
    labels: Any
    texts: tuple[Example, ...]
    scores: Any
    weights: Any
    rng: np.random.Generator
    warn: Callable[[str], None]

    def probabilities(self, models: Sequence[int] | None = None, temperature: float = 1.0) -> Any:
        """Return the probabilities of the classes that some models give together, (U, C); all models by default.

        The softmax of the weighted mean of their scores, divided by the temperature (Schick & Schütze 2021, section
        3.3; Hinton et al. 2015, section 2). What is added to all classes' scores does not matter to it, so
        log-probabilities serve as well as unnormalised scores. Where all weights are 0 the models count equally.
        """
        # Here, for a command's help wants strategies and no numbers.
        import numpy as np
        from scipy.special import softmax

        chosen = list(range(len(self.scores))) if models is None else list(models)
        weights = np.asarray(self.weights, np.float64)[chosen]
        weights = weights if weights.any() else np.ones(len(chosen))
        return softmax(np.average(self.scores[chosen], axis=0, weights=weights) / temperature, axis=-1)
