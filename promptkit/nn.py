"""MindSpore building blocks for strategies: the public face of the engine.

A prompted model is a cell from batch tensors to class scores. The name of the attribute that holds a parameter
says what it counts as: `prompt`, `encoder` or `head` are what a strategy learns and keeps, `backbone` is the
language model. Dimensions: B batch, S sequence, H hidden, P virtual tokens, M readout positions, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from promptkit.backbones.native.model import Backbone, LMHead
from promptkit.errors import UserError

if TYPE_CHECKING:
    from promptkit.prompting import ResolvedVerbalizer
    from promptkit.prompting.resolved import PromptTask

PARTS = ("prompt", "encoder", "head", "backbone")


class PromptedModel(nn.Cell):
    """Batch -> class scores. Subclasses write `construct`, or `features` and `scores`.

    Attributes:
        fixed_features: set it to True if nothing learns before `scores`; the host then computes `features`
            once for every example instead of once for every epoch.
    """

    fixed_features = False

    def features(self, input_ids: Any, attention_mask: Any, virtual_ids: Any, positions: Any) -> Any:
        """What the frozen part computes from a batch, (B, ...)."""
        raise NotImplementedError

    def scores(self, features: Any) -> Any:
        """Class scores from features, (B, C)."""
        raise NotImplementedError

    def construct(self, input_ids: Any, attention_mask: Any, virtual_ids: Any, positions: Any) -> Any:
        """Return class scores.

        Args:
            input_ids: (B, S) int32 token ids.
            attention_mask: (B, S) float32, 1 at real tokens.
            virtual_ids: (B, S) int32, the virtual token at each position or -1.
            positions: (B, M) int32, the mask slots, or [CLS] with the head readout.

        Returns:
            (B, C) unnormalised log-probabilities of the classes.
        """
        return self.scores(self.features(input_ids, attention_mask, virtual_ids, positions))

    def own_parameters(self) -> dict[str, Parameter]:
        """What prediction needs besides the frozen backbone: everything outside it, and what learns in it.

        The keys are attribute paths (`prompt.vectors`), not MindSpore's parameter names, which change with
        every model a shared backbone is put into.
        """
        kept = {}
        for path, parameter in _paths(self):
            if parameter.requires_grad or not path.startswith("backbone."):
                kept[path] = parameter
        return kept


def _paths(model: nn.Cell) -> Iterator[tuple[str, Parameter]]:
    """Yield every parameter once with its attribute path; those of a `Backbone` begin with `backbone.`."""
    inside = {
        id(parameter): f"backbone.{path}"
        for _, cell in model.cells_and_names()
        if isinstance(cell, Backbone)
        for path, parameter in cell.parameters_and_names()
    }
    for path, parameter in model.parameters_and_names():
        yield inside.get(id(parameter), path), parameter


def part_of(path: str) -> str:
    """Return which part a parameter counts as, by the first word of its path; `head` if it is no known part."""
    first = path.split(".")[0]
    return first if first in PARTS else "head"


def count_parameters(model: PromptedModel) -> dict[str, int]:
    """Count what learns, by part: `prompt`, `encoder`, `head`, `backbone`."""
    counts = dict.fromkeys(PARTS, 0)
    for path, parameter in _paths(model):
        if parameter.requires_grad:
            counts[part_of(path)] += int(np.prod(parameter.shape))
    return counts


class VirtualTokens(nn.Cell):
    """P trainable vectors in the place of word embeddings (Lester et al. 2021)."""

    def __init__(self, vectors: Any, *, learns: bool = True) -> None:
        super().__init__()
        value = Tensor(np.ascontiguousarray(vectors, dtype=np.float32))
        self.vectors = Parameter(value, name="vectors", requires_grad=learns)

    def construct(self) -> Any:
        """Return the vectors, (P, H)."""
        return self.vectors


class ClozeReadout(nn.Cell):
    """Class scores from label words at the mask slots (Schick & Schütze 2021, section 3.1).

    The score of a word is the sum over its slots of the vocabulary logits (rule `mean`: the mean of the
    log-probabilities), the score of a class the mean over its words. Only the label words' vocabulary rows are
    computed, unless words of different lengths make the normaliser matter.

    Args:
        backbone: where the output rows come from.
        verbalizer: the resolved label words.
        learns: whether the head learns: a copy of the backbone's transform, and the label words' output
            biases. The output rows themselves are (tied) word embeddings and stay frozen.
    """

    def __init__(self, backbone: Backbone, verbalizer: ResolvedVerbalizer, *, learns: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.learns = learns
        self.transform = backbone.head_copy() if learns else backbone.lm_head
        rows = np.asarray(verbalizer.rows, np.int32)
        self.rows = Tensor(rows)
        self.selection = Tensor(np.asarray(verbalizer.selection(), np.float32))
        self.normalise = verbalizer.needs_normalising
        if learns:
            bias = backbone.output_bias.asnumpy()[rows]
            self.bias = Parameter(Tensor(bias), name="bias")
        self.matmul, self.linear = ops.MatMul(), ops.MatMul(transpose_b=True)

    def construct(self, hidden: Any) -> Any:
        """Hidden states at the mask slots, (B, M, H) -> class scores, (B, C)."""
        count, slots, width = hidden.shape
        weight, bias = self.backbone.output_rows(self.rows)
        if self.learns:
            bias = self.bias
        transformed = self.transform(hidden.reshape(count * slots, width))
        logits = self.linear(transformed, weight) + bias
        if self.normalise:
            logits = logits - self.backbone.log_normaliser(transformed)
        return self.matmul(logits.reshape(count, slots * weight.shape[0]), self.selection)


class LinearReadout(nn.Cell):
    """Class scores from one linear layer on the first token's hidden state, initialised N(0, 0.02)."""

    def __init__(self, task: PromptTask, hidden_size: int, *, learns: bool) -> None:
        super().__init__()
        weight = task.rng.normal(0.0, 0.02, (len(task.labels), hidden_size)).astype(np.float32)
        self.weight = Parameter(Tensor(weight), name="weight", requires_grad=learns)
        self.bias = Parameter(Tensor(np.zeros(len(task.labels), np.float32)), name="bias", requires_grad=learns)
        self.linear = ops.MatMul(transpose_b=True)

    def construct(self, hidden: Any) -> Any:
        """(B, 1, H) -> (B, C)."""
        return self.linear(hidden[:, 0], self.weight) + self.bias


