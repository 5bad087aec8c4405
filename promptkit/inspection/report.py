"""What a run has learnt: virtual tokens with their nearest words, how far they moved and where they lie; prefixes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from promptkit.errors import UserError
from promptkit.hooks import no_exit
from promptkit.hub import Access
from promptkit.inspection.learnt import prefix_of, virtual_vectors
from promptkit.inspection.movement import Movement, movement
from promptkit.inspection.prefixes import PrefixOfLayers, describe_prefix
from promptkit.inspection.vectors import Neighbour, nearest_words, principal_components, similarity, word_rows
from promptkit.running.restore import OpenedPrompt, open_prompt

if TYPE_CHECKING:
    from promptkit.prompting.resolved import PromptTask

MAX_NEAREST = 100
CAUTION = (
    "Nearest words are a clue, not an explanation. Lester et al. (2021, section 7) found them to be related words, "
    'at times the classes\' own. But Khashabi et al. (2022, "Prompt Waywardness") trained prompts that solve a task '
    "and lie nearest to any text they chose, the description of another task included."
)
Kind = Literal["token", "start", "label", "nearest"]


@dataclass(frozen=True)
class VirtualToken:
    """One virtual token.

    Attributes:
        name: `V0`, `V1` and so on, in the order of the template.
        start: the word whose embedding it started as, or None if that was none.
        moved: Euclidean distance from where it started.
        start_cosine: cosine with where it started.
        norm: Euclidean norm.
        nearest: the words nearest by cosine, nearest first.
    """

    name: str
    start: str | None
    moved: float
    start_cosine: float
    norm: float
    nearest: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Mark:
    """A point of the picture: a virtual token, where it started, a label word, or a token's nearest word."""

    kind: Kind
    name: str
    x: float
    y: float


@dataclass(frozen=True)
class VirtualPrompt:
    """The virtual tokens of one template: P of them, H wide.

    Attributes:
        template: its source.
        tokens: (P,).
        vectors: (P, H) float32.
        initial: what `vectors` were before training, (P, H) float32.
        marks: the first two principal components of the virtual tokens, their starts, the label words and each
            token's nearest word, together; a label word of several pieces is the mean of them.
        shares: of the variance on the two axes.
        movement: how far the tokens went, and whether that is worth speaking of.
    """

    template: str
    tokens: tuple[VirtualToken, ...]
    vectors: NDArray[np.float32]
    initial: NDArray[np.float32]
    marks: tuple[Mark, ...]
    shares: tuple[float, float]
    movement: Movement


