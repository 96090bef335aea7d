"""Stochastic descent: its gradients, its batches, and when it ends."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge

from reweighted_oracle import RULES, counts, dirty, full_coef, rel, with_ones
from statlearn.exceptions import ExactFitWarning
from statlearn.linear_model import ReweightedLinearRegression
from statlearn.linear_model._sgd import sgd_steps
from statlearn.weights import Extremes, Huber, LinUpper, Quadratic, SelfPaced, Uniform

LINE = with_ones(np.arange(10.0)[:, None])
ERRORS = [0.1, -0.2, 0.3, 0.0, -0.1, 0.2, -0.3, 0.1, 0.05, 15.0]
LINE_Y = 2.0 * np.arange(10.0) + 1.0 + ERRORS
X, Y = dirty(9, n=120, n_outliers=0)
too_short = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def steps(rule, columns=LINE, y=LINE_Y, base=None, **options):
    options = {
        "penalty": np.zeros(columns.shape[1]),
        "batch_size": len(y),
        "learning_rate": 1.0,
        "warmup": 0,
        "generator": np.random.default_rng(0),
        "start": np.zeros(columns.shape[1]),
    } | options
    start = options.pop("start")
    return sgd_steps(columns, y, base, rule, start, **options)


def fit(weighting="uniform", X=X, y=Y, sample_weight=None, **options):
    options = {"solver": "sgd", "random_state": 0} | options
    return ReweightedLinearRegression(weighting, **options).fit(X, y, sample_weight)


# ------------------------------------------------------------------------ the gradients
@pytest.mark.parametrize(
    ("rule", "gradient"),
    [
        (LinUpper(0.4), (-21.1780178993, -173.2987502369)),
        (Quadratic(0.4), (-13.1202286740, -88.9846691441)),
        (Extremes(0.4), (-10.9351913182, -71.5003080263)),
    ],
    ids=["linupper", "quadratic", "extremes"],
)
def test_first_step_is_the_known_gradient(rule, gradient):
    coef, loss, ends = next(steps(rule))
    assert_allclose(-coef, gradient, rtol=1e-10)
    assert_allclose(loss, 0.5 * np.mean(LINE_Y**2))
    assert ends


def test_step_of_a_rule_on_residuals_is_the_mean_score():
    scale = 1.482602218505602 * np.median(np.abs(LINE_Y))
    scores = np.clip(LINE_Y, -1.345 * scale, 1.345 * scale)
    coef, _, _ = next(steps(Huber(1.345)))
    assert_allclose(coef, LINE.T @ scores / 10, rtol=1e-12)


def test_penalty_pulls_the_coefficients():
    start = np.array([1.0, 2.0])
    plain, _, _ = next(steps(Uniform(), start=start))
    pulled, _, _ = next(steps(Uniform(), start=start, penalty=np.array([0.0, 0.3])))
    assert_allclose(pulled - plain, [0.0, -0.6], atol=1e-12)


def test_an_epoch_draws_every_row_once():
    seen = []

    def watch(losses, *, groups=None, base_weight=None, step=None):
        seen.append(losses)
        return np.zeros(len(losses))

    y = np.sqrt(2.0 * np.arange(1.0, 11.0))
    run = steps(watch, y=y, batch_size=4)
    ends = [end for _, _, end in islice(run, 6)]
    assert ends == [False, False, True] * 2
    assert [len(batch) for batch in seen] == [4, 4, 2] * 2
    for epoch in (seen[:3], seen[3:]):
        assert_allclose(np.sort(np.concatenate(epoch)), np.arange(1.0, 11.0))
    assert not np.array_equal(seen[0], seen[3])


def test_losses_of_an_epoch_average_to_those_of_its_rows():
    base = np.arange(1.0, 11.0)
    run = steps(Uniform(), base=base, batch_size=3, learning_rate=1e-300)
    losses = [loss for _, loss, _ in islice(run, 4)]
    assert_allclose(np.mean(losses), np.average(0.5 * LINE_Y**2, weights=base))


def test_warm_up_counts_epochs_and_steps_begin_after_it():
    seen = []

    def watch(losses, *, groups=None, base_weight=None, step=None):
        seen.append(step)
        return np.ones(len(losses))

    list(islice(steps(watch, batch_size=5, warmup=2, learning_rate=1e-3), 4))
    assert seen == []
    list(islice(steps(watch, batch_size=5, warmup=2, learning_rate=1e-3), 7))
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("rule", [Uniform(), LinUpper(), Huber()], ids=str)
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_scale_of_the_base_weights_does_not_matter(rule, factor):
    base = np.linspace(0.5, 2.0, 10)
    run = {"batch_size": 4, "learning_rate": 0.01}
    first = [c.copy() for c, _, _ in islice(steps(rule, base=base, **run), 6)]
    second = [c.copy() for c, _, _ in islice(steps(rule, base=factor * base, **run), 6)]
    assert_allclose(second, first, rtol=1e-10)


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_mean_step_of_an_epoch_is_the_weighted_gradient(batch_size):
    base = counts(1, 10) + 1.0
    moved, n_epochs = np.zeros(2), 400
    rate = 1e-12
    n_steps = -(-10 // batch_size) * n_epochs
    run = steps(Uniform(), base=base, batch_size=batch_size, learning_rate=rate)
    for coef, _, _ in islice(run, n_steps):
        moved = coef
    expected = LINE.T @ (base * LINE_Y) / base.sum()
    assert_allclose(moved / (rate * n_steps), expected, rtol=0.05)


# ------------------------------------------------------------------------ the estimator
@too_short
@pytest.mark.parametrize("weighting", RULES)
def test_every_rule_descends(weighting):
    model = fit(weighting, max_iter=5)
    assert np.isfinite(full_coef(model)).all()
    assert model.objective_path_.shape == (5,)
    assert model.n_iter_ == 5
    assert_array_equal(model.init_coef_, 0.0)


def test_same_seed_gives_the_same_descent():
    first, second, other = (fit("linupper", random_state=s) for s in (0, 0, 1))
    assert_array_equal(first.coef_, second.coef_)
    assert_array_equal(first.objective_path_, second.objective_path_)
    assert not np.array_equal(first.coef_, other.coef_)


def test_full_batches_end_at_least_squares():
    model = fit(batch_size=len(Y), learning_rate=0.5, max_iter=1000, tol=1e-14)
    assert model.converged_
    assert_allclose(model.coef_, LinearRegression().fit(X, Y).coef_, rtol=1e-5)
    assert (np.diff(model.objective_path_[:10]) < 0).all()


@pytest.mark.parametrize("alpha", [0.2, 2.0])
def test_full_batches_with_a_penalty_end_at_ridge(alpha):
    weight = counts(3, len(Y)) + 1.0
    options = {"batch_size": len(Y), "learning_rate": 0.2, "max_iter": 2000}
    model = fit(sample_weight=weight, alpha=alpha, tol=1e-15, **options)
    ridge = Ridge(alpha=weight.sum() * alpha).fit(X, Y, sample_weight=weight)
    assert_allclose(model.coef_, ridge.coef_, rtol=1e-5)


@too_short
@pytest.mark.parametrize("batch_size", [1, 16])
def test_sample_weights_count_whatever_the_batch(batch_size):
    y = Y.copy()
    y[:60] += 10.0 * X[:60, 0]
    weight = np.r_[np.full(60, 9.0), np.ones(60)]
    options = {"learning_rate": 0.002, "max_iter": 300, "batch_size": batch_size}
    model = fit(y=y, sample_weight=weight, **options)
    expected = LinearRegression().fit(X, y, sample_weight=weight)
    plain = LinearRegression().fit(X, y)
    near = abs(model.coef_[0] - expected.coef_[0])
    assert near < 0.25 * abs(model.coef_[0] - plain.coef_[0])


def test_descent_with_huber_ignores_outliers():
    X, y = dirty(10, n=300, n_outliers=30, shift=30.0)
    robust, plain = fit("huber", X, y), fit("uniform", X, y)
    assert abs(robust.intercept_ - 1.0) < 0.6 < abs(plain.intercept_ - 1.0)
    assert robust.outliers()[:30].all()
    u = robust.residuals_ / robust.scale_
    assert_allclose(robust.weights_, Huber().weight(u))


def test_array_is_where_descent_starts():
    start = [1.0, 2.0, 3.0, 4.0]
    model = fit(init=start, learning_rate=1e-300, max_iter=20)
    assert_allclose(model.init_coef_, start, rtol=1e-12)
    assert_allclose(full_coef(model), start, rtol=1e-12)


def test_descent_stops_five_epochs_after_its_best():
    model = fit(learning_rate=0.3, max_iter=500)
    path = model.objective_path_
    assert model.converged_
    assert model.n_iter_ == len(path) < 500
    assert np.argmin(path) == len(path) - 6


def test_last_epoch_warns_if_the_loss_still_falls():
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        model = fit(learning_rate=1e-3, max_iter=3)
    assert not model.converged_


@pytest.mark.parametrize(
    "weighting",
    ["uniform", "linupper", "huber", "cvar", "trimmed", "kltilt", "focal"],
)
@pytest.mark.parametrize("learning_rate", [1e50, 1e100])
def test_overflow_is_an_error_that_names_the_learning_rate(weighting, learning_rate):
    with pytest.raises(
        ValueError, match=r"stay finite.* Got .*learning_rate=.*; scale"
    ):
        fit(weighting, 100.0 * X, Y, learning_rate=learning_rate)


@pytest.mark.filterwarnings("ignore::statlearn.exceptions.DegenerateWeightsWarning")
def test_divergence_that_never_overflows_is_no_convergence():
    for rule in (Uniform(), Huber(), SelfPaced()):
        with pytest.warns(ConvergenceWarning, match="expected to reach"):
            model = fit(rule, 100.0 * X, Y, learning_rate=1.0)
        assert not model.converged_
        assert model.objective_path_[-1] > 1e6


def test_descent_refuses_columns_without_a_unique_fit():
    with pytest.raises(ValueError, match="linearly independent"):
        fit(X=np.column_stack((X, X[:, 0])))


def test_half_of_the_rows_on_the_start_are_an_exact_fit():
    y = np.r_[np.zeros(100), np.ones(20)]
    with pytest.warns(ExactFitWarning, match="plane through 100 of 120 rows"):
        model = fit("huber", y=y)
    assert model.scale_ == 0.0
    assert_array_equal(model.weights_, y == 0.0)


@too_short
def test_intercept_can_be_left_out():
    model = fit(fit_intercept=False, max_iter=3)
    assert model.intercept_ == 0.0
    assert model.init_coef_.shape == (3,)
    assert rel(model.coef_, np.linspace(1.0, -2.0, 3)) < 0.8


def test_schedule_of_the_temperature_reaches_its_end():
    rule = LinUpper(temperature=lambda step: 10.0 / (1 + step) + 0.4)
    model = ReweightedLinearRegression(
        rule, solver="sgd", max_iter=3, tol=0.0, batch_size=20, random_state=0
    )
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    y = X @ [1.0, 2.0] + rng.normal(size=50)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    # Three epochs of three batches: the last step is number 8.
    expected = rule(0.5 * model.residuals_**2, step=8)
    np.testing.assert_allclose(model.weights_, expected)
