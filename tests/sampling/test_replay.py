"""Old rows among new ones."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom, chisquare

from statlearn.exceptions import RepetitionWarning
from statlearn.sampling import ReplayMixer, replay_order, replay_shares

SEEN = [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
each_mode = pytest.mark.parametrize("mode", ["exact", "blend", "bernoulli"])


def positions(fraction, n):
    """Which of the first n samples are old, sample by sample."""
    mixer = ReplayMixer(n, n, fraction=fraction, batch_size=1, mode="blend")
    return np.array([len(old) for old, _ in mixer])


def interleaved(weights, n):
    """Source of each sample: the one furthest behind its share, the first of equals."""
    counts, out = np.zeros(len(weights)), []
    for i in range(n):
        behind = np.array(weights) * max(i, 1) - counts
        source = int(np.argmax(behind.round(9)))
        counts[source] += 1
        out.append(source)
    return np.array(out)


# -------------------------------------------------------------------- known answers
def test_five_percent_come_at_known_positions():
    old = positions(0.05, 400)
    assert_array_equal(np.flatnonzero(old), 1 + 20 * np.arange(20))
    assert old.sum() == 20


def test_a_quarter_comes_at_known_positions():
    old = positions(0.25, 200)
    assert old[:10].tolist() == [0, 1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert old.sum() == 50


@pytest.mark.parametrize("fraction", [0.03, 0.1, 1 / 3, 0.5, 0.7, 0.99])
def test_blend_is_the_greedy_rule(fraction):
    expected = interleaved([1.0 - fraction, fraction], 500)
    assert_array_equal(positions(fraction, 500), expected)


def test_shares_of_sources_have_known_values():
    shares = replay_shares([2, 1], [3, 1], 0.25)
    assert_allclose(shares, [0.5, 0.25, 0.1875, 0.0625], rtol=1e-12)
    # The published program draws half a percent more than it needs.
    assert np.ceil(10007 * shares * 1.005).tolist() == [5029, 2515, 1886, 629]
    assert np.ceil(1000 * replay_shares([1], [1], 0.05) * 1.005).tolist() == [955, 51]


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0, [3, 4, 5, 8, 2, 0, 1, 6, 7, 9]), (3, [8, 2, 0, 1, 6, 7, 9, 3, 4, 5])],
)
def test_replay_order_has_known_values(offset, expected):
    assert replay_order(SEEN, seed=1234, offset=offset).tolist() == expected
    mixer = ReplayMixer(np.array(SEEN), 20, fraction=0.5, batch_size=2, offset=offset)
    assert np.concatenate([old for old, _ in mixer]).tolist() == expected


def test_order_without_reshuffling_is_that_of_the_past():
    assert (
        replay_order(SEEN, reshuffle=False, offset=12).tolist() == SEEN[2:] + SEEN[:2]
    )
    mixer = ReplayMixer(np.array(SEEN), 20, fraction=0.5, batch_size=4, reshuffle=False)
    assert np.concatenate([old for old, _ in mixer]).tolist() == SEEN
    assert np.concatenate([new for _, new in mixer]).tolist() == list(range(10))


# ----------------------------------------------------------------------------- laws
@each_mode
def test_batches_have_constant_size(mode):
    mixer = ReplayMixer(900, 2000, fraction=0.17, batch_size=16, mode=mode)
    assert len(mixer) == 2000 // 16
    assert {len(old) + len(new) for old, new in mixer} == {16}


@pytest.mark.parametrize("mode", ["exact", "blend"])
def test_every_prefix_has_its_share(mode):
    mixer = ReplayMixer(900, 2000, fraction=0.17, batch_size=16, mode=mode)
    old = np.cumsum([len(old) for old, _ in mixer])
    share = 0.17 * 16 * np.arange(1, len(mixer) + 1)
    assert np.abs(old - share).max() <= {"exact": 0.5, "blend": 1.0}[mode] + 1e-9


def test_bernoulli_counts_are_binomial():
    mixer = ReplayMixer(
        900,
        2000,
        fraction=0.2,
        batch_size=8,
        mode="bernoulli",
        n_steps=5000,
        max_epochs=None,
    )
    counts = np.bincount([len(old) for old, _ in mixer], minlength=9)[:6]
    expected = binom.pmf(np.arange(6), 8, 0.2)
    expected[5] = 1 - expected[:5].sum()
    counts[5] = 5000 - counts[:5].sum()
    assert chisquare(counts, 5000 * expected).pvalue > 1e-4


@each_mode
@pytest.mark.parametrize("old", [400, [250, 150], np.arange(400)], ids=str)
def test_no_row_comes_twice_before_all_have_come(mode, old):
    mixer = ReplayMixer(
        old, 100, fraction=0.5, batch_size=10, mode=mode, old_weights=None, n_steps=70
    )
    batches = list(mixer)
    olds = np.concatenate([old for old, _ in batches])
    news = np.concatenate([new for _, new in batches])
    assert np.unique(olds).size == olds.size
    counts = np.bincount(news, minlength=100)
    assert counts.max() - counts.min() <= 1
    assert 0 <= olds.min() <= olds.max() < 400


@each_mode
def test_old_sources_have_their_weights(mode):
    mixer = ReplayMixer(
        [1000, 50, 500],
        4000,
        fraction=0.25,
        batch_size=20,
        mode=mode,
        old_weights=[3, 1, 0],
        max_epochs=None,
    )
    list(mixer)
    old = mixer.counts_[:-1]
    assert old[2] == 0
    bound = 45 if mode == "bernoulli" else 3
    assert np.abs(old - [750, 250, 0]).max() < bound
    assert_allclose(mixer.probabilities_, [0.1875, 0.0625, 0.0, 0.75])


def test_offset_keeps_tasks_from_replaying_the_same_rows():
    options = {"fraction": 0.25, "batch_size": 20}
    first = ReplayMixer(500, 800, **options)
    replayed = np.concatenate([old for old, _ in first])
    second = ReplayMixer(500, 800, offset=len(replayed), **options)
    assert np.intersect1d(replayed, np.concatenate([o for o, _ in second])).size == 0


def test_flat_batches_index_the_concatenation():
    options = {"fraction": 0.3, "batch_size": 10}
    for (old, new), rows in zip(
        ReplayMixer(90, 200, **options),
        ReplayMixer(90, 200, flat=True, **options),
        strict=True,
    ):
        assert_array_equal(rows, np.concatenate([old, 90 + new]))


def test_no_replay_is_one_pass_over_the_new_rows():
    mixer = ReplayMixer(0, 100, fraction=0.0, batch_size=10)
    batches = list(mixer)
    assert all(len(old) == 0 for old, _ in batches)
    assert_array_equal(
        np.sort(np.concatenate([new for _, new in batches])), np.arange(100)
    )


def test_given_rows_stay_as_they_are_and_may_change_afterwards():
    old = np.arange(50)
    mixer = ReplayMixer(old, 100, fraction=0.3, batch_size=10)
    assert_array_equal(old, np.arange(50))
    first, state = mixer.batch_at(0), mixer.state_dict()
    old[:] = 0
    mixer.load_state_dict(state)
    assert_array_equal(mixer.batch_at(0)[0], first[0])


# ------------------------------------------------------------------------ bad input
@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, np.nan])
def test_fractions_out_of_range_are_refused(fraction):
    with pytest.raises(ValueError, match=r"The 'fraction' of .* lie in \[0, 1\)"):
        ReplayMixer(9, 20, fraction=fraction, batch_size=2)
    with pytest.raises(ValueError, match="The 'fraction' of replay_shares"):
        replay_shares([1], [1], fraction)


@pytest.mark.parametrize("old", [0, [5, 0], [], -3, np.array([], dtype=int)])
def test_an_empty_buffer_is_refused(old):
    with pytest.raises(ValueError, match="at least one row in every source"):
        ReplayMixer(old, 20, batch_size=2)


@pytest.mark.parametrize("old", [2.5, "many", None, np.zeros((2, 2)), [1.5]])
def test_old_rows_of_another_kind_are_refused(old):
    with pytest.raises(TypeError, match="The 'old' of ReplayMixer must be a number"):
        ReplayMixer(old, 20, batch_size=2)


@pytest.mark.parametrize("weights", [[1], [0, 0], [1, -1], [np.nan, 1], "ab"])
def test_weights_of_sources_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match=r"'old_weights' of ReplayMixer .* hold 2"):
        ReplayMixer([5, 5], 20, batch_size=2, old_weights=weights)


@pytest.mark.parametrize("weights", [[], [[1]], [-1], [0]])
def test_weights_of_shares_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="The 'new_weights' of replay_shares"):
        replay_shares(weights, [1])
    with pytest.raises(ValueError, match="The 'old_weights' of replay_shares"):
        replay_shares([1], weights)


def test_more_than_one_pass_over_old_rows_is_refused_unless_allowed():
    options = {"fraction": 0.5, "batch_size": 10}
    with pytest.raises(ValueError, match=r"max_epochs=1 times\. Got 5 times.*None"):
        ReplayMixer(20, 200, **options)
    mixer = ReplayMixer(20, 200, max_epochs=None, **options)
    counts = np.bincount(np.concatenate([old for old, _ in mixer]))
    assert_array_equal(counts, np.full(20, 5))


def test_a_fraction_that_replays_nothing_is_warned_of():
    with pytest.warns(RepetitionWarning, match=r"Got 0\.5 rows in 5 batches of 10"):
        ReplayMixer(20, 50, fraction=0.01, batch_size=10)


@pytest.mark.parametrize("name", ["n_new", "batch_size", "n_steps"])
def test_counts_below_one_are_refused(name):
    options = {"n_new": 20, "batch_size": 2, name: 0}
    with pytest.raises(ValueError, match=f"The '{name}' of ReplayMixer"):
        ReplayMixer(9, **options)


def test_unknown_modes_are_refused():
    with pytest.raises(ValueError, match="The 'mode' of ReplayMixer"):
        ReplayMixer(9, 20, batch_size=2, mode="some")


def test_an_order_without_rows_is_refused():
    with pytest.raises(ValueError, match="The 'order' of replay_order"):
        replay_order([])
