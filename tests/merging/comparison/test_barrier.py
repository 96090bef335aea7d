from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

from matching_cases import A, B, cross_entropy
from statlearn.merging import (
    apply_permutation,
    interpolate,
    loss_barrier,
    match_weights,
    mlp_spec,
)

NAIVE = [2.53672199, 0.88246105, 0.68468635, 1.266301, 2.74777057]
MATCHED = [2.53672199, 2.58527835, 2.63454978, 2.68866037, 2.74777057]


def matched():
    return apply_permutation(
        mlp_spec(3), match_weights(mlp_spec(3), A, B).permutations, B
    )


@pytest.mark.parametrize(
    ("other", "losses"), [(B, NAIVE), (matched(), MATCHED)], ids=["naive", "matched"]
)
def test_losses_along_the_known_lines(other, losses):
    curve = loss_barrier(cross_entropy, A, other, 5, return_curve=True)
    np.testing.assert_allclose(curve.loss, losses, atol=5e-9)
    np.testing.assert_allclose(curve.lam, [0.0, 0.25, 0.5, 0.75, 1.0])
    chord = np.linspace(losses[0], losses[-1], 5)
    assert curve.barrier == pytest.approx(max(0.0, max(losses - chord)), abs=2e-8)


def test_line_below_its_ends_has_no_barrier():
    assert loss_barrier(cross_entropy, A, B, n_points=5) == 0.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=9))
def test_barrier_is_never_negative(losses):
    found = iter(losses)
    state = {"w": np.zeros(1)}
    assert loss_barrier(lambda _: next(found), state, state, len(losses)) >= 0.0


def test_barrier_of_a_double_well_is_its_height():
    a, b = {"w": np.array([-1.0])}, {"w": np.array([1.0])}
    curve = loss_barrier(
        lambda s: (s["w"][0] ** 2 - 1) ** 2 + s["w"][0], a, b, return_curve=True
    )
    assert curve.barrier == 1.0
    np.testing.assert_allclose(
        curve.excess, (curve.lam * 2 - 1) ** 4 - 2 * (curve.lam * 2 - 1) ** 2 + 1
    )


def test_table_shows_the_losses_and_the_barrier():
    a, b = {"w": np.array([-1.0])}, {"w": np.array([1.0])}
    curve = loss_barrier(lambda s: 1 - s["w"][0] ** 2, a, b, 3, return_curve=True)
    table = curve.summary().splitlines()
    assert table[0].split() == ["lam", "loss", "excess"]
    assert table[3].split() == ["0.5000", "1.0000", "1.0000"]
    assert table[-1] == "barrier 1.0000"


def test_infinite_loss_between_the_ends_is_an_infinite_barrier():
    losses = iter([1.0, np.inf, 1.0])
    assert loss_barrier(lambda _: next(losses), A, B, 3) == np.inf


@pytest.mark.parametrize("lam", [-0.5, 0.0, 0.3, 1.0, 2])
def test_point_on_the_line(lam):
    found = interpolate(A, B, lam)
    for name in A:
        np.testing.assert_allclose(found[name], A[name] + lam * (B[name] - A[name]))


def test_ends_are_the_networks_to_the_bit():
    rng = np.random.default_rng(0)
    a, b = ({"w": rng.normal(size=99).astype(np.float32)} for _ in range(2))
    np.testing.assert_array_equal(interpolate(a, b, 0.0)["w"], a["w"])
    np.testing.assert_array_equal(interpolate(a, b, 1.0)["w"], b["w"])
    assert interpolate(a, b, 0.5)["w"].dtype == np.float32


def test_estimators_give_estimators():
    X = np.arange(6.0)[:, None]
    a, b = Ridge().fit(X, X[:, 0]), Ridge().fit(X, 3.0 * X[:, 0])
    middle = interpolate(a, b, 0.5)
    expected = (a.predict(X) + b.predict(X)) / 2
    np.testing.assert_allclose(middle.predict(X), expected)
    assert loss_barrier(lambda m: -m.score(X, X[:, 0]), a, b, 3) == 0.0


def test_integers_come_from_the_first_and_tensors_stay_tensors(torch):
    a = {"n": torch.tensor(3), "w": torch.zeros(2, dtype=torch.bfloat16)}
    b = {"n": torch.tensor(9), "w": torch.ones(2, dtype=torch.bfloat16)}
    middle = interpolate(a, b, 0.5)
    assert middle["n"] == 3
    assert torch.equal(middle["w"], torch.full((2,), 0.5, dtype=torch.bfloat16))


def test_inputs_stay():
    before = {name: array.copy() for name, array in A.items()}
    loss_barrier(cross_entropy, A, B, 3)
    for name, array in before.items():
        np.testing.assert_array_equal(A[name], array)


@pytest.mark.parametrize(
    ("lam", "error", "message"),
    [
        (np.nan, ValueError, "'lam' of interpolate must be a finite"),
        (np.inf, ValueError, "'lam' of interpolate must be a finite"),
        ("half", TypeError, "'lam' of interpolate must be a real number"),
        ([0.5, 0.6], TypeError, "'lam' of interpolate must be a real number"),
    ],
    ids=["nan", "infinity", "word", "list"],
)
def test_positions_that_cannot_be_are_refused(lam, error, message):
    with pytest.raises(error, match=message):
        interpolate(A, B, lam)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="without \\['b2'\\]"):
        interpolate(A, {n: a for n, a in B.items() if n != "b2"}, 0.5)
    with pytest.raises(ValueError, match="'b2' must hold finite numbers"):
        interpolate(A, {**B, "b2": np.array([0.0, np.nan])}, 0.5)
    X = np.arange(6.0)[:, None]
    narrow = Ridge().fit(X, X[:, 0])
    wide = LogisticRegression().fit(np.c_[X, X**2], [0, 1] * 3)
    with pytest.raises(ValueError, match="'coef_'"):
        interpolate(narrow, wide, 0.5)


@pytest.mark.parametrize(
    ("loss", "n_points", "error", "message"),
    [
        (None, 5, TypeError, "'loss' of loss_barrier must be a function"),
        (lambda _: "low", 5, TypeError, "'loss' of loss_barrier must be a real number"),
        (lambda _: np.nan, 5, ValueError, "must be a number everywhere"),
        (lambda _: np.inf, 5, ValueError, "finite at the ends"),
        (cross_entropy, 2, ValueError, "must be an integer >= 3"),
        (cross_entropy, 5.0, ValueError, "must be an integer >= 3"),
    ],
    ids=["none", "word", "nan", "infinity", "two points", "no integer"],
)
def test_losses_and_points_that_cannot_be_are_refused(loss, n_points, error, message):
    with pytest.raises(error, match=message):
        loss_barrier(loss, A, B, n_points)
