"""Which transitions are drawn, and how often."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.stats import chisquare

from sampler_cases import chances, recorded
from statlearn.offline_rl import (
    AdvantageWeighting,
    ReturnWeighting,
    TopFraction,
    TrajectorySampler,
)

MANY = 2_000_000

LAWS = {
    "zeros among them": ([3, 1, 4, 2, 5], [0.0, 2.0, 0.5, 0.0, 1.0]),
    "zeros at the ends": ([2, 3, 2], [0.0, 1.0, 0.0]),
    "single transitions": ([1] * 6, [5.0, 0.0, 1.0, 1.0, 0.1, 2.0]),
    "one trajectory": ([7], [0.3]),
    "a long one between tiny ones": ([1, 1000, 1], [1.0, 1.0, 1.0]),
    "a long unlikely one": ([2, 500, 1], [100.0, 0.01, 30.0]),
    "equal weights": ([5, 1, 9], [1.0, 1.0, 1.0]),
}
each_law = pytest.mark.parametrize(
    ("lengths", "weights"),
    [pytest.param(*law, id=name) for name, law in LAWS.items()],
)


def fits(rows, expected):
    """Chi-square of how often each row came; rows of no chance never."""
    counts = np.bincount(rows, minlength=len(expected))
    possible = expected > 0.0
    assert not counts[~possible].any()
    found, wanted = counts[possible], expected[possible] * len(rows)
    return len(found) == 1 or chisquare(found, wanted).pvalue > 1e-4


@each_law
def test_transitions_are_drawn_as_often_as_they_weigh(lengths, weights):
    dataset = recorded(lengths)
    sampler = TrajectorySampler(dataset, weights, random_state=0)
    rows = sampler.sample_indices(MANY)
    assert rows.dtype == np.int64
    assert fits(rows, chances(dataset, weights))


@each_law
def test_batches_of_the_iteration_have_the_same_law(lengths, weights):
    dataset = recorded(lengths)
    sampler = TrajectorySampler(
        dataset, weights, random_state=1, batch_size=1001, n_batches=500
    )
    rows = np.concatenate(list(sampler.to_torch_batch_sampler()))
    assert fits(rows, chances(dataset, weights))


def chances_of(sampler):
    """Chance (n,) of each row: the share of the numbers k / 2^53 that stand for it.

    Shares of boxes, and rows in them, ascend with the number; so the first number of
    each of them is found by halving.
    """
    table, offsets = sampler._table, sampler.dataset.offsets
    n, end = offsets[-1], 2**53

    def key(numbers):
        rows, shares = np.empty((2, len(numbers)), np.int64)
        table.find(numbers * 2.0**-53, rows, shares)
        trajectories = np.searchsorted(offsets, rows, side="right") - 1
        assert_array_equal(trajectories, table.owners(shares))
        return shares * n + rows

    wanted = np.concatenate(
        [
            share * n + np.arange(offsets[i], offsets[i + 1])
            for share, i in enumerate(table._owners)
        ]
    )
    low, high = np.zeros(len(wanted), np.int64), np.full(len(wanted), end)
    for _ in range(54):
        middle = (low + high) // 2
        below = (low < high) & (key(np.minimum(middle, end - 1)) < wanted)
        low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
    assert_array_equal(low, high)
    # Also the numbers on both sides of each step belong where their key says.
    key(np.minimum(low, end - 1)), key(np.maximum(low - 1, 0))
    counts = np.diff(np.append(low, end))
    assert counts.sum() == end
    return np.bincount(wanted % n, counts, n) / end


def uneven(n, largest, seed=0):
    """Weights up to e^largest times as large as each other."""
    return np.exp(largest * np.random.default_rng(seed).random(n))


@pytest.mark.parametrize(
    ("lengths", "weights"),
    [
        *(pytest.param(*law, id=name) for name, law in LAWS.items()),
        pytest.param(np.arange(1, 301), uneven(300, 10.0), id="many"),
        pytest.param([20] * 300, [1e9] + [1.0] * 299, id="one that has all"),
        pytest.param([2, 3] * 99, [1.0, 1e-30] * 99, id="hardly any weight"),
        pytest.param([10**4, 1, 10**4], [1e-9, 1.0, 1e-9], id="long and unlikely"),
    ],
)
def test_chance_of_every_transition_is_exact(lengths, weights):
    dataset = recorded(lengths)
    found = chances_of(TrajectorySampler(dataset, weights))
    wanted = chances(dataset, weights)
    assert np.abs(found - wanted).max() < len(found) * 2.0**-50
    assert not found[wanted == 0.0].any()


@settings(deadline=None, max_examples=30)
@given(
    trajectories=st.lists(
        st.tuples(
            st.integers(1, 9),
            st.sampled_from([0.0, 1e-300, 1e-16, 1e-9, 0.1, 0.3, 1.0, 7.0, 1e300]),
        ),
        min_size=1,
        max_size=12,
    ).filter(lambda pairs: any(weight for _, weight in pairs))
)
def test_chances_are_exact_for_any_weights(trajectories):
    lengths, weights = map(np.array, zip(*trajectories, strict=True))
    dataset = recorded(lengths)
    found = chances_of(TrajectorySampler(dataset, weights))
    wanted = chances(dataset, weights / weights.max())
    assert np.abs(found - wanted).max() < len(found) * 2.0**-50
    assert not found[wanted == 0.0].any()


def test_pairs_of_draws_are_independent():
    dataset = recorded([2, 1, 3])
    weights = [1.0, 4.0, 2.0]
    rows = TrajectorySampler(dataset, weights, random_state=2).sample_indices(MANY)
    one = chances(dataset, weights)
    for lag in (1, 4, 256):
        pairs = rows[:-lag] * 6 + rows[lag:]
        # Every other block, so that no draw is in two pairs.
        apart = pairs[(np.arange(len(pairs)) // lag) % 2 == 0]
        assert fits(apart, np.outer(one, one).ravel())


def test_strict_sequences_start_evenly_where_they_fit():
    dataset = recorded([2, 5, 3, 9])
    sampler = TrajectorySampler(
        dataset, [9.0, 1.0, 2.0, 0.0], random_state=0, sequence_length=3, pad=False
    )
    expected = np.zeros(19)
    expected[2:5], expected[7] = 1.0, 2.0
    assert fits(sampler.sample_indices(MANY), expected / expected.sum())


def test_padded_sequences_start_as_single_transitions_are_drawn():
    dataset = recorded([2, 5, 3])
    options = {"random_state": 0}
    plain = TrajectorySampler(dataset, [1.0, 0.5, 2.0], **options)
    padded = TrajectorySampler(dataset, [1.0, 0.5, 2.0], **options, sequence_length=4)
    assert_array_equal(plain.sample_indices(1000), padded.sample_indices(1000))


@pytest.mark.parametrize(
    "weighting",
    [ReturnWeighting(0.5), TopFraction(0.4), AdvantageWeighting(1.0, cv=None)],
    ids=["return", "top", "advantage"],
)
def test_weighting_is_fitted_if_it_is_not(weighting):
    dataset = recorded([3, 1, 4, 2, 5] * 4)
    sampler = TrajectorySampler(dataset, weighting, random_state=0)
    assert not hasattr(weighting, "transition_probability_")
    fitted = TrajectorySampler(dataset, weighting.fit(dataset), random_state=0)
    np.testing.assert_allclose(
        sampler.probabilities_, weighting.trajectory_probability_, rtol=1e-12
    )
    rows = sampler.sample_indices(1000)
    assert_array_equal(rows, fitted.sample_indices(1000))
    of_rows = TrajectorySampler(dataset, weighting.sample_weight(), random_state=0)
    np.testing.assert_allclose(
        of_rows.probabilities_, sampler.probabilities_, rtol=1e-12
    )


def test_weights_of_a_batch_tell_how_much_likelier_a_draw_is():
    dataset, weights = recorded([3, 1, 4]), [1.0, 0.0, 3.0]
    batch = TrajectorySampler(dataset, weights, random_state=0).sample(500)
    expected = 8 * chances(dataset, weights)[batch["indices"]]
    np.testing.assert_allclose(batch["weights"], expected, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e300], ids=["tiny", "huge"])
def test_unit_of_weights_does_not_matter(scale):
    dataset, weights = recorded([3, 1, 4]), np.array([1.0, 0.0, 3.0])
    plain, scaled = (
        TrajectorySampler(dataset, values, random_state=0)
        for values in (weights, scale * weights)
    )
    assert_array_equal(plain.sample_indices(999), scaled.sample_indices(999))
    np.testing.assert_allclose(plain.sample()["weights"], scaled.sample()["weights"])


def test_nothing_as_long_as_the_data_is_made_for_draws():
    dataset = recorded([100_000, 3])
    table = TrajectorySampler(dataset, [1.0, 2.0], random_state=0)._table
    held = [values for values in vars(table).values() if hasattr(values, "size")]
    assert len(held) > 4
    assert max(values.size for values in held) < 20
