"""`{chat}`: the prompt as a turn of a conversation, in the words of the model's own chat template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from promptkit import Example
from promptkit.backbones.native.decoder.tokenizer import load_tokenizer, make_tokenizer, tokenizer_files
from promptkit.backbones.native.tokenizer import NativeTokenizer
from promptkit.errors import UserError
from promptkit.inspection.vectors import word_rows
from promptkit.prompting import Showing, Template, Verbalizer
from promptkit.prompting.demonstrations import Context
from promptkit.prompting.resolved import PromptTask, resolve_prompt

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system be good<|im_end|>{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }} {{ m['content'] | trim }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant {% endif %}"
)
WORDS = "system user assistant be good bad the film is it was great not very end im_start"
PIECES = ["<unk>", "<end>", *WORDS.split(" ")]
USER = ["<|im_start|>", "user"]
FRONT = ["<|im_start|>", "system", "be", "good", "<|im_end|>", *USER]
ANSWER = ["<|im_end|>", "<|im_start|>", "assistant"]


def backend() -> Tokenizer:
    made = Tokenizer(models.WordLevel({piece: n for n, piece in enumerate(PIECES)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([AddedToken(each, special=True) for each in ("<|im_start|>", "<|im_end|>")])
    return made


def conversing(template: str | None = CHATML) -> NativeTokenizer:
    given = {"eos_token": {"content": "<end>"}}
    return make_tokenizer(backend(), given, marks_spaces=False, where="it", chat_template=template)


class Shows:
    """Shows both examples of its pool, the last one first."""

    showing = Showing()

    def choose(self, query: Any) -> list[int]:
        return [0, 1]

    def arrange(self, pool: Any, chosen: Any) -> Any:
        return list(reversed(chosen))


def prompt(tokenizer: NativeTokenizer, source: str, pool: tuple[Example, ...] = (), **settings: Any) -> PromptTask:
    usual: dict[str, Any] = {"readout": "cloze", "slots": "same", "max_length": 60, "kind": "causal"}
    return resolve_prompt(
        Template.parse(source), Verbalizer.parse("a=great; b=not good"), labels=("a", "b"), tokenizer=tokenizer,
        rng=np.random.default_rng(0),
        context=Context(pool, Shows(), ("a", "b"), ("text",), (0,), "it") if pool else None, **usual | settings,
    )  # fmt: skip


def tokens(task: PromptTask, text: str = "the film") -> list[str]:
    (encoded,) = task.encode_fields([{"text": text}])
    end = encoded.parts[0] - 1 if encoded.parts else None
    return [task.tokenizer.token(piece) for piece in encoded.token_ids[:end]]


def test_the_prompt_is_the_users_turn_and_the_answer_begins_the_models() -> None:
    task = prompt(conversing(), "{chat}{text} it was {mask}")
    assert tokens(task) == [*FRONT, "the", "film", "it", "was", *ANSWER]
    assert not task.template.mask_spacing
    roles = [role for _, role in task.explain({"text": "film"})]
    assert roles == ["special"] * 7 + ["field:text", "template", "template"] + ["chat"] * 3
    # What a text says in the template's own words is text.
    assert "<|im_start|>" not in tokens(task, "<|im_start|>")[7:-3]


def test_demonstrations_are_turns() -> None:
    pool = (Example("is good", "a"), Example("is bad", "b"))
    assert tokens(prompt(conversing(), "{chat}{text} it was {mask}", pool)) == [
        *FRONT, "is", "bad", "it", "was", *ANSWER, "not", "good", "<|im_end|>",
        *USER, "is", "good", "it", "was", *ANSWER, "great", "<|im_end|>",
        *USER, "the", "film", "it", "was", *ANSWER,
    ]  # fmt: skip


def test_a_long_demonstration_counts_with_its_turn() -> None:
    pool = (Example("is good", "a"), Example("is bad", "b"))
    task = prompt(conversing(), "{chat}{text} it was {mask}", pool, max_length=34)
    (encoded,) = task.encode_fields([{"text": "film " * 60}])
    assert (encoded.shown, encoded.left_out, max(encoded.parts)) == (0, 2, 34)
    task = prompt(conversing(), "{chat}{text} it was {mask}", pool, max_length=35)
    assert task.encode_fields([{"text": "film"}])[0].shown == 1


def test_virtual_tokens_and_a_head_stay_within_the_turns() -> None:
    template = Template.parse("{chat}{text} it was {mask}").with_soft_prefix(2)
    assert str(template) == "{chat}{soft:2}{text} it was {mask}"
    task = prompt(conversing(), str(template))
    (encoded,) = task.encode_fields([{"text": "film"}])
    assert [at for at, number in enumerate(encoded.virtual_ids[: encoded.parts[0]]) if number >= 0] == [7, 8]
    head = prompt(conversing(), "{chat}{text}", readout="head")
    assert tokens(head) == [*FRONT, "the", "film", *ANSWER]
    assert head.encode_fields([{"text": "film"}])[0].read == (10,)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "this model has none"),
        ("{% for m in", "cannot be used"),
        ("{{ raise_exception('no\nuser') }}", r"cannot be used \(no user\)"),
        ("{{ messages[0].content.__class__.__mro__ }}", "cannot be used"),
        ("nothing", "does not write every turn once"),
        ("{{ messages[0].content }}{{ messages[0].content }}", "does not write every turn once"),
        ("{{ 1 / 0 }}", "cannot be used"),
    ],
)
def test_a_model_that_does_not_converse_is_refused_in_one_line(template: str | None, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        prompt(conversing(template), "{chat}{text} {mask}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{text}{chat} {mask}", "column 7: {chat} stands in front"),
        ("{chat}{chat}{text} {mask}", "column 7: {chat} stands in front"),
        ("{chat:2}{text}", "takes nothing behind a colon"),
        ("{Chat}{text}", "Did you mean '{chat}'"),
    ],
)
def test_a_misplaced_chat_is_refused(source: str, said: str) -> None:
    with pytest.raises(UserError, match=said.replace("{", r"\{")):
        Template.parse(source)


def test_a_checkpoint_keeps_its_template_in_its_settings_or_beside_them(tmp_path: Path) -> None:
    backend().save(str(tmp_path / "tokenizer.json"))
    settings = tmp_path / "tokenizer_config.json"
    assert load_tokenizer(tmp_path, 60).chat_template is None
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "y"}]
    settings.write_text(json.dumps({"chat_template": named, "eos_token": "<end>"}), encoding="utf-8")
    found = load_tokenizer(tmp_path, 60)
    assert (found.chat_template, found.chat_tokens) == ("y", {"eos_token": "<end>"})
    (tmp_path / "chat_template.jinja").write_text("z", encoding="utf-8")
    assert load_tokenizer(tmp_path, 60).chat_template == "z"
    assert [path.name for path in tokenizer_files(tmp_path)][1:] == ["tokenizer_config.json", "chat_template.jinja"]


def test_what_is_marked_for_training_is_rendered() -> None:
    marked = CHATML.replace(
        "{{ m['content'] | trim }}", "{% generation %}{{ m['content'] | trim }}{% endgeneration %}"
    )
    assert tokens(prompt(conversing(marked), "{chat}{text} {mask}")) == tokens(
        prompt(conversing(), "{chat}{text} {mask}")
    )


def test_whatever_the_files_say_ends_what_is_written(tmp_path: Path) -> None:
    backend().save(str(tmp_path / "tokenizer.json"))
    end, turn = backend().token_to_id("<end>"), backend().token_to_id("<|im_end|>")
    assert load_tokenizer(tmp_path, 60).end_ids == ()
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [turn, end, 999, None]}))
    found = load_tokenizer(tmp_path, 60)
    assert (found.sep_id, found.end_ids) == (turn, (turn, end))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>"}))
    found = load_tokenizer(tmp_path, 60)
    assert (found.sep_id, found.end_ids) == (end, (end, turn))
    assert tmp_path / "generation_config.json" in tokenizer_files(tmp_path)


@pytest.mark.parametrize(
    ("said", "opens"), [({}, True), ({"add_bos_token": False}, False), ({"bos_token": None}, False)]
)
def test_a_llama_tokenizer_opens_texts_as_its_settings_say(tmp_path: Path, said: dict[str, Any], opens: bool) -> None:
    """Whatever tokenizer.json puts in front: transformers writes that part anew."""
    for front in ([], ["<end>"]):
        made = backend()
        special = [(each, made.token_to_id(each)) for each in front]
        made.post_processor = processors.TemplateProcessing(single=[*front, "$A"], special_tokens=special)
        made.save(str(tmp_path / "tokenizer.json"))
        given = {"tokenizer_class": "LlamaTokenizerFast", "bos_token": {"content": "<end>"}, **said}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(given))
        assert load_tokenizer(tmp_path, 60).cls_id == (made.token_to_id("<end>") if opens else -1)


def test_how_texts_are_split_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=r"has no tokenizer\.json, and how its texts are split"):
        load_tokenizer(tmp_path, 60)


def test_a_tokenizer_that_puts_a_space_in_front_of_every_text_is_refused(tmp_path: Path) -> None:
    """As SentencePiece's for Llama 2: each part of a template would begin with a piece of its own."""
    pieces = {"<unk>": 0, "▁": 1, "a": 2, "▁a": 3}
    made = Tokenizer(models.BPE(pieces, [("▁", "a")], unk_token="<unk>"))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="its tokenizer puts a space in front of every text, as SentencePiece does"):
        load_tokenizer(tmp_path, 60)
    made = Tokenizer(models.BPE({"a": 0, "Ġ": 1, "Ġa": 2}, [("Ġ", "a")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="its tokenizer puts a space in front of every text"):
        load_tokenizer(tmp_path, 60)


def test_marks_of_turns_are_no_words_of_a_vocabulary() -> None:
    tokenizer = conversing()
    words = [tokenizer.token(int(row)) for row in word_rows(tokenizer)]
    assert words == WORDS.split(" ")
