"""Numbers and tables as text."""

from __future__ import annotations

import math

import pytest

from statlearn.utils._tables import facts, number, probability, text_table


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0.0000"),
        (1.23456, "1.2346"),
        (-12.0, "-12.0000"),
        (0.0001, "0.0001"),
        (0.00009, "9.000e-05"),
        (1e6, "1.000e+06"),
        (math.nan, "-"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_have_fixed_decimals_where_these_tell_enough(value, written):
    assert number(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.04, "0.0400"), (1e-4, "0.0001"), (9e-5, "<0.0001"), (math.nan, "-")],
)
def test_small_probabilities_are_bounded(value, written):
    assert probability(value) == written


def test_first_column_stands_left_and_others_right():
    assert text_table(("a", "value"), [("long name", "1"), ("b", "22")]).split(
        "\n"
    ) == [
        "a          value",
        "----------------",
        "long name      1",
        "b             22",
    ]


def test_facts_are_read_down_two_columns():
    pairs = [("n", "10"), ("rows", "9"), ("p", "1")]
    assert facts(pairs).split("\n") == ["n     10    p  1", "rows   9"]
