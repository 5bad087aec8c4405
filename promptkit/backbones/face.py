"""What a strategy sees of a language model, and what an engine must bring to offer one. Imports no MindSpore.

Dimensions: R rows, S positions a row, E examples a row, M positions read of each example, H hidden, L layers,
A attention heads (A_kv of keys and values), D head width, V vocabulary, P prefix positions; N = R * E.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict, runtime_checkable

from promptkit.errors import UserError

__all__ = [
    "Backbone", "BackboneInfo", "ChatTokenizer", "Dropout", "Engine", "Inputs", "Kind", "Likelihoods", "ModelFiles",
    "Part", "Precision", "Tokenizer", "Writing", "hash_file",
]  # fmt: skip

Kind = Literal["masked", "causal"]
Part = Literal["all", "head", "biases"]
Precision = Literal["fp32", "fp16", "bf16"]


class Inputs(TypedDict):
    """What a model reads: several examples packed into each row (Krell et al. 2021, arXiv:2107.02027).

    Arrays or tensors of static shapes. An example attends to itself alone, whatever else stands in its row. It is a
    dictionary, for that is the one structure with names that MindSpore's graphs know (2.10): a named tuple within a
    graph sends what follows through slow Python fallbacks, and as an argument it counts as a constant.

    Keys:
        token_ids: (R, S) int32, vocabulary ids.
        segment_ids: (R, S) int32, which example of the row a position belongs to, from 1; 0 is padding. Where an
            example has several parts, the prompt once for each label word of several pieces, they see nothing of each
            other: the first bears the example's number, the others numbers above E.
        position_ids: (R, S) int32, the position within the example, or within its part, from 0, or from the end of a
            front.
        virtual_ids: (R, S) int32, the virtual token that stands at a position, or -1.
        read: (R, E, M) int32, positions of the row to read each example at; 0 where the row holds fewer examples.
    """

    token_ids: Any
    segment_ids: Any
    position_ids: Any
    virtual_ids: Any
    read: Any


class Dropout(TypedDict):
    """What dropout keeps in one training step (Srivastava et al. 2014), where Devlin et al. 2019 have it.

    Drawn outside of the graph, so that a seed repeats a run on every device; what is kept is multiplied by
    1 / (1 - rate).

    Keys:
        hidden: (2 L + 1, R * S, H) bool: behind the embeddings, and in every layer behind attention and feed-forward,
            before each is added to its input.
        attention: (L, R, A, S, S) bool: attention probabilities; (L, R, A, S, P + S) with a prefix of P positions,
            which has to be one of all L layers. In the last layer an engine that computes only the E * M positions
            read of each row may take the first E * M of the S for them.
        rate: the share that is dropped, a number from 0 to 1.
    """

    hidden: Any
    attention: Any
    rate: float


@dataclass(frozen=True)
class BackboneInfo:
    """What is to be known of a language model before it is loaded.

    Attributes:
        kind: `masked` reads at a mask token, `causal` before the next token.
        architecture: the family, for tables and records; nothing is decided by it.
        layers: L.
        hidden_size: H.
        heads: A.
        kv_heads: A_kv, heads of keys and values.
        head_width: D.
        vocab_size: V.
        max_length: longest example, special tokens included.
        parameters: weights, tied ones counted once.
        flops_per_token: multiplications and additions of one forward pass for one token, attention left out.
        takes_front: whether `Backbone.run` takes a front: a causal model, of which what comes first sees nothing of
            what comes behind it.
        embedding_size: width of word embeddings, where it is another than H (ALBERT, Lan et al. 2020); 0 for H,
            which it then becomes.
    """

    kind: Kind
    architecture: str
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_width: int
    vocab_size: int
    max_length: int
    parameters: int
    flops_per_token: int
    takes_front: bool = False
    embedding_size: int = 0

    def __post_init__(self) -> None:
        """Fill in the width of word embeddings."""
        if not self.embedding_size:
            object.__setattr__(self, "embedding_size", self.hidden_size)


class Tokenizer(Protocol):
    """What promptkit asks of a tokenizer.

    Attributes:
        cls_id, sep_id, pad_id, mask_id, unk_id: ids of the special tokens. Those of a causal model are -1 where it
            has none, and `mask_id` always is; `cls_id` is what opens a text, `sep_id` what ends one. `pad_id` is then
            any other: padding is embedded, and never looked at.
        marks_spaces: True where " great" and "great" are different tokens (byte-level BPE), False for WordPiece.
        vocab_size: V.
    """

    @property
    def cls_id(self) -> int: ...
    @property
    def sep_id(self) -> int: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def mask_id(self) -> int: ...
    @property
    def unk_id(self) -> int: ...
    @property
    def marks_spaces(self) -> bool: ...
    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str) -> list[int]:
        """Return the piece ids of a text, without special tokens."""
        ...

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the piece ids of many texts, as `encode` does of one."""
        ...

    def token(self, id: int) -> str:
        """Return the piece with this id."""
        ...


