"""Strategies whose searches and lessons draw, or learn, and do not say so are named before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from promptkit import Defaults, Example, Lesson, Proposal, Strategy, Verbalizer
from promptkit.errors import UserError

pytest.importorskip("mindspore")

Install = Callable[[type[Strategy]], None]
TEMPLATE = ("{text} it was {mask} .",)


class Frozen(Strategy):
    """A frozen template."""

    name = "frozen"
    summary = "for a test"

    def build(self, backbone: Any, task: Any) -> Any:
        from promptkit.nn import ClozePrompt

        return ClozePrompt(backbone, task)


class Drawing(Frozen):
    """Proposes words that it draws."""

    name = "drawing"
    depends_on = frozenset({"examples"})
    proposes = frozenset({"words"})

    def propose(self, draft: Any) -> Proposal:
        words = draft.rng.permutation(["great", "bad"])
        return Proposal(draft.templates, Verbalizer.from_mapping(dict(zip(draft.labels, words, strict=True))))


class Teaching(Frozen):
    """Has texts without labels learnt from, whatever `teach` says of them."""

    name = "teaching"
    rounds = 2
    unlabelled = 4
    lessons: Any = None

    def teach(self, ended: Any) -> Any:
        return self.lessons(ended)


class Solving(Frozen):
    """Finds its values without an epoch, and has left its declaration as it comes."""

    name = "solving"
    defaults = Defaults(epochs=0)

    def build(self, backbone: Any, task: Any) -> Any:
        from mindspore import Parameter, Tensor

        from promptkit.nn import ClozePrompt

        class Solved(ClozePrompt):
            fits = True

            def __init__(self) -> None:
                super().__init__(backbone, task)
                self.shift = Parameter(Tensor(np.zeros(2, np.float32)), name="shift")

        return Solved()


def test_a_search_that_draws_says_so(tiny_run: Any, install: Install) -> None:
    install(Drawing)
    with pytest.raises(UserError, match=r"^strategy 'drawing' .*: propose draws random .* must name seed\.$"):
        tiny_run("drawing", templates=TEMPLATE, mode="pynative")
    install(type("Honest", (Drawing,), {"depends_on": frozenset({"examples", "seed"})}))
    tiny_run("drawing", templates=TEMPLATE, mode="pynative")


def test_lessons_that_are_drawn_say_so(tiny_run: Any, install: Install) -> None:
    def drawn(self: Any, ended: Any) -> Any:
        chosen = ended.rng.permutation(len(ended.texts))
        return [Lesson([ended.texts[n] for n in chosen], np.zeros(len(chosen), int))]

    install(type("Secret", (Teaching,), {"teach": drawn, "depends_on": frozenset({"examples"})}))
    with pytest.raises(UserError, match=r"^strategy 'teaching' .*: teach draws random .* must name seed\.$"):
        tiny_run("teaching", templates=TEMPLATE, mode="pynative", shots=4)


@pytest.mark.parametrize("lessons", [None, Lesson((Example("a", "positive"),), np.zeros(1, int)), 3])
def test_what_teach_returns_is_a_list_or_one_line(tiny_run: Any, install: Install, lessons: Any) -> None:
    install(type("Single", (Teaching,), {"teach": lambda self, ended: lessons}))
    with pytest.raises(UserError, match=r"teach must return 1 promptkit\.Lesson for round 1\.$"):
        tiny_run("teaching", templates=TEMPLATE, mode="pynative", shots=4)


def test_what_learns_without_an_epoch_is_told_what_to_declare(tiny_run: Any, install: Install) -> None:
    install(Solving)
    with pytest.raises(UserError, match=r"must name examples, and not training: it learns without an epoch\.$"):
        tiny_run("solving", templates=TEMPLATE, mode="pynative")
