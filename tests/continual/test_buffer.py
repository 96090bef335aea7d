"""The reservoir is a simple random sample of all rows so far."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
from scipy import sparse, stats

from statlearn.continual._buffer import TaskRows, alike, joined, reservoir


def rows(start, stop, task=0):
    number = np.arange(start, stop)
    return TaskRows(number[:, None] * 1.0, number, None, np.full(len(number), task))


def sample(sizes, size, generator):
    kept, n_seen = rows(0, 0), 0
    for task, n in enumerate(sizes):
        kept = reservoir(kept, rows(n_seen, n_seen + n, task), n_seen, size, generator)
        n_seen += n
    return kept


def test_few_rows_are_all_kept():
    kept = sample([3, 4], 10, np.random.default_rng(0))
    assert_array_equal(kept.y, np.arange(7))


def test_every_row_is_kept_equally_often():
    generator = np.random.default_rng(0)
    counts = np.zeros(40)
    for _ in range(3000):
        counts[sample([5, 20, 15], 8, generator).y] += 1
    assert counts.sum() == 8 * 3000
    # The counts have the variance of draws without replacement.
    statistic = np.sum((counts - 600.0) ** 2) / (600.0 * (1 - 8 / 40)) * 39 / 40
    assert 1e-3 < stats.chi2.sf(statistic, 39) < 1 - 1e-3


def test_smaller_reservoir_thins_out_the_rows_before():
    counts = np.zeros(20)
    generator = np.random.default_rng(4)
    for _ in range(2000):
        kept = reservoir(rows(0, 12), rows(12, 20), 12, 5, generator)
        assert len(np.unique(kept.y)) == 5
        counts[kept.y] += 1
    statistic = np.sum((counts - 500.0) ** 2) / (500.0 * (1 - 5 / 20)) * 19 / 20
    assert 1e-3 < stats.chi2.sf(statistic, 19) < 1 - 1e-3


def test_larger_reservoir_repeats_no_row():
    generator = np.random.default_rng(5)
    before = rows(0, 100).take(np.arange(0, 100, 5))
    kept = reservoir(before, rows(100, 110), 100, 40, generator)
    assert len(np.unique(kept.y)) == len(kept) <= 30
    counts = [
        np.sum(reservoir(before, rows(100, 200), 100, 40, generator).y >= 100)
        for _ in range(300)
    ]
    # 40 of 200 rows, half of them new; the counts of 300 runs have a mean of 20.
    assert abs(np.mean(counts) - 20.0) < 4 * np.std(counts) / np.sqrt(300)


def test_pairs_of_rows_are_kept_equally_often():
    generator = np.random.default_rng(1)
    pairs = np.zeros((6, 6))
    for _ in range(6000):
        first, second = sample([2, 1, 3], 2, generator).y
        pairs[first, second] += 1
    counts = pairs[np.triu_indices(6, 1)]
    assert counts.sum() == 6000
    assert stats.chisquare(counts).pvalue > 1e-3


def test_one_row_at_a_time_is_as_good_as_many():
    generator = np.random.default_rng(2)
    counts = np.zeros(12)
    for _ in range(1000):
        counts[sample([1] * 12, 3, generator).y] += 1
    assert stats.chisquare(counts).pvalue > 1e-3


def test_tasks_stay_together_and_rows_with_their_targets():
    kept = sample([30, 30, 30], 40, np.random.default_rng(3))
    assert (np.diff(kept.task) >= 0).all()
    assert_array_equal(kept.X[:, 0], kept.y)
    assert_array_equal(kept.y // 30, kept.task)


def test_weights_of_one_are_added_where_only_others_have_weights():
    plain = rows(0, 2)
    weighted = TaskRows(plain.X, plain.y, np.array([2.0, 3.0]), plain.task)
    assert_array_equal(joined(*alike(plain, weighted)).weight, [1.0, 1.0, 2.0, 3.0])
    assert_array_equal(joined(*alike(weighted, plain)).weight, [2.0, 3.0, 1.0, 1.0])
    assert joined(*alike(plain, plain)).weight is None


def test_sparse_rows_are_joined_to_dense_ones():
    dense = rows(0, 3)
    table = TaskRows(sparse.csr_array(dense.X), dense.y, None, dense.task)
    both = joined(dense, table)
    assert sparse.issparse(both.X)
    assert_array_equal(both.X.toarray()[:, 0], [0, 1, 2, 0, 1, 2])
