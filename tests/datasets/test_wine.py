from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from statlearn.datasets import load_wine_bitterness


def test_margins_are_those_of_the_experiment():
    wine = load_wine_bitterness()
    assert wine.data.shape == (15, 2)
    assert wine.sample_weight.sum() == 72
    ratings = np.bincount(wine.target, weights=wine.sample_weight)[1:]
    assert ratings.tolist() == [5, 22, 26, 12, 7]


@pytest.mark.parametrize("treatment", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_each_combination_of_treatments_was_rated_eighteen_times(treatment):
    wine = load_wine_bitterness()
    here = (wine.data == treatment).all(axis=1)
    assert wine.sample_weight[here].sum() == 18


def test_no_row_is_empty_and_no_row_comes_twice():
    wine = load_wine_bitterness()
    rows = np.column_stack([wine.data, wine.target])
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert wine.sample_weight.min() >= 1


def test_pair_writes_every_rating_out():
    wine = load_wine_bitterness()
    X, y = load_wine_bitterness(return_X_y=True)
    weight = wine.sample_weight.astype(int)
    np.testing.assert_array_equal(X, np.repeat(wine.data, weight, axis=0))
    np.testing.assert_array_equal(y, np.repeat(wine.target, weight))


def test_frame_holds_the_same_table():
    arrays, frames = load_wine_bitterness(), load_wine_bitterness(as_frame=True)
    assert list(frames.frame.columns) == ["temp", "contact", "rating", "count"]
    assert frames.data.columns.tolist() == arrays.feature_names
    np.testing.assert_array_equal(frames.data, arrays.data)
    np.testing.assert_array_equal(frames.target, arrays.target)
    np.testing.assert_array_equal(frames.sample_weight, arrays.sample_weight)
    assert arrays.frame is None


def test_pair_of_pandas_objects_shares_one_index():
    X, y = load_wine_bitterness(as_frame=True, return_X_y=True)
    assert isinstance(X, pd.DataFrame)
    assert X.index.equals(y.index)
    assert len(y) == 72


def test_description_names_the_source():
    assert "Randall (1989)" in load_wine_bitterness().DESCR