@runtime_checkable
class ChatTokenizer(Tokenizer, Protocol):
    """What a tokenizer has besides that can say how its model converses.

    Attributes:
        chat_template: the Jinja template of a conversation, as Hugging Face's `apply_chat_template` has it; or None.
        chat_tokens: what that template may name: `bos_token`, `eos_token` and their like.
    """

    @property
    def chat_template(self) -> str | None: ...
    @property
    def chat_tokens(self) -> Mapping[str, str]: ...

    def encode_marked(self, text: str) -> list[int]:
        """Return the piece ids of what a chat template has written, in which special tokens are special."""
        ...


@runtime_checkable
class Backbone(Protocol):
    """A language model on MindSpore: a `mindspore.nn.Cell` whose weights are frozen.

    Its methods are called within compiled graphs: they keep to static shapes and to what a graph takes. One that
    cannot says so by an attribute `compiles = False`, and is run eagerly. One that would round small gradients to 0
    has an attribute `loss_scale`, which the loss is multiplied by before its gradient is taken. What an engine does
    not offer (a prefix, dropout, a part that learns) it refuses with a `UserError`.

    Where word embeddings have another width than hidden states, H of the former is `info.embedding_size`.

    Attributes:
        info: its shape.
        tokenizer: its tokenizer.
        source: the name or path it was loaded from.
        fingerprint: 16 hexadecimal digits over all that its numbers depend on: weights, configuration, tokenizer.
        learns: which part requires gradient; None for the frozen model itself.
    """

    info: BackboneInfo
    tokenizer: Tokenizer
    source: str
    fingerprint: str
    learns: Part | None

    def embed(self, ids: Any) -> Any:
        """Word embeddings of vocabulary ids: int32 (...) -> (..., H)."""
        ...

    def run(
        self,
        embeddings: Any,
        inputs: Inputs,
        prefix: Any = None,
        dropout: Dropout | None = None,
        front: Any = None,
    ) -> Any:
        """Run the layers.

        Args:
            embeddings: (R, S, H), word embeddings with virtual tokens in their places; positions are added here.
            inputs: where examples stand and are read; its token ids are not looked at.
            prefix: (K, 2, A_kv, P, D), keys and values that every position may attend to in the last K of the L
                layers; the layers before them see none. One for the whole batch, so it cannot depend on a text. Where
                distance counts (ALiBi) it stands directly in front of every example. Or None.
            dropout: what is kept in this training step, or None for all.
            front: (L, 2, A_kv, F, D), what `keys_and_values` gives of the F positions that examples begin with, so
                that these are computed once for all. An example whose positions begin at F goes on from there; one
                whose positions begin at 0 does not see it. Only where `info.takes_front`, and without a prefix.

        Returns:
            Last hidden states at the positions read, (R * E, M, H), ready for `logits`.
        """
        ...

    def keys_and_values(self, embeddings: Any, before: bool = False) -> Any:
        """What the attention of every layer computes for a text that stands alone; as a prefix it is that text.

        Args:
            embeddings: (P, H), word embeddings or virtual tokens; positions are counted from 0, and added here.
            before: whether they are for texts whose own positions begin at 0. Where positions are angles (RoPE) they
                then are -P to -1, so that the text stands directly in front; learnt positions have none below 0, and
                stay.

        Returns:
            (L, 2, A_kv, P, D), keys first.
        """
        ...

    def logits(self, hidden: Any, rows: Any = None, normalised: bool = False) -> Any:
        """Scores of vocabulary entries: what lies behind the last hidden states, whatever it is.

        Args:
            hidden: (N, M, H), from `run`.
            rows: (W,) int32 vocabulary ids; None for all V.
            normalised: whether to return log-probabilities over the whole vocabulary.

        Returns:
            (N, M, W).
        """
        ...

    def trainable(self, part: Part) -> Backbone:
        """Return a copy in which a part learns; this one stays frozen.

        `all` is every weight; `head` what stands between hidden states and the vocabulary's rows, if there is
        anything; `biases` every vector that `run` adds to states, of embeddings and layers (Ben Zaken et al. 2022).
        What does not learn may be shared with this one.
        """
        ...


