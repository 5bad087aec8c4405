"""The site builds from docs/ without a warning, needs nothing from elsewhere, and holds every page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from scripts import DOCS, load_script

PAGES = [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("strategies/*.md"))]
NAMES = [page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES]
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}


def build(docs: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """The documented command, with the pages and the files between kept out of docs/."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command += ["-d", str(target.parent / "doctrees"), str(docs), str(target)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Tags(HTMLParser):
    """What a page loads, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if target := given.get(LOADS.get(tag, "")):
            self.loads.append(target)
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "html"
    result = build(DOCS, target)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return target


@pytest.mark.slow
class TestSite:
    def test_every_page_is_in_it_and_in_the_sidebar(self, site):
        start = (site / "index.html").read_text(encoding="utf-8")
        sidebar = start.split('class="sidebar-tree"')[1].split("</aside>")[0]
        for name in NAMES:
            assert (site / f"{name}.html").is_file()
            assert name == "index" or f'href="{name}.html"' in sidebar, name

    @pytest.mark.parametrize("name", ["results", "sensitivity"])
    def test_pictures_are_shown_and_not_named(self, site, name):
        source = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        page = (site / f"{name}.html").read_text(encoding="utf-8")
        wanted = [line.split("plots/")[1].rstrip(")") for line in source.splitlines() if line.startswith("![")]
        shown = [load.rsplit("/", 1)[1] for load in Tags(page).loads if load.startswith("_images/")]
        assert wanted
        assert shown == wanted

    def test_it_loads_nothing_from_elsewhere(self, site):
        for page in site.rglob("*.html"):
            for target in Tags(page.read_text(encoding="utf-8")).loads:
                assert not re.match(r"([a-z]+:)?//", target), f"{page.name} loads {target}"
        for style in site.rglob("*.css"):
            found = re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)]*", style.read_text(encoding="utf-8"))
            assert not found, style.name

    def test_every_link_within_it_leads_somewhere(self, site):
        for name in NAMES:
            page = site / f"{name}.html"
            for target in Tags(page.read_text(encoding="utf-8")).links:
                path, _, anchor = unquote(target).partition("#")
                if re.match(r"[a-z]+:", path):
                    continue
                file = page.parent / path if path else page
                assert file.is_file(), f"{name}: {target}"
                if anchor:
                    assert f'id="{anchor}"' in file.read_text(encoding="utf-8"), f"{name}: {target}"

    @pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("strategies/")])
    def test_equations_are_mathml(self, site, name):
        text = (site / f"{name}.html").read_text(encoding="utf-8")
        assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in text
        assert not re.search(r"\$[^$<]{1,80}\$", re.sub(r"<(pre|code).*?</\1>", "", text, flags=re.S))
        assert "\\" not in "".join(re.findall(r"<math.*?</math>", text, re.S))

    def test_cards_are_named_not_linked(self, site):
        assert "data/reviews-en/CARD.md" in (site / "data.html").read_text(encoding="utf-8")
        assert not (site / "_downloads").exists()

    def test_an_equation_that_cannot_be_written_fails_the_build(self, tmp_path):
        docs = tmp_path / "docs"
        docs.mkdir()
        for name in ("mathml.py", "outline.py"):
            shutil.copy(DOCS / name, docs)
        conf = (DOCS / "conf.py").read_text(encoding="utf-8")
        (docs / "conf.py").write_text(conf.replace("html_static_path", "unused"), encoding="utf-8")
        (tmp_path / "promptkit").mkdir()
        shutil.copy(DOCS.parent / "promptkit" / "version.py", tmp_path / "promptkit")
        (docs / "index.md").write_text("# Page\n\n```math\na \\nosuchthing b\n```\n", encoding="utf-8")
        result = build(docs, tmp_path / "html")
        assert result.returncode == 1
        assert r"no MathML for '\nosuchthing'" in result.stderr


class TestMathml:
    def test_a_fraction(self):
        assert "<mfrac><mi>a</mi><mi>b</mi></mfrac>" in load_script("mathml").to_mathml(r"\frac a b", block=True)

    def test_a_function_has_space_behind_its_name(self):
        to_mathml = load_script("mathml").to_mathml
        assert "<mi>log</mi><mspace" in to_mathml(r"\log p", block=False)
        assert "<mi>log</mi><mo" in to_mathml(r"\log(p)", block=False)

    @pytest.mark.parametrize("latex", [r"\nosuchthing", r"a & b"])
    def test_what_is_not_understood_is_refused(self, latex):
        with pytest.raises(ValueError, match="no MathML"):
            load_script("mathml").to_mathml(latex, block=True)


class TestOutline:
    def test_the_sidebar_has_the_tables_of_the_index(self):
        table = "| Page | |\n|---|---|\n| [A](a.md) | x |\n| [B](b/c.md) | y |\n"
        index = f"# Top\n\n## One\n\n{table}\n## Two\n\nNo table.\n"
        assert load_script("outline").sidebar(index) == "```{toctree}\n:hidden:\n:caption: One\n\na\nb/c\n```\n"

    def test_links_out_of_the_site_become_names(self, tmp_path):
        docs = (tmp_path / "docs").resolve()
        docs.mkdir()
        page, other = docs / "page.md", docs / "other.md"
        for file in (page, other, docs / "example.py", tmp_path / "CARD.md"):
            file.touch()
        text = "[a](../CARD.md) [b](other.md#top) [`example.py`](example.py) [c](https://x.org)\n"
        text += "```\n[d](../CARD.md)\n```\n"
        got = load_script("outline").without_outside_links(text, page, docs, {page, other})
        assert got == (
            "a (`CARD.md`) [b](other.md#top) `docs/example.py` [c](https://x.org)\n```\n[d](../CARD.md)\n```\n"
        )
