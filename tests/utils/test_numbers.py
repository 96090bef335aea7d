from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from statlearn.utils._numbers import (
    closed_share,
    finite_number,
    integer_in,
    number_in,
    positive_integer,
    positive_number,
    read_coverage,
    real_number,
)

NO_NUMBERS = [
    True,
    np.False_,
    np.array(True),
    torch.tensor(True),
    "2",
    b"2",
    np.str_("2"),
    np.array("2"),
    np.float64(2).astype("M8[D]"),
    np.complex64(2),
    torch.tensor(2 + 0j),
    None,
    [1.0],
    1j,
    torch.ones(2),
]
NAMES = [f"{i}-{type(value).__name__}" for i, value in enumerate(NO_NUMBERS)]


# ------------------------------------------------------------------ real numbers
@pytest.mark.parametrize(
    "value", [2, np.int8(2), np.float32(2), np.array(2.0), torch.tensor(2.0)]
)
def test_numbers_of_all_libraries_are_floats(value):
    found = real_number(value, "a", "it")
    assert found == 2.0
    assert type(found) is float


def test_an_infinite_number_is_real():
    assert real_number(-np.inf, "a", "it") == -np.inf


@pytest.mark.parametrize("value", NO_NUMBERS, ids=NAMES)
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="'a' of it must be a real number") as caught:
        real_number(value, "a", "it", "pass 1")
    assert str(caught.value).endswith(f"of type {type(value).__name__}; pass 1.")
    for check in (positive_number, closed_share, finite_number):
        with pytest.raises(TypeError, match="'a' of it must be a real number"):
            check(value, "a", "it", "pass 1")
    with pytest.raises(TypeError, match="'coverage' of it must be a real number"):
        read_coverage(value, "it")


def test_finite_number_may_have_any_sign():
    for value in (-2.5, 0, np.float32(1e30)):
        assert finite_number(value, "a", "it", "pass 1") == value
    for value in (np.nan, np.inf, -np.inf):
        message = f"The 'a' of it must be a finite number. Got {value}; pass 1."
        with pytest.raises(ValueError, match=message):
            finite_number(value, "a", "it", "pass 1")


# ------------------------------------------------------------------ within bounds
@pytest.mark.parametrize(
    ("closed", "low", "high"),
    [
        ("both", True, True),
        ("left", True, False),
        ("right", False, True),
        ("neither", False, False),
    ],
)
def test_number_may_be_a_bound_that_is_closed(closed, low, high):
    for value, allowed in ((-1.0, low), (2.0, high), (0.5, True), (-1.1, False)):
        if allowed:
            assert number_in(value, "a", "it", "pass 1", -1, 2, closed) == value
            continue
        shown = re.escape(f"{'[' if low else '('}-1, 2{']' if high else ')'}")
        message = f"The 'a' of it must lie in {shown}. Got {value}; pass 1."
        with pytest.raises(ValueError, match=message):
            number_in(value, "a", "it", "pass 1", -1, 2, closed)


@pytest.mark.parametrize(
    ("closed", "wanted", "inside"),
    [
        ("both", "a number >= 0", [0.0, np.inf]),
        ("left", "a finite number >= 0", [0.0, 1e308]),
        ("right", "a number > 0", [5e-324, np.inf]),
        ("neither", "a finite number > 0", [5e-324, 1e308]),
    ],
)
def test_bound_at_infinity_is_said_in_words(closed, wanted, inside):
    for value in inside:
        assert number_in(value, "a", "it", "pass 1", 0, np.inf, closed) == value
    outside = {-1.0, 0.0, np.inf} - set(inside)
    for value in [*outside, np.nan]:
        message = f"The 'a' of it must be {wanted}. Got {value}; pass 1."
        with pytest.raises(ValueError, match=message):
            number_in(value, "a", "it", "pass 1", 0, np.inf, closed)


def test_positive_number_is_finite_and_above_zero():
    for value in (1, 0.25, np.float32(0.5), 5e-324, 1.7e308):
        assert positive_number(value, "a", "it", "pass 1") == float(value)
    for value in (0.0, -1.0, np.inf, np.nan):
        message = f"The 'a' of it must be a finite number > 0. Got {value}; pass 1."
        with pytest.raises(ValueError, match=message):
            positive_number(value, "a", "it", "pass 1")


def test_share_has_its_ends():
    for value in (0, 0.25, 1, np.float32(0.5)):
        found = closed_share(value, "part", "it", "pass 0")
        assert found == value
        assert type(found) is float
    for value in (-1e-9, 1.000001, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"'part' of it must lie in \[0, 1\]. Got"):
            closed_share(value, "part", "it", "pass 0")


def test_coverages_are_shares_below_one():
    assert read_coverage(np.float32(0.5), "f") == 0.5
    for value in (80, 0.0, 1.0, np.nan):
        with pytest.raises(
            ValueError, match=rf"'coverage' of f .*\(0, 1\). Got {value}"
        ):
            read_coverage(value, "f")


# ------------------------------------------------------------------ integers
def test_count_is_an_integer_from_one():
    for value in (1, np.int8(5), np.uint64(2**40)):
        assert positive_integer(value, "n", "it", "pass 1") == int(value)
        assert type(positive_integer(value, "n", "it", "pass 1")) is int
    for value, error in ((0, ValueError), (-3, ValueError), (1.0, TypeError)):
        message = f"The 'n' of it must be an integer >= 1. Got {value}; pass 1."
        with pytest.raises(error, match=message):
            positive_integer(value, "n", "it", "pass 1")
    for value in (True, "2", None, [1]):
        with pytest.raises(TypeError, match="'n' of it must be an integer"):
            positive_integer(value, "n", "it", "pass 1")


def test_integer_may_be_either_bound():
    for value in (0, 3):
        assert integer_in(value, "n", "it", "pass 1", 0, 3) == value
    for value in (-1, 4):
        message = f"The 'n' of it must be an integer from 0 to 3. Got {value}; pass 1."
        with pytest.raises(ValueError, match=message):
            integer_in(value, "n", "it", "pass 1", 0, 3)
    with pytest.raises(TypeError, match="'n' of it must be an integer from 0 to 3"):
        integer_in(2.0, "n", "it", "pass 1", 0, 3)