@dataclass(frozen=True)
class PromptReport:
    """What `inspect_prompt` found.

    Attributes:
        run: the path that was given.
        strategy, model: of the run.
        words: how many words of the vocabulary were looked through.
        median_norm: the median norm of their embeddings, for scale.
        templates: one for each template of the run that has virtual tokens.
        prefixes: one for each that has keys and values in the layers.
        caution: how far nearest words can be trusted.
    """

    run: str
    strategy: str
    model: str
    words: int
    median_norm: float
    templates: tuple[VirtualPrompt, ...]
    prefixes: tuple[PrefixOfLayers, ...] = ()
    caution: str = CAUTION

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values, the vectors themselves left out."""
        plain = asdict(self)
        for template in plain["templates"]:
            del template["vectors"], template["initial"]
        return plain


@no_exit()
def inspect_prompt(
    path: str | Path,
    *,
    nearest: int = 5,
    model: str | None = None,
    device: str = "auto",
    download: bool = False,
    mirror: str | None = None,
    offline: bool = False,
) -> PromptReport:
    """Describe the virtual tokens of a run, and the keys and values that it puts into the layers.

    Nearest neighbours by cosine are those of Lester et al. (2021, section 7). Where the tokens started is not kept
    in an artifact; the strategy builds it again from the run's seed, with which the global generators of MindSpore
    and NumPy are seeded as well.

    Args:
        path: a run directory, or a `prompt.safetensors`.
        nearest: words for each virtual token, from 1 to 100.
        model: as for `promptkit.load`.
        device: as for `promptkit.load`.
        download: as for `promptkit.load`.
        mirror: as for `promptkit.load`.
        offline: as for `promptkit.load`.

    Raises:
        UserError: if the run has neither, or cannot be loaded.
    """
    if not 1 <= nearest <= MAX_NEAREST:
        raise UserError(f"the number of nearest words must be from 1 to {MAX_NEAREST}, got {nearest}.")
    opened = open_prompt(path, model=model, device=device, access=Access(download, mirror, offline))
    # Behind it, for it turns off MindSpore's warnings, which must be done before MindSpore is imported.
    from promptkit.nn import word_vectors

    tokenizer = opened.backbone.tokenizer
    rows = word_rows(tokenizer)
    table = np.asarray(word_vectors(opened.backbone, range(opened.backbone.info.vocab_size)), np.float32)
    median = float(np.median(np.linalg.norm(table[rows], axis=-1)))
    found, prefixes = [], []
    for number, source in enumerate(opened.card["templates"]):
        task, (initial, prefix_before), (vectors, prefix) = _learnt(opened, number)
        if prefix is not None and prefix_before is not None:
            prefixes.append(describe_prefix(opened.backbone, task, source, prefix, prefix_before))
        if vectors is None or initial is None:
            continue
        near = nearest_words(vectors, table, rows, tokenizer, nearest)
        cosines, moved = similarity(vectors, initial)
        tokens = _tokens(vectors, cosines, moved, near, _starts(initial, table, rows, tokenizer))
        marks, shares = _picture(task, tokens, vectors, initial, table)
        went = movement([token.name for token in tokens], moved, _norms(initial), cosines, median)
        found.append(VirtualPrompt(source, tokens, vectors, initial, marks, shares, went))
    if not (found or prefixes):
        advice = (
            f"; give a TEXT, and see which of its pieces the prediction hangs on: promptkit inspect {path} 'TEXT'"
            if opened.card["objective"] == "classes"
            else " and no prefix, so there is nothing to show of it."
        )
        raise UserError(f"run '{path}' has no virtual tokens{advice}")
    return PromptReport(
        run=str(path),
        strategy=opened.card["strategy"],
        model=model or opened.card["model"],
        words=len(rows),
        median_norm=median,
        templates=tuple(found),
        prefixes=tuple(prefixes),
    )


_Learnt = tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]


def _learnt(opened: OpenedPrompt, number: int) -> tuple[PromptTask, _Learnt, _Learnt]:
    """Return a template's task, and its virtual tokens and prefix before and after training, None for none."""
    import mindspore as ms

    # A run does so too, for strategies that draw from MindSpore's own generators.
    ms.set_seed(opened.card["seed"])
    task, model = opened.rebuild(number)
    width = opened.backbone.info.embedding_size
    before = virtual_vectors(model, width), prefix_of(model)
    opened.fill(number, model)
    return task, before, (virtual_vectors(model, width), prefix_of(model))


def _tokens(
    vectors: NDArray[np.float32],
    cosines: NDArray[np.float64],
    moved: NDArray[np.float64],
    near: list[tuple[Neighbour, ...]],
    starts: list[str | None],
) -> tuple[VirtualToken, ...]:
    norms = _norms(vectors)
    return tuple(
        VirtualToken(f"V{i}", starts[i], float(moved[i]), float(cosines[i]), float(norms[i]), near[i])
        for i in range(len(vectors))
    )


def _norms(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = np.linalg.norm(vectors.astype(np.float64), axis=-1)
    return norms


def _starts(
    initial: NDArray[np.float32], table: NDArray[np.float32], rows: NDArray[np.int64], tokenizer: Any
) -> list[str | None]:
    """Return for each initial vector the word whose embedding it is, or None."""
    nearest = (each[0] for each in nearest_words(initial, table, rows, tokenizer, 1))
    return [word.word if word.distance == 0 else None for word in nearest]


def _picture(
    task: PromptTask,
    tokens: tuple[VirtualToken, ...],
    vectors: NDArray[np.float32],
    initial: NDArray[np.float32],
    table: NDArray[np.float32],
) -> tuple[tuple[Mark, ...], tuple[float, float]]:
    names: list[tuple[Kind, str]] = [("token", token.name) for token in tokens]
    names += [("start", token.name) for token in tokens]
    points = [*vectors, *initial]
    if task.verbalizer is not None:
        for words, group in zip(task.verbalizer.words, task.verbalizer.pieces, strict=True):
            names += [("label", word) for word in words]
            points += [table[list(ids)].mean(0) for ids in group]
    nearest = {token.nearest[0].id: token.nearest[0].word for token in tokens}
    names += [("nearest", word) for word in nearest.values()]
    points += [table[number] for number in nearest]
    seen = principal_components(np.stack(points))
    marks = tuple(
        Mark(kind, name, float(x), float(y)) for (kind, name), (x, y) in zip(names, seen.points, strict=True)
    )
    return marks, (float(seen.shares[0]), float(seen.shares[1]))
