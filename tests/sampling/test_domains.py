"""What describes the rows of the domains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from statlearn.sampling._domains import read_domains
from stub_tensor import Tensor


def rows_of(domains):
    """All rows of each domain, by name."""
    read = read_domains(domains, "it")
    found = {}
    for code, name in enumerate(read.names):
        local = np.arange(read.sizes[code])
        found[name] = read.rows(np.full(len(local), code), local).tolist()
    return found


@pytest.mark.parametrize(
    "domains",
    [
        [2, 3, 1],
        (2, np.int64(3), 1),
        [range(2), range(2, 5), range(5, 6)],
        np.array([0, 0, 1, 1, 1, 2]),
    ],
    ids=["sizes", "tuple", "ranges", "labels"],
)
def test_domains_that_follow_each_other(domains):
    assert rows_of(domains) == {0: [0, 1], 1: [2, 3, 4], 2: [5]}


def test_domains_have_the_names_of_a_dict():
    assert rows_of({"en": 2, "sw": 1}) == {"en": [0, 1], "sw": [2]}
    ranges = {"en": range(10, 12), "sw": range(3, 4)}
    assert rows_of(ranges) == {"en": [10, 11], "sw": [3]}


@pytest.mark.parametrize(
    "kind", [list, np.array, pd.Series, pd.Categorical], ids=lambda k: k.__name__
)
def test_labels_in_any_order(kind):
    assert rows_of(kind(["b", "a", "b", "a", "b"])) == {"a": [1, 3], "b": [0, 2, 4]}


def test_labels_of_a_tensor():
    assert rows_of(Tensor([1, 0, 1])) == {0: [1], 1: [0, 2]}


def test_domains_in_place_need_no_list_of_rows():
    assert read_domains([10**12, 5], "it").order is None
    assert read_domains(np.array(["a", "a", "b"]), "it").order is None


def test_a_range_need_not_start_where_another_ends():
    read = read_domains([range(5, 8), range(0, 2)], "it")
    assert_array_equal(read.starts, [5, 0])


@pytest.mark.parametrize("domains", [[3, 0], [3, -2], {"a": 0}, [range(3), range(0)]])
def test_empty_domains_are_refused(domains):
    with pytest.raises(ValueError, match=r"at least 1\. Got .* leave empty domains"):
        read_domains(domains, "it")


@pytest.mark.parametrize("domains", [[], {}, np.array([]), np.zeros((2, 2))])
def test_no_domains_are_refused(domains):
    with pytest.raises(ValueError, match=r"'(domains|groups)' of it must"):
        read_domains(domains, "it")


@pytest.mark.parametrize(
    "domains",
    [[range(5), range(4, 9)], [range(0, 9, 2)], [range(-2, 3)]],
    ids=["overlap", "step", "negative"],
)
def test_ranges_that_are_no_separate_blocks_are_refused(domains):
    with pytest.raises(ValueError, match="must have the step 1, start at 0 or later"):
        read_domains(domains, "it")


def test_sizes_in_an_array_are_not_taken_for_labels():
    with pytest.raises(ValueError, match="look like sizes; pass sizes as a list"):
        read_domains(np.array([3000, 300, 30]), "it")


def test_other_values_of_a_dict_are_refused():
    with pytest.raises(TypeError, match="must map names to sizes or to ranges"):
        read_domains({"a": "many"}, "it")


def test_missing_labels_are_refused():
    with pytest.raises(ValueError, match="missing labels"):
        read_domains(["a", None], "it")
