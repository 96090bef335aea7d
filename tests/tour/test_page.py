from __future__ import annotations

import re
import warnings
from html.parser import HTMLParser
from importlib.metadata import version
from itertools import pairwise

import pytest

from statlearn.tour import SectionResult, Table, _page, _run
from statlearn.tour._discover import discover, select
from statlearn.tour._page import NO_FIGURES, render_page
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_sections

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Checker(HTMLParser):
    """Collect tags, attributes and faults of nesting."""

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.elements = [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


def page_of(sections):
    outcomes = run_sections(sections, SilentProgress(), lambda line: None)
    return render_page(outcomes, 1.5)


def parse(page):
    checker = Checker()
    checker.feed(page)
    checker.close()
    return checker


@pytest.fixture
def page(add_section, make_section):
    def fail(progress):
        raise RuntimeError("<gone>")

    add_section("adder")
    return page_of([*select(discover(), ["adder"]), make_section(fail)])


def test_every_element_is_closed_in_order(page):
    checker = parse(page)
    assert checker.faults == []
    assert checker.open == []


def test_nothing_is_fetched(page):
    checker = parse(page)
    assert not checker.all("link", "script", "img", "iframe", "object")
    assert "http" not in page
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    links = [a["href"] for a in checker.all("a", "use") if "href" in a]
    assert all(link.startswith("#") for link in links)


def test_every_link_finds_its_target_and_identifiers_are_unique(page):
    checker = parse(page)
    names = [a["id"] for _, a in checker.elements if "id" in a]
    assert len(names) == len(set(names))
    wanted = {a["href"][1:] for a in checker.all("a", "use") if "href" in a}
    for key in ("aria-labelledby",):
        for _, attributes in checker.elements:
            wanted |= set(attributes.get(key, "").split())
    assert wanted <= set(names)


def test_language_encoding_and_title_are_stated(page):
    checker = parse(page)
    assert checker.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in checker.all("meta")
    assert "<title>statlearn: the tour</title>" in page


def test_figures_carry_their_description(page):
    (svg,) = parse(page).all("svg")
    assert svg["role"] == "img"
    assert "<desc" in page
    assert "It rises &lt;always&gt;." in page


def test_tables_have_captions_and_headed_rows_and_columns(page):
    checker = parse(page)
    assert len(checker.all("caption")) == len(checker.all("table")) == 2
    assert {a["scope"] for a in checker.all("th")} == {"row", "col"}


def test_headings_do_not_skip_a_level(page):
    levels = [int(t[1]) for t, _ in parse(page).elements if re.fullmatch(r"h\d", t)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_both_themes_define_the_same_colours(page):
    light, dark = page.split("prefers-color-scheme: dark")[:2]
    dark = dark[: dark.index("* {")]
    colours = set(re.findall(r"(--[a-z0-9-]+):", light))
    assert colours == set(re.findall(r"(--[a-z0-9-]+):", dark))
    assert set(re.findall(r"var\((--[a-z0-9-]+)", page)) <= colours


def test_a_failure_is_shown_and_escaped(page):
    assert "RuntimeError: &lt;gone&gt;" in page
    assert "<gone>" not in page
    assert "1 failed" in page


def test_numbers_stand_to_the_right_and_words_to_the_left(make_section):
    table = Table(
        "Mixed",
        ("name", "number", "word"),
        (("a", "-1.5e-05", "yes"), ("b", "12 ms", "12 apples"), ("c", "", "no")),
    )
    result = SectionResult("data", "number", "peer", tables=(table,))
    page = page_of([make_section(lambda progress: result)])
    assert '<td class="number">-1.5e-05</td><td>yes</td>' in page
    assert '<td class="number">12 ms</td><td>12 apples</td>' in page


@pytest.mark.parametrize(
    ("supported", "words"),
    [(True, "holds here"), (False, "does not hold here"), (None, None)],
)
def test_the_verdict_is_in_words(make_section, supported, words):
    result = SectionResult("data", "number", "peer", supported=supported)
    page = page_of([make_section(lambda progress: result)])
    for candidate in ("holds here", "does not hold here"):
        assert (f">{candidate}<" in page) == (candidate == words)


def test_without_matplotlib_the_page_says_how_to_get_figures(add_section, monkeypatch):
    monkeypatch.setattr(_run, "can_draw", lambda: False)
    add_section("adder")
    page = page_of(select(discover(), ["adder"]))
    assert NO_FIGURES.split(":")[0] in page
    assert "<svg" not in page


def test_warnings_are_listed_in_the_section(make_section):
    def run(progress):
        warnings.warn("shaky <ground>", UserWarning, stacklevel=1)
        return SectionResult("data", "number", "peer")

    page = page_of([make_section(run)])
    assert "UserWarning: shaky &lt;ground&gt;" in page


def test_versions_are_stated_for_what_is_installed(page, monkeypatch):
    assert f"numpy {version('numpy')}" in page
    monkeypatch.setattr(_page, "_PACKAGES", ("numpy", "no-such-package"))
    assert "no-such-package" not in page_of([])
