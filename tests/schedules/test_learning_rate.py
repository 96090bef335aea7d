"""Learning rates have the values of the authors' program at every phase."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statlearn.schedules import (
    Constant,
    Cosine,
    Exponential,
    InfiniteCosine,
    InfiniteInvSqrt,
    Linear,
    WarmupStableDecay,
)

RUN = {"eta_min": 3e-5, "n_steps": 1000, "warmup": 10}
PHASES = {"eta_const": 1.65e-4, "cooldown": 600, "constant": 240}

# Of the class of the authors, executed: step, linear, cosine, infinite cosine,
# infinite inverse square root.
TABLE = np.array(
    [
        [0, 0.0, 0.0, 0.0, 0.0],
        [1, 3e-5, 3e-5, 3e-5, 3e-5],
        [5, 1.5e-4, 1.5e-4, 1.5e-4, 1.5e-4],
        [10, 3e-4, 3e-4, 3e-4, 3e-4],
        [11, 2.996969697e-4, 2.999993203e-4, 2.999990747e-4, 2.984092369e-4],
        [50, 2.878787879e-4, 2.989138997e-4, 2.98524963e-4, 2.564352987e-4],
        [250, 2.272727273e-4, 2.627040951e-4, 2.533586471e-4, 1.931605202e-4],
        [500, 1.515151515e-4, 1.671419051e-4, 1.758897367e-4, 1.705620101e-4],
        [610, 1.181818182e-4, 1.20845825e-4, 1.65e-4, 1.65e-4],
        [850, 4.545454545e-5, 4.500721443e-5, 1.65e-4, 1.65e-4],
        [851, 4.515151515e-5, 4.481151514e-5, 1.631353928e-4, 1.631353928e-4],
        [900, 3.03030303e-5, 3.67403991e-5, 9.347519527e-5, 9.347519527e-5],
        [1000, 3e-5, 3e-5, 3e-5, 3e-5],
    ]
)
COLUMNS = [
    Linear(3e-4, **RUN),
    Cosine(3e-4, **RUN),
    InfiniteCosine(3e-4, **RUN, **PHASES),
    InfiniteInvSqrt(3e-4, **RUN, **PHASES, timescale=10),
]


@pytest.mark.parametrize("column", range(4))
def test_values_are_those_of_the_authors(column):
    # Printed with ten digits: half a unit of the last one, relative to the value.
    expected = TABLE[:, column + 1]
    assert_allclose(COLUMNS[column](TABLE[:, 0]), expected, rtol=5e-10, atol=1e-18)
    one_by_one = [COLUMNS[column](int(step)) for step in TABLE[:, 0]]
    assert_allclose(one_by_one, expected, rtol=5e-10, atol=1e-18)


def test_exponential_decay_has_the_published_constant():
    values = Exponential(3e-4, **RUN)([50, 500, 1000])
    expected = [2.9171651e-4, 2.128914635e-4, 1.500220787e-4]
    assert_allclose(values, expected, rtol=5e-9)
    assert_allclose(values[2] / 3e-4, math.exp(-0.693), rtol=1e-14)


@pytest.mark.parametrize(
    ("timescale", "expected"),
    [
        (1, [2.513395043e-4, 2.154198186e-4, 1.875030551e-4]),
        (100, [1.794838757e-4, 1.710752933e-4, 1.672793653e-4]),
    ],
)
def test_timescale_is_the_steepness_of_the_inverse_root(timescale, expected):
    schedule = InfiniteInvSqrt(3e-4, **RUN, **PHASES, timescale=timescale)
    assert_allclose(schedule([160, 310, 460]), expected, rtol=5e-10)


def test_tiny_timescale_is_a_straight_line():
    schedule = InfiniteInvSqrt(3e-4, **RUN, **PHASES, timescale=1e-300)
    assert_allclose(schedule(310), (3e-4 + 1.65e-4) / 2, rtol=1e-14)


@pytest.mark.parametrize(
    ("cls", "options", "at_ten"),
    [
        (InfiniteCosine, {}, 0.07),
        (InfiniteInvSqrt, {"timescale": 10}, 0.04916867683),
    ],
)
def test_small_run_has_the_values_of_the_authors(cls, options, at_ten):
    run = {"eta_min": 0.001, "eta_const": 0.04, "n_steps": 40}
    lengths = {"warmup": 4, "cooldown": 12, "constant": 14}
    values = cls(0.1, **run, **lengths, **options)([2, 10, 16, 30, 35, 40])
    expected = [0.05, at_ten, 0.04, 0.04, 0.00632455532, 0.001]
    assert_allclose(values, expected, rtol=5e-10)


# -------------------------------------------------------- defects that are not copied
@pytest.mark.parametrize("step", [1001, 1100, 2000, 10**9])
def test_cosine_stays_at_its_minimum_after_the_end(step):
    assert Cosine(3e-4, **RUN)(step) == 3e-5


def test_exponential_holds_its_last_value_rather_than_decaying_on():
    schedule = Exponential(3e-4, **RUN)
    assert schedule(5000) == schedule(1000)


# ---------------------------------------------------------------------------- lengths
@pytest.mark.parametrize("cls", [InfiniteCosine, InfiniteInvSqrt])
def test_shares_of_the_run_equal_steps(cls):
    shares = {"warmup": 0.01, "cooldown": 0.6, "constant": 0.24}
    steps = {"warmup": 10, "cooldown": 600, "constant": 240}
    t = np.arange(1100)
    a, b = (cls(0.1, n_steps=1000, **lengths)(t) for lengths in (shares, steps))
    assert (a == b).all()


def test_an_integer_is_steps_and_a_float_is_a_share():
    assert Linear(0.1, n_steps=100, warmup=1)(1) == 0.1
    # All of the run, so nothing would be left to decay in.
    with pytest.raises(ValueError, match=r"warmup < n_steps.* Got 100 = 100 of"):
        Linear(0.1, n_steps=100, warmup=1.0)


def test_warmup_may_be_a_fraction_of_a_step():
    schedule = Cosine(0.1, n_steps=150, warmup=0.01)
    assert_allclose(schedule(1), 0.1 / 1.5, rtol=1e-15)
    assert schedule(1.5) == 0.1


def test_no_warmup_starts_at_the_maximum():
    assert Cosine(0.1, n_steps=100, warmup=0)(0) == 0.1
    assert Cosine(0.1, n_steps=100, warmup=0).phase_at(0) == "decay"


def test_defaults_are_those_of_the_paper():
    schedule = InfiniteCosine(1.0, n_steps=1000)
    assert (schedule.eta_min, schedule.eta_const) == pytest.approx((0.1, 0.55))
    names = schedule.phase_at([0, 10, 11, 610, 611, 850, 851, 1000, 1001])
    assert names.tolist() == (
        ["warmup"] * 2 + ["cooldown"] * 2 + ["constant"] * 2 + ["anneal"] * 2 + ["end"]
    )


@pytest.mark.parametrize("cls", [InfiniteCosine, InfiniteInvSqrt])
@pytest.mark.parametrize("n_steps", [None, 200])
def test_infinite_plateau_never_ends(cls, n_steps):
    lengths = {"warmup": 10, "cooldown": 60, "constant": math.inf}
    schedule = cls(0.1, n_steps=n_steps, **lengths)
    assert schedule([70, 10**4, 10**12]).tolist() == [schedule.eta_const] * 3
    assert schedule.phase_at(10**12) == "constant"


# ------------------------------------------------------------------ constant and WSD
def test_constant_may_warm_up():
    schedule = Constant(5.0, n_steps=100, warmup=0.04)
    assert schedule([0, 1, 4, 5, 1000]).tolist() == [0.0, 1.25, 5.0, 5.0, 5.0]
    assert Constant(5.0)(0) == 5.0


@pytest.mark.parametrize(
    ("shape", "halfway"),
    [
        ("linear", 0.5 * (0.1 + 0.001)),
        ("cosine", 0.5 * (0.1 + 0.001)),
        ("exponential", math.sqrt(0.1 * 0.001)),
        ("sqrt", 0.1 - (0.1 - 0.001) * math.sqrt(0.5)),
    ],
)
def test_warmup_stable_decay_decays_only_at_the_end(shape, halfway):
    schedule = WarmupStableDecay(
        0.1, eta_min=0.001, n_steps=100, warmup=10, cooldown=20, shape=shape
    )
    values = schedule([5, 10, 80, 90, 100, 101])
    assert_allclose(values, [0.05, 0.1, 0.1, halfway, 0.001, 0.001], rtol=1e-14)
    names = schedule.phase_at([10, 11, 80, 81, 100, 101]).tolist()
    assert names == ["warmup", "stable", "stable", "decay", "decay", "end"]


def test_warmup_and_decay_may_fill_the_run():
    schedule = WarmupStableDecay(0.1, n_steps=10, warmup=0.7, cooldown=0.3)
    assert schedule([7, 10]).tolist() == [0.1, schedule.eta_min]
    assert "stable" not in schedule.phase_at(np.arange(12))


def test_warmup_stable_decay_without_decay_stays_at_its_maximum():
    assert (
        WarmupStableDecay(0.1, n_steps=10, warmup=2, cooldown=0)([9, 10, 99]).tolist()
        == [0.1] * 3
    )


# -------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("cls", "fields", "error", "message"),
    [
        (
            Constant,
            {"eta_max": 0.0},
            ValueError,
            r"'eta_max'.* > 0.* Got 0\.0; pass",
        ),
        (Constant, {"eta_max": math.nan}, ValueError, r"'eta_max'.* Got nan"),
        (Constant, {"eta_max": math.inf}, ValueError, r"finite.* Got inf"),
        (Constant, {"eta_max": "0.1"}, TypeError, r"'eta_max'.* Got '0.1' of type"),
        (Constant, {"eta_max": True}, TypeError, r"real number. Got True of type"),
        (
            Constant,
            {"warmup": 9, "n_steps": 8},
            ValueError,
            r"warmup <= n_.* 9 = 9",
        ),
        (Cosine, {"eta_min": 0.2}, ValueError, r"'eta_min'.* at most eta_max.* lower"),
        (Cosine, {"eta_min": -0.1}, ValueError, r"'eta_min'.* >= 0.* Got -0.1"),
        (Cosine, {"n_steps": 0}, ValueError, r"'n_steps'.* at least 1.* Got 0; pass"),
        (Cosine, {"n_steps": -5}, ValueError, r"'n_steps'.* Got -5"),
        (
            Cosine,
            {"n_steps": 1e3},
            TypeError,
            r"'n_steps'.* integer.* Got 1000.0; p",
        ),
        (Cosine, {"n_steps": True}, TypeError, r"'n_steps'.* Got True"),
        (Cosine, {"warmup": -1}, ValueError, r"'warmup'.* int >= 0.* Got -1; pass 0"),
        (
            Cosine,
            {"warmup": 10.0},
            ValueError,
            r"'warmup'.* \[0, 1\].* Got 10.0; wr",
        ),
        (Cosine, {"warmup": math.nan}, ValueError, r"'warmup'.* Got nan"),
        (Cosine, {"warmup": math.inf}, ValueError, r"'warmup'.* Got inf"),
        (Cosine, {"warmup": "1 %"}, TypeError, r"'warmup'.* Got '1 %'; pass one"),
        (Cosine, {"warmup": True}, TypeError, r"'warmup'.* Got True"),
        (Linear, {"warmup": 101}, ValueError, r"Linear expected warmup < n_steps"),
        (Exponential, {"warmup": 100}, ValueError, r"since its last phase needs steps"),
        (
            WarmupStableDecay,
            {"warmup": 0.5, "cooldown": 51},
            ValueError,
            r"warmup \+ cooldown <= n_steps. Got 50 \+ 51 = 101 of n_steps=100; short",
        ),
        (
            WarmupStableDecay,
            {"shape": "step"},
            ValueError,
            r"'shape'.* Got 'step'; p",
        ),
        (
            WarmupStableDecay,
            {"shape": "exponential", "eta_min": 0.0},
            ValueError,
            r"'eta_min'.* positive for an exponential decay.* shape='linear'",
        ),
        (InfiniteCosine, {"eta_min": 0.0}, ValueError, r"'eta_min'.* > 0.* Got 0.0"),
        (InfiniteCosine, {"eta_const": 0.2}, ValueError, r"'eta_const'.* most eta_max"),
        (InfiniteCosine, {"eta_const": 0.001}, ValueError, r"'eta_min'.* eta_const"),
        (InfiniteCosine, {"cooldown": 0}, ValueError, r"'cooldown'.* positive. Got 0"),
        (InfiniteCosine, {"cooldown": 0.0}, ValueError, r"'cooldown'.* positive"),
        (InfiniteCosine, {"constant": 0.39}, ValueError, r"cooldown \+ constant < n_"),
        (InfiniteCosine, {"constant": 1.5}, ValueError, r"'constant'.* or infinity"),
        (
            InfiniteCosine,
            {"constant": math.inf, "cooldown": 100},
            ValueError,
            r"warmup \+ cooldown <= n_steps. Got 1 \+ 100 = 101",
        ),
        (InfiniteInvSqrt, {"timescale": 0}, ValueError, r"'timescale'.* > 0.* Got 0.0"),
        (
            InfiniteInvSqrt,
            {"timescale": math.inf},
            ValueError,
            r"'timescale'.* Got inf",
        ),
    ],
)
def test_bad_field_is_refused_with_what_to_do(cls, fields, error, message):
    with pytest.raises(error, match=message):
        cls(**{"eta_max": 0.1, "n_steps": 100} | fields)
