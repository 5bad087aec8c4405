"""Readers: what lies on disk."""

from __future__ import annotations

import json

import pytest

from promptkit.data import Example
from promptkit.data.readers import read_folder, read_table
from promptkit.data.tables import Columns, open_table
from promptkit.errors import UserError

GOOD = "label\ttext\npos\tfine\nneg\tdull\n"


def pairs(examples):
    return [(example.label, example.text) for example in examples]


def test_rt_polarity_has_exactly_5331_sentences_a_class(shared):
    read = read_folder(shared("rt-polarity"))
    labels = [example.label for example in read.splits["all"]]
    assert (labels.count("positive"), labels.count("negative")) == (5331, 5331)
    assert read.dropped == 0
    # Bytes of Windows-1252 became the characters they stand for, and none the sign for a broken one.
    text = " ".join(example.text for example in read.splits["all"])
    assert "\ufffd" not in text
    assert "é" in text


def test_sst2_has_the_sizes_that_glue_gives(shared):
    read = read_folder(shared("sst2"))
    assert {split: len(examples) for split, examples in read.splits.items()} == {"train": 67349, "dev": 872}
    assert read.splits["dev"][0] == Example("one long string of cliches .", "0")


def test_chnsenticorp_drops_and_counts_its_empty_review(shared):
    read = read_folder(shared("chnsenticorp-htl"))
    labels = [example.label for example in read.splits["all"]]
    assert (len(labels), read.dropped) == (9999, 1)
    assert labels.count("1") + labels.count("0") == 9999
    assert all(example.text for example in read.splits["all"])
    assert any('"蔡陆线"' in example.text for example in read.splits["all"])


def test_mrpc_pairs_are_read_by_column_names(shared):
    columns = Columns(text="#1 String", text_b="#2 String", label="Quality")
    read = read_folder(shared("mrpc"), columns)
    assert read_folder(shared("mrpc")).splits == read.splits
    assert set(read.splits) == {"train", "test"}
    assert len(read.splits["test"]) == 1725
    first = read.splits["test"][0]
    assert (first.label, first.text[:6], first.text_b[:7]) == ("1", "PCCW's", "Current")


def test_polarity_lines_end_at_line_feeds_alone_and_each_finds_its_encoding(write, tmp_path):
    write("a.pos", b"one\x85two\rthree\n\xe2\x80\x9cutf\xe2\x80\x9d\r\n\x81odd\x0bline\n")
    write("a.neg", b"\xef\xbb\xbfplain\n\n  \nlast without end")
    read = read_folder(tmp_path)
    assert pairs(read.splits["all"]) == [
        ("negative", "plain"),
        ("negative", "last without end"),
        ("positive", "one\u2026two\rthree"),
        ("positive", "\u201cutf\u201d"),
        ("positive", "\x81odd\x0bline"),
    ]
    assert read.dropped == 2


def test_polarity_files_named_after_splits_keep_them(write, tmp_path):
    for split in ("train", "test"):
        for suffix in ("pos", "neg"):
            write(f"{split}.{suffix}", f"{split} {suffix}\n")
    read = read_folder(tmp_path)
    assert {split: pairs(examples) for split, examples in read.splits.items()} == {
        "test": [("negative", "test neg"), ("positive", "test pos")],
        "train": [("negative", "train neg"), ("positive", "train pos")],
    }


def test_a_polarity_file_of_no_split_does_not_take_the_test_set_away(write, tmp_path):
    for name in ("train", "test", "unsup"):
        write(f"{name}.pos", f"{name} fine\n")
        write(f"{name}.neg", f"{name} dull\n")
    read = read_folder(tmp_path)
    assert {split: [it.text for it in examples] for split, examples in read.splits.items()} == {
        split: [f"{split} dull", f"{split} fine"] for split in ("train", "test")
    }


@pytest.mark.parametrize("names", [("rt.pos", "rt.neg", "test.pos", "test.neg"), ("train.pos", "bad.neg")])
def test_polarity_files_of_which_none_are_a_whole_train_are_one_piece(write, tmp_path, names):
    for name in names:
        write(name, f"{name} fine\n")
    assert {split: len(examples) for split, examples in read_folder(tmp_path).splits.items()} == {"all": len(names)}


def test_a_card_that_names_a_text_its_fields_do_without_is_read(write, tmp_path):
    write("all.csv", "title,body,label\none,two,x\n")
    write("dataset.json", '{"text": "body", "fields": ["title"]}')
    assert read_folder(tmp_path).splits["all"][0].fields() == {"title": "one"}


def test_a_named_encoding_holds_for_polarity_files_too(write, tmp_path):
    write("a.pos", "好\x85是\n".encode("utf-16"))
    write("a.neg", "差\n".encode("utf-16"))
    assert pairs(read_folder(tmp_path, Columns(encoding="utf-16")).splits["all"]) == [
        ("negative", "差"),
        ("positive", "好\x85是"),
    ]


def test_csv_fields_may_span_lines_and_hold_quotes_and_commas(write):
    path = write("a.csv", 'label,review\r\n1,"two\r\nlines, ""quoted"""\r\n0,  plain  \r\n\r\n1,""\r\n')
    read = read_table(path)
    assert pairs(read.splits["all"]) == [("1", 'two\r\nlines, "quoted"'), ("0", "plain")]
    assert read.dropped == 1


def test_quotes_mean_nothing_in_tsv_and_other_line_ends_are_text(write):
    path = write("a.tsv", 'label\ttext\r\n1\t"open, never closed\r\n0\tone\u2028line\x0conly\n')
    assert pairs(read_table(path).splits["all"]) == [
        ("1", '"open, never closed'),
        ("0", "one\u2028line\x0conly"),
    ]