class ClozePrompt(PromptedModel):
    """A fixed template read by label words or by a linear head; the frozen part is computed once.

    Args:
        backbone: the language model.
        task: the resolved prompt; its readout decides how classes are scored.
        head_learns: whether the readout learns: the linear layer, or a copy of the masked language model head.
    """

    fixed_features = True

    def __init__(self, backbone: Backbone, task: PromptTask, *, head_learns: bool = False) -> None:
        super().__init__()
        if task.num_virtual:
            raise UserError(f"template '{task.template}' has virtual tokens, which this strategy does not learn.")
        self.backbone = backbone
        self.head = readout(backbone, task, learns=head_learns)

    def features(self, input_ids: Any, attention_mask: Any, virtual_ids: Any, positions: Any) -> Any:
        """Hidden states at the readout positions, (B, M, H)."""
        return self.backbone.encode(self.backbone.embed(input_ids), attention_mask, positions)

    def scores(self, features: Any) -> Any:
        """(B, M, H) -> (B, C)."""
        return self.head(features)


class SoftPrompt(PromptedModel):
    """A template whose virtual tokens come from a cell that takes nothing and returns (P, H).

    Args:
        backbone: the language model.
        task: the resolved prompt. The cloze readout stays frozen, the head readout learns.
        prompt: the virtual tokens themselves, counted as `prompt`.
        encoder: or a cell that computes them, counted as `encoder`.
        head: the readout of another model, to share it; a new one by default.
    """

    def __init__(
        self,
        backbone: Backbone,
        task: PromptTask,
        *,
        prompt: nn.Cell | None = None,
        encoder: nn.Cell | None = None,
        head: nn.Cell | None = None,
    ) -> None:
        super().__init__()
        if not task.num_virtual:
            raise UserError(f"template '{task.template}' has no virtual tokens, e.g. {{soft:10}}.")
        self.backbone = backbone
        self.encoded = encoder is not None
        if encoder is not None:
            self.encoder: Any = encoder
        else:
            self.prompt: Any = prompt
        self.head = head if head is not None else readout(backbone, task, learns=task.readout == "head")

    def virtual_vectors(self) -> Any:
        """The virtual tokens' vectors, (P, H)."""
        if self.encoded:
            return self.encoder()
        return self.prompt()

    def construct(self, input_ids: Any, attention_mask: Any, virtual_ids: Any, positions: Any) -> Any:
        """Class scores, (B, C); see `PromptedModel.construct`."""
        words = self.backbone.embed(input_ids)
        vectors = ops.gather(self.virtual_vectors(), ops.relu(virtual_ids), 0)
        is_virtual = (virtual_ids >= 0).expand_dims(-1).astype(words.dtype)
        embeddings = words * (1.0 - is_virtual) + vectors * is_virtual
        return self.head(self.backbone.encode(embeddings, attention_mask, positions))


