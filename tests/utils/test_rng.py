from __future__ import annotations

import numpy as np
import pytest

from statlearn.utils._rng import as_generator


def test_a_generator_is_handed_back_itself():
    rng = np.random.default_rng(0)
    assert as_generator(rng) is rng


@pytest.mark.parametrize("seed", [3, np.int64(3), np.random.SeedSequence(3)])
def test_a_seed_gives_the_stream_of_numpy(seed):
    wanted = np.random.default_rng(3).random(5)
    np.testing.assert_array_equal(as_generator(seed).random(5), wanted)


def test_none_gives_a_new_stream_each_time():
    first, second = (as_generator(None).random(5) for _ in range(2))
    assert not np.array_equal(first, second)


def test_a_random_state_fixes_the_stream_and_moves_on():
    def draws(state):
        return [as_generator(state).random(5) for _ in range(2)]

    first, again = (draws(np.random.RandomState(0)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


def test_a_negative_seed_is_refused_with_advice():
    with pytest.raises(ValueError, match=r"'random_state'.*non-negative.*Got -1; pass"):
        as_generator(-1)


@pytest.mark.parametrize("wrong", ["0", 0.5, True])
def test_another_type_is_refused_with_advice(wrong):
    with pytest.raises(TypeError, match=r"'random_state'.*Got .* of type .*; pass"):
        as_generator(wrong)
