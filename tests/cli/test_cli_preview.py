"""`promptkit preview` shows what the model will see, and loads no model."""

from __future__ import annotations

import re

import pytest

ENGLISH = """\
template: {soft:2}{text} It was {mask}.

  position  role           token
----------  -------------  -------------
         0  special        [CLS]
         1  virtual token  [V0]
         2  virtual token  [V1]
         3  text           un
         4  text           ##for
         5  text           ##get
         6  text           ##table
         7  text           !
         8  template       it
         9  template       was
        10  mask slot      [MASK]
        11  template       .
        12  special        [SEP]

13 tokens of at most 128: 2 special, 2 virtual token, 5 text, 3 template, 1 mask slot

  slots  label     label word = pieces
-------  --------  -----------------------------------
      1  positive  great = great
      1  positive  wonderful = wonderful
      1  negative  terrible = terrible
"""

CHINESE = """\
template: {text} 心{mask}。

  position  role       token
----------  ---------  -------
         0  special    [CLS]
         1  text       大
         2  text       [UNK]
         3  text       小
         4  template   心
         5  mask slot  [MASK]
         6  template   。
         7  special    [SEP]

8 tokens of at most 128: 2 special, 3 text, 2 template, 1 mask slot
not in the model's vocabulary: 1 of these tokens

  slots  label    label word = pieces
-------  -------  ---------------------
      1  好       美 = 美
      1  坏       石 = 石
"""


def squeeze(text: str) -> list[str]:
    """Return the lines without what depends on how wide a cell is thought to be."""
    return [re.sub(r"\s+|-+", " ", line).strip() for line in text.strip().splitlines()]


def test_an_english_prompt_with_virtual_tokens(call):
    answer = call(
        "preview", "--template", "{soft:2}{text} It was {mask}.", "--text", "Unforgettable!",
        "--verbalizer", "positive=great,wonderful; negative=terrible",
    )  # fmt: skip
    assert (answer.code, answer.err) == (0, "")
    assert squeeze(answer.out) == squeeze(ENGLISH)


def test_a_chinese_prompt(call):
    answer = call("preview", "--template", "{text} 心{mask}。", "--text", "大槌小", "--verbalizer", "好=美; 坏=石")
    assert (answer.code, answer.err) == (0, "")
    assert squeeze(answer.out) == squeeze(CHINESE)


def test_a_word_of_several_pieces_takes_as_many_mask_slots(call, model):
    words = "positive=goodx; negative=badx"
    for template in ("{text} {mask}", "{text} {mask:2}"):
        answer = call("preview", "--template", template, "--text", "film", "--model", model, "--verbalizer", words)
        assert answer.code == 0
        assert answer.out.count("mask slot  [MASK]") == 2
        assert "good ##x" in answer.out


def test_words_that_the_vocabulary_lacks_are_marked_before_the_error(call, model):
    answer = call("preview", "--template", "{text} {mask}", "--model", model, "--verbalizer", "a=good; b=☃")
    assert answer.code == 2
    marked = [line for line in answer.out.splitlines() if "not in the model's vocabulary" in line]
    assert len(marked) == 1
    assert "☃ = [UNK]" in marked[0]
    assert answer.err == "error: label word '☃' is not in the model's vocabulary.\n"


def test_uneven_words_are_shown_and_a_rule_settles_it(call, model):
    arguments = ("preview", "--template", "{text} {mask}", "--model", model, "--verbalizer", "a=good; b=badx")
    answer = call(*arguments)
    assert answer.code == 2
    assert "badx = bad ##x" in answer.out
    assert "--slots mean" in answer.err
    assert call(*arguments, "--slots", "first").out.count("mask slot  [MASK]") == 1
    assert call(*arguments, "--slots", "mean").out.count("mask slot  [MASK]") == 2


def test_a_strategy_shows_its_own_templates_and_its_virtual_tokens(call):
    answer = call("preview", "--strategy", "soft", "--set", "tokens=3")
    assert answer.code == 0
    assert answer.out.startswith("template: {soft:3}")
    assert answer.out.count("virtual token  [V") == 3


def test_what_is_cut_off_is_counted(call, model):
    answer = call("preview", "--template", "{text} {mask}", "--model", model, "--text", "good " * 60)
    assert "50 tokens of at most 50" in answer.out
    assert "cut off: 13 tokens of {text}" in answer.out


def test_a_pair_of_texts(call, model):
    arguments = ("preview", "--template", "{text} ? {mask}, {text_b}", "--text", "good", "--model", model)
    answer = call(*arguments, "--text-b", "bad film")
    assert [line.split()[1:] for line in answer.out.splitlines() if " text_b " in line][:2] == [
        ["text_b", "bad"],
        ["text_b", "film"],
    ]
    assert "{text_b}" in call(*arguments).err


def test_a_head_needs_no_label_words(call):
    answer = call("preview", "--template", "{text}", "--readout", "head")
    assert answer.code == 0
    assert "label word" not in answer.out


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (("--text", "很好看", "--template", "{text}{mask}"), "好"),
        (
            (
                "--template",
                "{text}总之很{mask}。",
            ),
            "好",
        ),
        (("--template", "{text} {mask}", "--verbalizer", "positive=棒; negative=糟"), "棒"),
        (
            (
                "--template",
                "{text} It was {mask}.",
            ),
            "great",
        ),
    ],
)
def test_the_language_is_that_of_what_is_written_and_not_of_slots_and_labels(call, asked, word):
    shown = call("preview", *asked)
    assert f"positive  {word} = " in shown.out
    if "--text" not in asked:
        assert ("worth" in shown.out) == (word == "great")


def test_slots_as_other_tools_write_them_are_warned_of_as_a_run_does(call, model):
    shown = call("preview", "--model", model, "--template", "{text} [mask] {mask}", "--text", "good")
    warning = "template '{text} [mask] {mask}': Slots are written in braces: {mask} for [mask]."
    assert (shown.code, shown.err) == (0, f"warning: {warning}\n")
