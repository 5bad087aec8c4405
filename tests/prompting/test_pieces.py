"""Pieces of byte-level vocabularies read as text; what is no text, and other vocabularies, stay as they are."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from promptkit.prompting.pieces import readable_piece, whole_word


@dataclass
class OnePiece:
    """A tokenizer whose every piece is the same."""

    piece: str
    marks_spaces: bool = True

    def token(self, id: int) -> str:
        return self.piece


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        ("Ġgreat", "Ġgreat"),
        ("è¯Ħè®º", "评论"),
        ("ĠcafÃ©", "Ġcafé"),
        ("ï¼ļ", "："),
        ("Ċ", "Ċ"),
        ("ĊĊĠĉč", "ĊĊĠĉč"),
        ("<|im_end|>", "<|im_end|>"),
        ("ï¼", "ï¼"),  # two of the three bytes of a full-width colon
        ("▁café", "▁café"),  # SentencePiece
        ("评论", "评论"),
    ],
)
def test_a_piece_is_read_as_text(piece: str, text: str) -> None:
    assert readable_piece(OnePiece(piece), 0) == text  # type: ignore[arg-type]


def test_pieces_of_other_vocabularies_are_text_already() -> None:
    assert readable_piece(OnePiece("è¯Ħ", marks_spaces=False), 0) == "è¯Ħ"  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["great", "评论", "अच्छा", "बुरा", "ดี", "café"])
def test_a_word_is_letters_and_their_marks_of_any_script(word: str) -> None:
    assert whole_word(OnePiece(word, marks_spaces=False), 0) == word  # type: ignore[arg-type]


@pytest.mark.parametrize("piece", ["", "##ing", "a1", "'s", "\u093e", "<s>", "two words"])
def test_what_is_no_word_is_none(piece: str) -> None:
    assert whole_word(OnePiece(piece, marks_spaces=False), 0) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(("piece", "text"), [("ãĢĢ", "U+3000"), ("Âł", "U+00A0"), ("ĠâĢĥ", "ĠU+2003")])
def test_white_space_of_other_scripts_is_seen(piece: str, text: str) -> None:
    assert readable_piece(OnePiece(piece), 0) == text  # type: ignore[arg-type]
