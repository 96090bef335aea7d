from __future__ import annotations

import pytest

from statlearn.tour._text import text_table

HEADER = ("Name", "Story")
ROWS = [
    ("first", "a story that goes on for quite a while until it ends"),
    ("second", "short"),
]


@pytest.mark.parametrize("width", [40, 60, 100])
def test_lines_stay_within_the_width(width):
    lines = text_table(HEADER, ROWS, width).split("\n")
    assert max(map(len, lines)) <= width


def test_no_word_is_lost_or_cut():
    table = text_table(HEADER, ROWS, 40)
    for _, story in ROWS:
        assert set(story.split()) <= set(table.split())


def test_columns_start_at_one_place():
    first, rule, *_ = text_table(HEADER, ROWS, 40).split("\n")
    assert first.index("Story") == rule.rindex(" ") + 1


def test_a_long_name_is_kept_whole_while_prose_can_give_way():
    name = "statlearn.ordinal.PrestoClassifierCV"
    table = text_table(("Class", "Paper"), [(name, "many small words " * 5)], 60)
    assert name in table


def test_short_rows_stand_close_and_wrapped_rows_apart():
    assert "\n\n" not in text_table(HEADER, [("a", "b"), ("c", "d")], 40)
    assert "\n\n" in text_table(HEADER, ROWS, 40)


def test_a_line_break_in_a_cell_is_kept():
    table = text_table(("a", "b"), [("1\n2", "x")], 40)
    assert table.split("\n")[2:] == ["1  x", "2"]


def test_a_table_without_rows_has_a_header():
    assert text_table(("a", "b"), [], 40).split("\n")[:2] == ["a  b", "-  -"]
