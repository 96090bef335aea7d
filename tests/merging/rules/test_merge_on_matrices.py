from __future__ import annotations

import pytest

from statlearn.merging._rules._merge_on_matrices import decomposition_excess


@pytest.mark.parametrize("itemsize", [2, 4])
def test_tall_matrix_is_merged_after_small_ones_and_before_vectors(itemsize):
    shapes = [(384,), (30522, 384), (384, 384), (384, 1536)]
    found = sorted(shapes, key=lambda s: -decomposition_excess(s, itemsize))
    assert found == [(384, 384), (384, 1536), (30522, 384), (384,)]


def test_largest_matrix_of_doubles_is_merged_first():
    shapes = [(384,), (384, 384), (30522, 384), (0, 3)]
    found = sorted(shapes, key=lambda s: -decomposition_excess(s, 8))
    assert found == [(30522, 384), (384, 384), (384,), (0, 3)]
