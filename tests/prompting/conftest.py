"""Three tokenizers: the default model's word pieces, a byte-level BPE that marks spaces, and Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

MINI = Path(__file__).resolve().parents[2] / "promptkit" / "models" / "promptkit-mini" / "tokenizer.json"


class Adapter:
    """The `Tokenizer` of a `tokenizers.Tokenizer`; `special` are its CLS, SEP, PAD, MASK and UNK."""

    def __init__(self, tokenizer: Tokenizer, special: Sequence[str], *, marks_spaces: bool) -> None:
        self.inner = tokenizer
        ids = [tokenizer.token_to_id(name) for name in special]
        assert None not in ids
        self.cls_id, self.sep_id, self.pad_id, self.mask_id, self.unk_id = ids
        self.marks_spaces = marks_spaces
        self.vocab_size = tokenizer.get_vocab_size()
        self.calls = 0

    def encode(self, text: str) -> list[int]:
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        self.calls += 1
        return [found.ids for found in self.inner.encode_batch(list(texts), add_special_tokens=False)]

    def token(self, id: int) -> str:
        return self.inner.id_to_token(id)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        return [self.token(id) for id in ids]


BERT_SPECIAL = ("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]")
ROBERTA_SPECIAL = ("<s>", "</s>", "<pad>", "<mask>", "<unk>")


@pytest.fixture
def mini() -> Adapter:
    return Adapter(Tokenizer.from_file(str(MINI)), BERT_SPECIAL, marks_spaces=False)


@pytest.fixture
def byte_level() -> Adapter:
    """RoBERTa-like: "great" and " great" are pieces of their own, so are "It", " It", "was" and " was".

    And so are two line ends, which are one piece where nothing follows and two before a word, as in GPT-2.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(ROBERTA_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = [
        "It was great",
        "great It was terrible",
        "was It great",
        "terrible great fun",
        "fun was terrible",
        "fun\n\n",
    ]
    tokenizer.train_from_iterator(lines * 5, trainer)
    return Adapter(tokenizer, ROBERTA_SPECIAL, marks_spaces=True)


@pytest.fixture
def chinese() -> Adapter:
    """One piece a character, as Chinese BERT has it; characters outside the list are unknown."""
    pieces = [*BERT_SPECIAL, *"这部电影很好看差总之味道不错难吃满意失望。，", "great"]
    tokenizer = Tokenizer(models.WordPiece({piece: id for id, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return Adapter(tokenizer, BERT_SPECIAL, marks_spaces=False)
