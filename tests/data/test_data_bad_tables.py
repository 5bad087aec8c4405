"""Tables that are not as they should be: what is read all the same, and the one line that others get."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from promptkit.data import load_task
from promptkit.data.readers import read_folder, read_table
from promptkit.data.tables import Columns, open_table
from promptkit.errors import UserError

GOOD = "label\ttext\npos\tfine\nneg\tdull\n"


def pairs(examples):
    return [(example.label, example.text) for example in examples]


BAD_TABLES = {
    "no text column": (
        "a.tsv",
        "label\twords\n1\tfine\n",
        "{path}: no text column (text, sentence, content, review, comment). Columns there are: 'label', "
        "'words'. Name the one to use, e.g. --text-column words.",
    ),
    "no header": (
        "a.csv",
        "1,a long text that stands where a header should stand\n",
        "{path}: no text column (text, sentence, content, review, comment). Columns there are: '1', "
        "'a long text that stands whe...'. Name the one to use with --text-column. "
        "The first line looks like data: is the header missing?",
    ),
    "no header, and a label that comes again": (
        "a.csv",
        "fine film,good\ndull,bad\ndull,good\n",
        "{path}: no text column (text, sentence, content, review, comment). Columns there are: 'fine film', 'good'. "
        "Name the one to use with --text-column. "
        "The first line looks like data: is the header missing?",
    ),
    "a header without usual names": (
        "a.csv",
        "Review Title,Star Rating\nStar Rating,bad\n",
        "{path}: no text column (text, sentence, content, review, comment). Columns there are: 'Review Title', "
        "'Star Rating'. Name the one to use, e.g. --text-column 'Review Title'.",
    ),
    "no header, and a row that does not fit": (
        "a.csv",
        "so this is a whole text,good\ndull,bad,1\n",
        "{path}: no text column (text, sentence, content, review, comment). Columns there are: 'so this is a whole "
        "text', 'good'. Name the one to use with --text-column. "
        "The first line looks like data: is the header missing?",
    ),
    "no label column": (
        "a.jsonl",
        '{"text": "fine", "star rating": 5}\n',
        "{path}: no label column (label, sentiment, class, category, polarity). Columns there are: 'text', "
        "'star rating'. Name the one to use, e.g. --label-column 'star rating'.",
    ),
    "no column but one": (
        "a.csv",
        "label\n1\n",
        "{path}: no text column (text, sentence, content, review, comment). Columns there are: 'label'. "
        "Name the one to use with --text-column.",
    ),
    "empty": ("a.csv", "", "'{path}' is empty."),
    "blank": ("a.csv", " \n\n", "'{path}' is empty."),
    "byte-order mark alone": ("a.tsv", b"\xef\xbb\xbf", "'{path}' is empty."),
    "byte-order mark and no object": ("a.jsonl", b"\xef\xbb\xbf\n", "'{path}' is empty."),
    "header alone": ("a.csv", "label,text\n", "'{path}' holds no examples."),
    "too few columns": (
        "a.tsv",
        GOOD + "pos\n",
        "{path}, line 4: too few columns, 1 where the header has 2.",
    ),
    "too many columns": (
        "a.csv",
        'label,text\n1,"a\nb"\n1,a comma, unquoted\n',
        "{path}, line 4: too many columns, 3 where the header has 2: a comma within a field needs double quotes "
        "around the field.",
    ),
    "too many columns between semicolons": (
        "a.csv",
        "label;text\n1;one; two\n",
        "{path}, line 2: too many columns, 3 where the header has 2: a semicolon within a field needs double quotes "
        "around the field.",
    ),
    "too many columns between tabs": (
        "a.tsv",
        "label\ttext\n1\tone\ttwo\n",
        "{path}, line 2: too many columns, 3 where the header has 2.",
    ),
    "empty label": ("a.csv", "label,text\n1,a\n ,b\n", "{path}, line 3: the label is empty."),
    "open quote": (
        "a.csv",
        'label,text\n1,a\n0,"never closed\n1,b\n',
        "{path}, line 3: not valid CSV: unexpected end of data.",
    ),
    "a column twice": ("a.csv", "text,label,text\na,1,b\n", "{path}: the column 'text' is there twice."),
    "a column three times": ("a.tsv", "x\tx\ttext\tlabel\tx\n", "{path}: the column 'x' is there 3 times."),
    "a key twice": (
        "a.jsonl",
        '{"text": "a", "label": 1}\n{"text": "a", "label": 1, "text": "b"}\n',
        "{path}, line 2: key 'text' is there twice.",
    ),
    "two columns that could be meant": (
        "a.csv",
        "Text,label,text\na,1,b\n",
        "{path}: the text column could be 'Text' and 'text'. Name the one to use, e.g. --text-column Text.",
    ),
    "semicolons in a table of tabs": (
        "a.tsv",
        "text;label\nfine, really;1\n",
        "{path}: no text column (text, sentence, content, review, comment). Columns there are: 'text;label'. "
        "They look separated by a semicolon; '.tsv' takes a tab: save the table that way.",
    ),
    "commas in a table of tabs": (
        "a.tsv",
        "text,label\nfine,1\n",
        "{path}: no text column (text, sentence, content, review, comment). Columns there are: 'text,label'. "
        "They look separated by a comma; '.tsv' takes a tab: save the table that way.",
    ),
    "broken UTF-8": (
        "a.csv",
        b"label,text\n1,fine\n0,caf\xe9 noir\n",
        "{path}, line 3, byte 6: not UTF-8 (0xe9). Save it as UTF-8 or name its encoding, e.g. --encoding cp1252.",
    ),
    "broken UTF-8 behind a byte-order mark": (
        "a.csv",
        b"\xef\xbb\xbflab\xe9l,text\n",
        "{path}, line 1, byte 7: not UTF-8 (0xe9). Save it as UTF-8 or name its encoding, e.g. --encoding cp1252.",
    ),
    "broken JSON": (
        "a.jsonl",
        '{"text": "a", "label": 1}\n\n{"text": "a" "label": 1}\n',
        "{path}, line 3, column 14: not valid JSON: Expecting ',' delimiter.",
    ),
    "deep JSON": ("a.jsonl", '{"a":' * 100_000, "{path}, line 1: not valid JSON: nested too deep."),
    "JSON that is no object": ("a.jsonl", '"text"\n', "{path}, line 1: a JSON object is expected, not a str."),
    "a JSON array": (
        "a.jsonl",
        '[\n{"text": "a", "label": 1}]',
        "{path}: a JSON array; write one JSON object a line.",
    ),
    "a missing key": (
        "a.jsonl",
        '{"text": "a", "label": 1}\n{"text": "b"}\n',
        "{path}, line 2: no 'label', which line 1 has.",
    ),
    "a key more": (
        "a.jsonl",
        '{"text": "a", "label": 1}\n{"text": "b", "label": 1, "text_b": "c"}\n',
        "{path}, line 2: 'text_b' is a key that line 1 lacks; every line needs the same keys, with null where there "
        "is nothing.",
    ),
    "an object for a text": (
        "a.jsonl",
        '{"text": "a", "label": 1}\n{"text": {"t": "b"}, "label": 1}\n',
        "{path}, line 2: 'text' is an object or a list; write a text, a number, true, false or null.",
    ),
    "a list for a label": (
        "a.jsonl",
        '{"Sentiment": ["pos"], "text": "a"}\n',
        "{path}, line 1: 'Sentiment' is an object or a list; write a text, a number, true, false or null.",
    ),
    "half a character": (
        "a.jsonl",
        '{"text": "\\ud83d", "label": 1}\n',
        "{path}, line 1: half a surrogate pair, which is no character.",
    ),
    "unknown format": (
        "a.json",
        "[]",
        "unknown data format '.json': write one JSON object a line, into a .jsonl file.",
    ),
    "another unknown format": (
        "a.parquet",
        "",
        "unknown data format '.parquet'. Known: .csv, .jsonl, .tsv, .txt.",
    ),
    "a sheet": ("a.xlsx", "", "unknown data format '.xlsx': save the table as CSV UTF-8."),
    "a sheet of another name": (
        "a.csv",
        b"PK\x03\x04\x14\x00",
        "'{path}' is an Excel file or another archive: save it as CSV UTF-8.",
    ),
    "UTF-16": (
        "a.csv",
        GOOD.encode("utf-16"),
        "{path}, line 1, byte 1: not UTF-8 (0xff). It looks like UTF-16: --encoding utf-16.",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_refused_in_one_line(write, case):
    name, content, message = BAD_TABLES[case]
    path = write(name, content)
    with pytest.raises(UserError) as refusal:
        read_table(path)
    assert str(refusal.value) == message.format(path=path)


def test_a_csv_file_with_semicolons_in_its_header_is_separated_by_them(write):
    """As Excel saves it in half of Europe."""
    path = write("train.csv", '\ntext;label\n"fine; really, ""so""\nand on";1\nplain, too;0\n')
    read = read_table(path)
    assert pairs(read.splits["all"]) == [("1", 'fine; really, "so"\nand on'), ("0", "plain, too")]
    assert read.notes == ("train.csv is separated by semicolons",)
    assert open_table(path).texts(Columns())[1] == {"text": "plain, too"}
    folder = read_folder(path.parent)
    assert (folder.splits["train"], folder.notes) == (read.splits["all"], read.notes)


@pytest.mark.parametrize("sign", [",", ";"])
def test_a_space_may_stand_before_a_quote(write, sign):
    path = write("a.csv", f'text{sign} "label"\n "one{sign} \'two\'"{sign}  "1"\nsaid "so"{sign} 0 \n')
    assert pairs(read_table(path).splits["all"]) == [("1", f"one{sign} 'two'"), ("0", 'said "so"')]
    tabs = write("a.tsv", 'text\t "label"\n "one"\t "1"\n')
    assert pairs(read_table(tabs, Columns(label='"label"')).splits["all"]) == [('"1"', '"one"')]


@pytest.mark.parametrize("first", ["sep={}\n", "SEP={}\r\n", '\ufeff"sep={}"\n'])
@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_a_first_line_for_excel_says_what_separates(write, sign, first):
    path = write("a.csv", first.format(sign) + f'text{sign}label\n"one{sign} two"{sign}1\n')
    assert pairs(read_table(path).splits["all"]) == [("1", f"one{sign} two")]
    assert read_table(path).notes == (("a.csv is separated by semicolons",) if sign == ";" else ())
    path.write_text(path.read_text() + f"a{sign}b{sign}c\n")
    with pytest.raises(UserError, match=r"line 4: too many columns, 3 where the header has 2: a (comma|semi|tab)"):
        read_table(path)


def test_a_column_may_be_called_as_a_line_for_excel_begins(write):
    assert open_table(write("a.csv", "sep=;text\n")).header == ["sep=", "text"]
    assert open_table(write("a.tsv", "sep=\t\n")).header == ["sep=", ""]


@pytest.mark.parametrize("header", ["label,text", "label,text;x", '"label","te;xt"', "label"])
def test_a_comma_in_the_header_says_that_commas_separate(write, header):
    table = open_table(write("a.csv", header + "\n"))
    assert (len(table.header), table.note) == (header.count(",") + 1, "")


@pytest.mark.parametrize(("name", "sign"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")])
def test_a_long_text_is_a_text_in_every_table(write, name, sign):
    long = "x" * 200_000
    path = write(name, f"label{sign}text\n1{sign}{long}\n0{sign}short\n")
    assert pairs(read_table(path).splits["all"]) == [("1", long), ("0", "short")]


def test_reading_leaves_the_limit_on_csv_fields_as_it_was(write):
    before = csv.field_size_limit()
    read_table(write("a.csv", f"label,text\n1,{'x' * 200_000}\n"))
    with pytest.raises(UserError, match="not valid CSV"):
        read_table(write("a.csv", 'label,text\n1,"open\n'))
    assert csv.field_size_limit() == before


def test_columns_without_a_name_may_be_several(write):
    path = write("a.csv", "label,text,,\n1,fine,,\n")
    assert pairs(read_table(path).splits["all"]) == [("1", "fine")]


def test_texts_are_read_without_labels(write):
    path = write("a.csv", 'id,review,text_b\n7,"two\nlines",second\n8,,\n')
    assert open_table(path).texts(Columns()) == [
        {"text": "two\nlines", "text_b": "second"},
        {"text": "", "text_b": ""},
    ]
    assert open_table(path).texts(Columns(text="id", text_b="review"))[1] == {"text": "8", "text_b": ""}


def test_objects_and_lists_are_refused_only_in_what_is_read(write):
    path = write("a.jsonl", '{"text": "a", "label": 1, "meta": {"by": []}, "tags": ["x"]}\n')
    assert pairs(read_table(path).splits["all"]) == [("1", "a")]
    assert open_table(path).texts(Columns()) == [{"text": "a"}]
    with pytest.raises(UserError, match=r"line 1: 'meta' is an object or a list"):
        open_table(path).texts(Columns(fields=("meta",)))
    with pytest.raises(UserError, match=r"line 1: 'tags' is an object or a list"):
        read_table(path, Columns(label="tags", answers=True))


def test_a_named_column_of_another_separator_gets_the_hint_and_not_a_near_name(write):
    path = write("a.tsv", "text;label\n")
    with pytest.raises(UserError, match=r"no text column 'text'\. Columns there are: 'text;label'\. They look sep"):
        read_table(path, Columns(text="text"))


@pytest.mark.parametrize("name", ["loop", "loop.csv"])
def test_a_link_that_leads_nowhere_is_not_told_to_be_itself(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).symlink_to(name)
    with pytest.raises(UserError) as refusal:
        load_task(name)
    assert str(refusal.value) == f"'{name}' is a symbolic link that leads nowhere."


def test_a_misspelt_column_is_refused_with_the_near_one(write):
    path = write("a.tsv", GOOD)
    with pytest.raises(UserError) as refusal:
        read_table(path, Columns(text="txet"))
    assert str(refusal.value) == (
        f"{path}: no text column 'txet'. Did you mean 'text'? Columns there are: 'label', 'text'."
    )


def test_a_missing_file_is_refused_with_the_near_one(write, tmp_path):
    write("reviews.tsv", GOOD)
    with pytest.raises(UserError) as refusal:
        read_table(tmp_path / "review.tsv")
    assert str(refusal.value) == (f"no file or folder '{tmp_path / 'review.tsv'}'. Did you mean 'reviews.tsv'?")
    with pytest.raises(UserError, match="no file or folder"):
        read_folder(tmp_path / "nowhere" / "at all")


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("utf8x", "unknown encoding 'utf8x'. Did you mean 'utf-8'?"),
        (
            "ascii",
            "{path}, line 2, byte 3: not ascii (0xc3). "
            "Save it as UTF-8 or name its encoding, e.g. --encoding cp1252.",
        ),
        ("hex", "unknown encoding 'hex'."),
    ],
)
def test_an_encoding_that_does_not_fit_is_refused(write, encoding, message):
    path = write("a.csv", "label,text\n1,é\n")
    with pytest.raises(UserError) as refusal:
        read_table(path, Columns(encoding=encoding))
    assert str(refusal.value) == message.format(path=path)
