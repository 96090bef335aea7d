from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as pyplot
import pytest

from statlearn.tour import Figure
from statlearn.tour._svg import INK, SERIES, render
from statlearn.utils._axes import COLORS


def draw_everything(canvas):
    left, right = canvas.subplots(1, 2)
    for number, colour in enumerate(SERIES):
        left.plot([0, 1], [number, 0], color=colour, label=f"line {number}")
    right.bar([1, 2], [3, 4], color=SERIES[1], alpha=0.4)
    right.plot([1, 2], [3, 4], "o", color="black")
    left.set_xlabel("years")
    left.legend()


@pytest.fixture(scope="module")
def svg():
    return render(Figure("Title", "Alt.", "Caption.", draw_everything), "name")


def test_it_is_one_well_formed_element(svg):
    assert ET.fromstring(svg).tag == "svg"


def test_nothing_points_outside(svg):
    assert "http" not in svg
    assert "xmlns" not in svg
    assert not re.search(r'(href="|url\()(?!#)', svg)


def test_every_reference_finds_its_target(svg):
    targets = set(re.findall(r'\bid="([^"]+)"', svg))
    used = set(re.findall(r'href="#([^"]+)"', svg)) | set(
        re.findall(r"url\(#([^)]+)\)", svg)
    )
    assert used
    assert used <= targets


def test_identifiers_carry_the_name_of_the_figure(svg):
    assert {i.split("-")[0] for i in re.findall(r'\bid="([^"]+)"', svg)} == {"name"}


def test_colours_follow_the_theme(svg):
    assert f"var(--series-1, {SERIES[0]})" in svg
    assert f"var(--ink, {INK})" in svg
    assert not re.search(r": (#1f2430|#000000)", svg)


def test_words_stay_words(svg):
    assert ">years</text>" in svg


def test_the_size_follows_the_page(svg):
    opening = svg[: svg.index(">")]
    assert "viewBox" in opening
    assert not re.search(r"\b(width|height)=", opening)


def test_the_same_figure_gives_the_same_text(svg):
    again = render(Figure("Title", "Alt.", "Caption.", draw_everything), "name")
    assert again == svg


def test_a_figure_of_its_own_is_taken_and_closed():
    def draw(canvas):
        figure, axes = pyplot.subplots()
        axes.set_xlabel("own label")
        return figure

    svg = render(Figure("Title", "Alt.", "Caption.", draw), "own")
    assert ">own label</text>" in svg
    assert pyplot.get_fignums() == []


def test_the_page_draws_in_the_colours_of_the_displays():
    # Two lists, because listing the methods must not load the estimators.
    assert SERIES == COLORS