@runtime_checkable
class Likelihoods(Protocol):
    """What a backbone may offer besides, so that a large vocabulary's scores need not be there all at once."""

    def likelihoods(self, hidden: Any, targets: Any) -> Any:
        """Log-probabilities of one vocabulary entry each: hidden (N, H), targets (N,) int32 -> (N,)."""
        ...


@runtime_checkable
class Writing(Protocol):
    """What a causal backbone offers that can go on with texts token by token.

    Attributes:
        end_ids: ids of the tokens that end what it writes, none if it has none.
    """

    @property
    def end_ids(self) -> tuple[int, ...]: ...

    def extend(
        self, embeddings: Any, position_ids: Any, kept_positions: Any, seen: Any, kept: Any, first: int, front: int
    ) -> tuple[Any, Any]:
        """Read T further positions of each of B texts, behind C whose keys and values were kept.

        Args:
            embeddings: (B, T, H), word embeddings with virtual tokens in their places.
            position_ids: (B, T) int32, where in its text each stands.
            kept_positions: (B, C) int32, the same of what was kept.
            seen: (B, T, C + T) float32, added to attention: 0 where a position may look, far below 0 elsewhere.
            kept: (L, 2, B, A_kv, C, D), keys first.
            first: the first layer that sees the `front` foremost kept positions: a prefix of the last layers.
            front: how many these are.

        Returns:
            Last hidden states, (B, T, H), and the new keys and values, (L, 2, B, A_kv, T, D).
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens left out."""
        ...


@dataclass(frozen=True)
class ModelFiles:
    """A checkpoint as far as it is known without MindSpore.

    Attributes:
        directory: where it lies.
        engine: name of the engine that described it.
        info: its shape.
        tokenizer: its tokenizer.
        fingerprint: see `Backbone`.
        software: what else computes the numbers, with its version, where it is not promptkit and MindSpore alone. It
            is in a run's key; an artifact is loaded by other versions as well.
        precision: in which matrix products shall be computed; all else is fp32.
    """

    directory: Path
    engine: str
    info: BackboneInfo
    tokenizer: Tokenizer
    fingerprint: str
    software: str = ""
    precision: Precision = "fp32"


@runtime_checkable
class Engine(Protocol):
    """Loads checkpoints. Registered through the hook `promptkit_register_engines`.

    Attributes:
        name: what `--engine` takes.
        summary: which checkpoints it takes, for `promptkit models`.

    One that takes nearly anything may set a third, `last_resort`, to True: it is asked after all others. One that
    computes in other precisions than fp32 lists them all in a fourth, `precisions`, and loads as
    `ModelFiles.precision` says.
    """

    name: str
    summary: str

    def claims(self, directory: Path) -> bool:
        """Return whether this engine takes the checkpoint in a directory; never raises for a broken one."""
        ...

    def describe(self, directory: Path) -> ModelFiles:
        """Read everything but the weights, without importing MindSpore.

        Raises:
            UserError: for what is missing, malformed or not supported.
        """
        ...

    def load(self, files: ModelFiles, source: str) -> Backbone:
        """Load the weights and return the frozen backbone; MindSpore's device is set by then.

        Raises:
            UserError: for weights that are missing, extra or misshapen.
        """
        ...


def hash_file(digest: Any, path: Path) -> None:
    """Feed a file to a digest of `hashlib`, as an engine does for the fingerprint of what numbers depend on.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}.") from None