def readout(backbone: Backbone, task: PromptTask, *, learns: bool) -> ClozeReadout | LinearReadout:
    """Return the cell that turns hidden states at the readout positions into class scores."""
    if task.readout == "head":
        return LinearReadout(task, backbone.config.hidden_size, learns=learns)
    assert task.verbalizer is not None
    return ClozeReadout(backbone, task.verbalizer, learns=learns)


def initial_vectors(backbone: Backbone, task: PromptTask, how: str) -> Any:
    """Return starting vectors for the virtual tokens, (P, H) float32 NumPy.

    Virtual tokens that the template writes as words (`{soft:"It was"}`) start from those words' embeddings.
    The others start as `how` says (Lester et al. 2021, section 3.2): `random`, uniform in [-0.5, 0.5]; `vocab`,
    the embeddings of words drawn without replacement; `text`, the label words in turn, as their class-label
    initialisation does.
    """
    count, width = task.num_virtual, backbone.config.hidden_size
    given = task.virtual_init
    if how == "random":
        vectors = task.rng.uniform(-0.5, 0.5, (count, width)).astype(np.float32)
    else:
        vectors = np.array(backbone.word_vectors(_source_ids(backbone, task, how, count)))
    for number, piece in enumerate(given):
        if piece is not None:
            vectors[number] = backbone.word_vectors([piece])[0]
    return vectors


def _source_ids(backbone: Backbone, task: PromptTask, how: str, count: int) -> list[int]:
    if how == "text":
        words = [piece for group in _label_pieces(task) for piece in group]
        return [words[i % len(words)] for i in range(count)]
    tokenizer = task.tokenizer
    special = {tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id, tokenizer.unk_id}
    usable = [i for i in range(tokenizer.vocab_size) if i not in special and tokenizer.token(i).strip("Ġ▁").isalpha()]
    pool = usable if len(usable) >= count else [i for i in range(tokenizer.vocab_size) if i not in special]
    drawn = task.rng.choice(len(pool), size=count, replace=len(pool) < count)
    return [pool[int(i)] for i in drawn]


def _label_pieces(task: PromptTask) -> list[tuple[int, ...]]:
    if task.verbalizer is not None:
        return [word for words in task.verbalizer.pieces for word in words]
    return [tuple(task.tokenizer.encode(label)) for label in task.labels]


__all__ = [
    "PARTS", "Backbone", "ClozePrompt", "ClozeReadout", "LMHead", "LinearReadout", "PromptedModel", "SoftPrompt",
    "VirtualTokens", "count_parameters", "initial_vectors", "part_of", "readout",
]  # fmt: skip
