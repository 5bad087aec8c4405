"""Words of byte-level vocabularies are words in every script, though their pieces are spelt in marks for bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mindspore import Tensor
from models import prompt_task
from promptkit_lmbff.templates import find_templates
from promptkit_lmbff.words import find_words
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from promptkit import Example, Template, Verbalizer, whole_word
from promptkit.nn import initial_vectors
from promptkit.prompting import stand_in_words

LABELS = ("negative", "positive")
SPECIAL = ("<s>", "</s>", "<pad>", "<mask>", "<unk>")
WORDS = ("很好", "很差", "酒店", "总之", "，")
SPACED = (" 很好", " 很差", " hotel", " café")


class ByteLevel:
    """A byte-level vocabulary whose pieces are those of bytes, and words of two scripts, with a comma."""

    marks_spaces = True

    def __init__(self) -> None:
        self.inner = Tokenizer(models.BPE(unk_token="<unk>"))
        self.inner.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(f"({'|'.join(SPACED + WORDS)})", "isolated"),
                pre_tokenizers.ByteLevel(False, use_regex=False),
            ]
        )
        self.inner.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
        )
        self.inner.train_from_iterator([*SPACED, *WORDS] * 20, trainer)
        ids = [self.inner.token_to_id(name) for name in SPECIAL]
        self.cls_id, self.sep_id, self.pad_id, self.mask_id, self.unk_id = ids
        self.vocab_size = self.inner.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        return list(self.inner.encode(text, add_special_tokens=False).ids)

    def encode_many(self, texts: list[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def token(self, id: int) -> str:
        return str(self.inner.id_to_token(id))


@pytest.fixture(scope="module")
def tokenizer() -> ByteLevel:
    made = ByteLevel()
    assert all(len(made.encode(word)) == 1 for word in SPACED + WORDS)
    return made


class Draft:
    """A draft in Chinese, over a model that likes every word equally but those at the end of its vocabulary best."""

    language = "zh"

    def __init__(self, tokenizer: ByteLevel, template: str) -> None:
        self.tokenizer, self.templates, self.labels = tokenizer, (Template.parse(template),), LABELS
        self.verbalizer, self.words_known = Verbalizer.parse("positive=很好; negative=很差"), True
        self.train = self.dev = tuple(Example("酒店", label) for label in LABELS)
        self.rng = np.random.default_rng(0)

    def prompt(self, template: Template, verbalizer: Verbalizer) -> Any:
        return prompt_task(self.tokenizer, str(template), str(verbalizer), LABELS)  # type: ignore[arg-type]

    def states(self, encoded: Any) -> Any:
        return np.zeros((len(encoded), 1, 1))

    def log_probabilities(self, states: Any, rows: Any = None) -> Any:
        likely = np.linspace(-2, -1, self.tokenizer.vocab_size) + np.zeros((len(states), 1, 1))
        return likely if rows is None else likely[..., list(rows)]


def test_whole_words_are_letters_of_any_script(tokenizer: ByteLevel) -> None:
    found = {whole_word(tokenizer, number) for number in range(tokenizer.vocab_size)}  # type: ignore[arg-type]
    assert set(WORDS[:-1]) <= found
    assert all(word == "" or word.isalpha() for word in found)
    assert not {"Ċ", "č", "ĉ", "Ã", "å"} & found, "white space and bytes are no words"


def test_virtual_tokens_start_from_words_of_any_script(tokenizer: ByteLevel) -> None:
    """The embeddings here are the ids themselves, so that the start tells what was drawn."""

    class Ids:
        info = type("Info", (), {"embedding_size": 1})

        @staticmethod
        def embed(ids: Any) -> Any:
            return Tensor(ids.asnumpy()[:, None].astype(np.float32))

    task = prompt_task(tokenizer, "{soft:30}{text} {mask}", "positive=很好; negative=很差", LABELS)  # type: ignore[arg-type]
    drawn = initial_vectors(Ids(), task, "vocab")[:, 0].astype(int)  # type: ignore[arg-type]
    words = {whole_word(tokenizer, int(number)) for number in drawn}  # type: ignore[arg-type]
    assert "" not in words
    assert words & set(WORDS)


def test_behind_virtual_tokens_chinese_words_are_the_words_that_the_model_knows(tokenizer: ByteLevel) -> None:
    words = "positive=很好; negative=很差"
    task = prompt_task(tokenizer, "{soft:2}{text}{soft:2}{mask}", words, LABELS)  # type: ignore[arg-type]
    assert task.verbalizer is not None
    assert task.verbalizer.pieces == tuple((tuple(tokenizer.encode(word)),) for word in ("很差", "很好"))
    (encoded,) = task.encode_examples([Example("酒店", "positive")])
    assert tokenizer.encode("酒店")[0] in encoded.token_ids


def test_words_to_go_on_with_are_words(tokenizer: ByteLevel) -> None:
    words = {word for (word,) in stand_in_words(("a", "b", "c", "d"), tokenizer).words.values()}  # type: ignore[arg-type]
    assert {"很好", "很差"} <= words


def test_lmbff_finds_label_words_of_any_script(tokenizer: ByteLevel) -> None:
    draft = Draft(tokenizer, "{text}总之{mask}")
    verbalizer, said, _ = find_words(draft, draft.templates[0], 3)  # type: ignore[arg-type]
    words = {word for (word,) in verbalizer.words.values()}
    assert len(words) == 2
    assert words <= set(WORDS), said


def test_lmbff_fills_in_words_and_marks_of_any_script(tokenizer: ByteLevel) -> None:
    draft = Draft(tokenizer, "{text}{soft:2} {mask}")
    templates, said, _ = find_templates(draft, draft.verbalizer, 8, 4)  # type: ignore[arg-type]
    filled = {str(each).removeprefix("{text}").removesuffix(" {mask}") for each in templates}
    assert {" hotel", " café", "酒店", "总之"} <= filled, said
