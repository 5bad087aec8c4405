"""Keys and values in front of the layers: what they are, what may compute them, and where they start.

Dimensions: K layers with a prefix, of L; P prefix positions, A_kv heads of keys and values, D head width.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from promptkit.backbones.face import Backbone, Kind
from promptkit.errors import UserError, kind_of, unknown
from promptkit.prompting.layout import Layout
from promptkit.prompting.resolved import PromptTask
from promptkit.strategies.virtual import label_pieces

PrefixStart = Literal["auto", "random", "activations"]
_KEYS, _VALUES = 0.5, 0.02  # standard deviations at a random start


class LayerPrefix(nn.Cell):
    """P trainable keys and values in every layer, or in the last K (Li & Liang 2021; Liu et al. 2022).

    Args:
        values: (K, 2, A_kv, P, D), keys first.
    """

    def __init__(self, values: Any) -> None:
        super().__init__()
        self.values = Parameter(Tensor(np.ascontiguousarray(values, dtype=np.float32)), name="values")

    def construct(self) -> Any:
        """Return keys and values, (K, 2, A_kv, P, D)."""
        return self.values


class PrefixEncoder(nn.Cell):
    """P embeddings -> linear, tanh, linear -> keys and values (Li & Liang 2021, section 4.3).

    Position i of all layers is W_2 tanh(W_1 e_i + a_1) + a_2. The embeddings start from N(0, 1), the linear layers
    evenly from -1/sqrt(n) to 1/sqrt(n) with n their inputs, as in the authors' code.

    Args:
        shape: what comes out, (K, 2, A_kv, P, D).
        width: of the embeddings and of the hidden layer.
        rng: source of the starting weights.
    """

    def __init__(self, shape: tuple[int, int, int, int, int], width: int, rng: np.random.Generator) -> None:
        super().__init__()
        depth, both, heads, count, head_width = shape
        self.shape, self.flat = shape, (count, depth * both * heads, head_width)

        def drawn(name: str, *size: int) -> Parameter:
            bound = width**-0.5
            return Parameter(Tensor(rng.uniform(-bound, bound, size).astype(np.float32)), name=name)

        embeddings = rng.normal(0.0, 1.0, (count, width)).astype(np.float32)
        self.embeddings = Parameter(Tensor(embeddings), name="embeddings")
        self.up_weight, self.up_bias = drawn("up_weight", width, width), drawn("up_bias", width)
        out = depth * both * heads * head_width
        self.down_weight, self.down_bias = drawn("down_weight", out, width), drawn("down_bias", out)
        self.linear = ops.MatMul(transpose_b=True)

    def construct(self) -> Any:
        """Return keys and values, (K, 2, A_kv, P, D)."""
        u = self.linear(self.embeddings, self.up_weight) + self.up_bias
        # tanh by way of the sigmoid, whose CPU kernel is the exact one (see backbones/native/layers/gates.py).
        x = self.linear(2.0 * ops.sigmoid(2.0 * u) - 1.0, self.down_weight) + self.down_bias
        # Two steps with three axes, for a transpose of five is slow.
        return ops.transpose(x.reshape(self.flat), (1, 0, 2)).reshape(self.shape)


def prefix_depth(backbone: Backbone, layers: int) -> int:
    """Return K for a prefix of the last `layers` layers, where 0 is for all.

    Raises:
        UserError: for more layers than the model has, or if it has none.
    """
    has = backbone.info.layers
    if not has or not 0 <= layers <= has:
        raise UserError(f"a prefix for {layers or 'all'} layers: model '{backbone.source}' has {has or 'none'}.")
    return layers or has


def check_prefix(backbone: Backbone, values: Any) -> None:
    """Refuse what a model cannot take for a prefix.

    Args:
        backbone: the language model.
        values: what a cell gives, to be (K, 2, A_kv, P, D) with K from 1 to L.

    Raises:
        UserError: for what is no tensor, or is of another shape.
    """
    info = backbone.info
    if not isinstance(values, Tensor):
        raise UserError(f"a prefix is a tensor (K, 2, A_kv, P, D); the cell returns {kind_of(values)}.")
    shape = tuple(values.shape)
    if len(shape) != 5 or 0 in shape or (*shape[1:3], shape[4]) != (2, info.kv_heads, info.head_width):
        raise UserError(
            f"a prefix of shape {shape}: model '{backbone.source}' takes (K, 2, {info.kv_heads}, P, "
            f"{info.head_width}), keys and values of its last K layers, of 1 to {info.layers}."
        )
    prefix_depth(backbone, shape[0])


def initial_prefix(
    backbone: Backbone, task: PromptTask, how: PrefixStart, tokens: int, layers: int = 0, words: str = ""
) -> Any:
    """Return starting keys and values of the last K layers, (K, 2, A_kv, P, D) float32 NumPy.

    `auto`: `activations` where a causal model is asked for classes, for its answers do not survive a random prefix of
    every layer, and few examples do not mend them; else `random`.

    `random`: keys from N(0, 0.5), values from N(0, 0.02), mean and standard deviation. `activations`: what the frozen
    model computes for words (Li & Liang 2021, section 7.4) that stand in front of the text: those given, or else the
    template's with each label word in turn filled in, and again from the first, P pieces in all.

    Args:
        backbone: the language model.
        task: the resolved prompt.
        how: see above.
        tokens: P; that of `words` where these are given.
        layers: K, how many of the last layers; 0 for all.
        words: to start from; a causal model reads them as a paragraph of their own.

    Raises:
        UserError: for an unknown `how`, for more layers than the model has, if it takes no text of P pieces, or if it
            cannot say what its keys and values are.
    """
    info, depth = backbone.info, prefix_depth(backbone, layers)
    if how not in get_args(PrefixStart):
        raise unknown("start of a prefix", how, get_args(PrefixStart))
    if how == "auto":
        how = "activations" if info.kind == "causal" and task.readout != "answer" else "random"
    if how == "random":
        spread = np.array([_KEYS, _VALUES]).reshape(1, 2, 1, 1, 1)
        drawn = task.rng.normal(0.0, 1.0, (depth, 2, info.kv_heads, tokens, info.head_width))
        return (spread * drawn).astype(np.float32)
    around = Layout.of(task.tokenizer, info.kind)
    given = task.tokenizer.encode(words)
    if given and info.kind == "causal":
        given += around.closing
    tokens = len(given) or tokens
    if tokens + 2 > info.max_length:
        raise UserError(f"a prefix of {tokens} words: model '{backbone.source}' takes {info.max_length - 2} at most.")
    ids = [*around.front, *(given or task_words(task, tokens, info.kind)), *around.back]
    found = backbone.keys_and_values(backbone.embed(Tensor(np.asarray(ids, np.int32))), True).asnumpy()
    start = len(around.front)
    return np.array(found[info.layers - depth :, :, :, start : start + tokens], np.float32)


def task_words(task: PromptTask, count: int, kind: Kind = "masked") -> list[int]:
    """Return the pieces of the template's own words, each label word in turn at the mask, `count` in all.

    Args:
        task: the resolved prompt.
        count: how many; from the first again where there are fewer. Where there are more, what comes with each label
            word loses its beginning, so that no class goes without.
        kind: of the model; a causal one answers behind the position that is read, a masked one there.
    """
    # Fields hold padding, which is left out below: where nothing stands before the answer, nothing can be asked.
    (encoded,) = task.encode_whole([dict.fromkeys(task.template.fields, (task.tokenizer.pad_id,))])
    ids, slots = encoded.token_ids, set(encoded.read)
    if task.readout == "cloze" and kind == "causal":
        ids = ids[: encoded.read[0] + 1]  # what stands behind belongs to label words of several pieces
    if task.readout != "cloze" or kind == "causal":
        slots = {place for place, piece in enumerate(ids) if piece == task.tokenizer.mask_id} or {len(ids)}
    special = {task.tokenizer.cls_id, task.tokenizer.sep_id, task.tokenizer.pad_id}
    rounds: list[list[int]] = []
    for label_word in label_pieces(task):
        words: list[int] = []
        for place, piece in enumerate([*ids, None]):
            if place in slots:
                words += label_word if place == min(slots) else ()
            elif piece not in special and piece is not None and encoded.virtual_ids[place] < 0:
                words.append(piece)
        rounds.append(words)
    if (share := count // len(rounds)) and sum(map(len, rounds)) > count:
        rounds = [words[-share:] for words in rounds]
    words = [piece for each in rounds for piece in each]
    if not words:
        raise UserError(f"init=activations starts from words, and template '{task.template}' has none of its own.")
    return [words[number % len(words)] for number in range(count)]
