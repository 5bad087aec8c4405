"""The page holds everything in order, shows data as text, and needs nothing from outside."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_comparisons import fake_comparison
from page_files import write_texts

from promptkit.analysis import Summary, summarise
from promptkit.reports.answer import answer
from promptkit.reports.page import excerpt, report_page
from promptkit.reports.wording import method_text, notes

VARIANTS = {"soft": ("tokens=1", "tokens=5", "tokens=20"), "pet": ("great / terrible", "good / bad")}
EVIL = "<script>alert('x')</script> & \"quoted\" {{ 7 * 7 }}"
_VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """A page's tags, texts and addresses; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("store")
    comparison = fake_comparison(variants=VARIANTS, test_examples=60, folder=folder, name=EVIL)
    write_texts(comparison, [EVIL, "中文评论", "plain"], second=["<b>second</b>"])
    return summarise(replace(comparison, command=("promptkit", "compare", "--data", "<my data>")))


@pytest.fixture(scope="module")
def page(summary: Summary) -> str:
    return report_page(summary)


def test_the_answer_comes_first_then_table_plots_examples_method_and_origin(page: str) -> None:
    places = [page.index(f'<h2 id="{name}"') for name in ("table", "plots", "examples", "method", "prompts")]
    places = [page.index('<p class="verdict">'), *places, page.index('<h2 id="provenance"')]
    assert places == sorted(places)
    assert re.findall(r'<figure id="figure-([\w-]+)">', page) == [
        "accuracy",
        "variant-curves",
        "variant-dots",
        "confusion",
        "learning-curves",
        "cost",
    ]


def test_the_same_summary_gives_the_same_bytes(summary: Summary, page: str) -> None:
    assert report_page(summary) == page


def test_nothing_is_fetched_and_nothing_runs(page: str) -> None:
    parsed = Page(page)
    assert set(parsed.tags).isdisjoint({"script", "img", "iframe", "object", "embed", "a", "base", "form"})
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on") or name == "src"]
    addresses = {value for _, name, value in parsed.attributes if name in ("href", "xlink:href")}
    assert all(address.startswith(("#", "data:,")) for address in addresses)
    assert "@import" not in page
    assert "@font-face" not in page
    assert re.findall(r"url\((?!#)", page) == []
    policy = next(v for t, n, v in parsed.attributes if t == "meta" and n == "content" and "default-src" in v)
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_text_of_the_data_is_shown_as_text(page: str) -> None:
    parsed = Page(page)
    assert EVIL in parsed.text
    assert "<b>second</b>" in parsed.text
    assert "promptkit compare --data '<my data>'" in parsed.text
    assert "49" not in parsed.text.split("Where prompts disagree")[1].split("Method")[0]


def test_no_identifier_comes_twice(page: str) -> None:
    identifiers = [value for _, name, value in Page(page).attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))


def test_the_verdict_comes_before_the_evidence_and_that_before_the_cost(summary: Summary, page: str) -> None:
    box = page.split('<section class="answer"')[1].split("</section>")[0]
    assert box.index('class="verdict"') < box.index("Evidence.") < box.index("Cost.")
    found = answer(summary)
    assert found.lead in Page(box.split(">", 1)[1]).text
    # Chance is no verdict: who leads by the mean alone is evidence.
    assert not any(row.is_better for row in summary.rows)
    assert found.lead.startswith("No prompt")


def test_it_fits_a_phone_and_paper(page: str) -> None:
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "@media print" in page
    assert re.search(r"\.scroll \{[^}]*overflow-x: auto", page)


def test_the_table_has_every_row_and_its_figures(summary: Summary, page: str) -> None:
    body = page.split("<tbody>")[1].split("</tbody>")[0]
    assert body.count("<tr") == len(summary.rows)
    row = summary.rows[-1]
    assert f"{100 * row.test.mean:.1f} ({100 * (row.test.std or 0):.1f})" in body
    assert body.index("majority class") < body.index("great / terrible")


def test_what_it_rests_on_is_listed(page: str) -> None:
    text = Page(page).text
    for said in ("data fingerprints", "0" * 16, "model fingerprint", "MindSpore", "2.10.0", "3.11.7", "lr=0.001"):
        assert said in text
    for said in ("{soft:10}{text} It was {mask}.", "negative=terrible; positive=great", "soft-"):
        assert said in text


def test_method_notes_and_picks_are_there(summary: Summary, page: str) -> None:
    text = Page(page).text
    assert method_text(summary) in text
    for note in notes(summary):
        assert " ".join(note.split()) in text
    assert text.count("Picked on dev, ") == len(summary.picks) > 0


def test_without_times_only_what_cells_have_in_common_stays(summary: Summary) -> None:
    page = report_page(summary, times=False)
    for gone in ("figure-cost", "training, s", "peak memory", "2026-01-02", "to train"):
        assert gone not in page


def test_without_times_a_comparison_run_again_gives_the_same_bytes(tmp_path: Path) -> None:
    first = fake_comparison(strategies=("soft",), shots=(16,), test_examples=40, folder=tmp_path)
    entries = []
    for entry in first.entries:
        assert entry.run is not None
        record = entry.run.record
        seconds = record.cost.seconds.model_copy(update={"train": record.cost.seconds.train + 1, "total": 99.0})
        cost = record.cost.model_copy(update={"seconds": seconds, "peak_memory_mb": 1.0})
        later = record.model_copy(update={"cost": cost, "created": "2027-01-01T00:00:00+00:00"})
        entries.append(replace(entry, run=replace(entry.run, record=later)))
    again = replace(first, entries=tuple(entries), created="2027-01-01T00:00:00+00:00")
    assert report_page(summarise(first), times=False) == report_page(summarise(again), times=False)
    assert report_page(summarise(first)) != report_page(summarise(again))


def test_missing_runs_are_said_and_the_rest_is_shown() -> None:
    gone = [("soft", "", 16, 1), *(("pet", "", 16, seed) for seed in range(3))]
    comparison = fake_comparison(strategies=("soft", "pet"), shots=(16,), missing=gone, test_examples=40)  # type: ignore[arg-type]
    summary = summarise(comparison)
    text = Page(report_page(summary)).text
    assert "4 of 13 runs are missing, so this may change." in text
    assert [note for note in notes(summary) if "4 of 13 runs are missing" in note and note in text]


def test_a_comparison_of_which_nothing_is_finished_has_a_page() -> None:
    gone = [("soft", "", 16, 0)]
    comparison = fake_comparison(strategies=("soft",), baselines=(), shots=(16,), seeds=(0,), missing=gone)  # type: ignore[arg-type]
    text = Page(report_page(summarise(comparison))).text
    assert "No prompt has been run to the end yet" in text
    assert "No run of this comparison is finished." in text


def test_from_python_there_is_no_command_line() -> None:
    comparison = replace(fake_comparison(strategies=("soft",), shots=(16,), test_examples=40), command=())
    assert "From Python, without a command line." in Page(report_page(summarise(comparison))).text


def test_long_texts_are_cut_between_words_and_lines_joined() -> None:
    assert excerpt("short\nand  plain") == "short and plain"
    cut = excerpt("word " * 200)
    assert cut.endswith("word …")
    assert len(cut) <= 322
    assert excerpt("字" * 400) == "字" * 320 + " …"