def test_jsonl_values_keep_their_spelling(write):
    lines = [{"label": 1, "text": "一"}, {"text": "two", "label": True}, {"text": None, "label": "x"}]
    path = write("a.jsonl", "\n".join(json.dumps(line) for line in lines) + "\n\n")
    read = read_table(path)
    assert pairs(read.splits["all"]) == [("1", "一"), ("true", "two")]
    assert read.dropped == 1


def test_nan_in_jsonl_is_a_gap_as_null_is(write):
    rows = "".join(f'{{"text": {text}, "label": {label}}}\n' for text, label in (('"a"', 1), ("NaN", 1), ('"b"', 2)))
    read = read_table(write("a.jsonl", rows))
    assert (pairs(read.splits["all"]), read.dropped) == ([("1", "a"), ("2", "b")], 1)
    with pytest.raises(UserError, match="line 1: the label is empty"):
        read_table(write("b.jsonl", '{"text": "a", "label": NaN}\n'))


def test_a_column_named_as_the_text_is_not_the_second_one_as_well(write):
    path = write("a.csv", "question1,question2,label\none,two,x\n")
    assert read_table(path, Columns(text="question2")).splits["all"] == (Example("two", "x"),)
    assert read_table(path).splits["all"] == (Example("one", "x", "two"),)


def test_a_question_beside_a_sentence_is_a_pair(write):
    path = write("a.tsv", "Question\tsentence\tlabel\nwho?\tshe did\tx\n")
    assert read_table(path).splits["all"] == (Example("who?", "x", "she did"),)
    assert read_table(path, Columns(text="sentence")).splits["all"] == (Example("she did", "x"),)
    # Named as fields, as `predict` names those of a run's template, they are the same columns.
    for fields in (("text", "text_b"), ("text",)):
        (row,) = open_table(path).texts(Columns(fields=fields))
        assert row == dict(zip(fields, ("who?", "she did"), strict=False))


def test_a_column_that_no_field_has_a_use_for_is_refused(write):
    path = write("all.csv", "title,body,label\none,two,x\n")
    said = (
        r"^--text-column body says what \{text\} is, but the run reads \{title\} and no \{text\}: leave out --text-c"
    )
    with pytest.raises(UserError, match=said):
        read_table(path, Columns(text="body", fields=("title",)))
    # A card speaks for runs of other fields as well.
    write("dataset.json", '{"text": "body"}')
    assert read_folder(path.parent, Columns(fields=("title",))).splits["all"][0].fields() == {"title": "one"}
    with pytest.raises(UserError, match="no second text column 'more'"):
        read_folder(path.parent, Columns(text_b="more", fields=("text", "text_b")))


def test_a_column_named_for_the_text_may_be_that_of_a_field_of_its_own_name(write):
    path = write("a.csv", "Body,label\none,x\n")
    for fields in (("Body",), ("body",), ("q=Body",)):
        (example,) = read_table(path, Columns(text="Body", fields=fields)).splits["all"]
        assert list(example.fields().values()) == ["one"]


def test_a_field_that_is_nearly_text_is_asked_about(write):
    path = write("a.csv", "review,verdict\none,x\n")
    for field in ("Text", "txt"):
        with pytest.raises(UserError, match=r"Did you mean '\{text\}'\?$"):
            read_table(path, Columns(text="review", label="verdict", fields=(field,)))
        with pytest.raises(
            UserError, match=rf"no \{{{field}\}} column '{field}'\. Did you mean '\{{text\}}'\? Columns"
        ):
            read_table(path, Columns(label="verdict", fields=(field,)))


def test_the_label_is_shown_in_no_prompt(write):
    path = write("a.csv", "text,label\none,x\n")
    with pytest.raises(UserError, match=r"the column 'label' is the label; a prompt that shows it as \{verdict\}"):
        read_table(path, Columns(fields=("text", "verdict=label")))


@pytest.mark.parametrize("text", ["text", "Sentence", "CONTENT", "review", "comment"])
@pytest.mark.parametrize("label", ["label", "Sentiment", "CLASS", "category", "polarity"])
def test_usual_columns_are_found_in_any_case(write, text, label):
    path = write("a.tsv", f"id\t{text}\t{label}\n7\tfine\tgood\n")
    assert pairs(read_table(path).splits["all"]) == [("good", "fine")]


def test_named_columns_win_over_usual_ones_and_text_b_makes_pairs(write):
    path = write("a.tsv", "text\tlabel\thead\ttext_b\nt\tl\th\tsecond\n")
    assert read_table(path).splits["all"] == (Example("t", "l", "second"),)
    named = Columns(text="head", label="text", text_b="label")
    assert read_table(path, named).splits["all"] == (Example("h", "t", "l"),)


def test_a_byte_order_mark_is_no_part_of_a_column(write):
    path = write("a.tsv", GOOD.encode("utf-8-sig"))
    assert len(read_table(path).splits["all"]) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_byte_order_mark_is_none_in_a_named_encoding_either(write, encoding):
    content = ("" if encoding in ("utf-8-sig", "utf-16") else "\ufeff") + GOOD
    assert len(read_table(write("a.tsv", content.encode(encoding)), Columns(encoding=encoding)).splits["all"]) == 2


def test_a_named_encoding_is_used(write):
    path = write("a.csv", "label,text\n1,好\n0,差\n".encode("gb18030"))
    assert pairs(read_table(path, Columns(encoding="gb18030")).splits["all"]) == [("1", "好"), ("0", "差")]
