"""Fits weighted towards target rows."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import spearmanr
from sklearn.base import clone, is_classifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.compose import CovariateShift
from statlearn.exceptions import DegenerateWeightsWarning, StatlearnWarning
from statlearn.weights import effective_sample_size

METHODS = ("kliep", "ulsif", "logistic")
RNG = np.random.default_rng(3)
X = RNG.normal(0.0, 1.0, (800, 1))
Z = RNG.normal(0.8, 0.8, (500, 1))
Y = X[:, 0] ** 2 + 0.1 * RNG.normal(size=800)


def ratio_at(x):
    """Ratio of the two normal densities."""
    return np.exp(0.5 * x**2 - 0.5 * ((x - 0.8) / 0.8) ** 2) / 0.8


def model(method="kliep", **options):
    return CovariateShift(LinearRegression(), method, random_state=0, **options)


# -------------------------------------------------------------------------- the weights
@pytest.mark.parametrize(("method", "error"), [("kliep", 0.35), ("ulsif", 0.35)])
def test_ratio_of_two_normal_samples_is_found(method, error):
    found = model(method).fit(X, Y, X_target=Z).predict_weights(X)
    exact = ratio_at(X[:, 0])
    # Error of the ratio relative to that of weights of one.
    off = np.mean((found - exact) ** 2) / np.mean((1.0 - exact) ** 2)
    assert off < error**2


def test_logistic_ratio_is_exact_for_a_shift_of_the_mean():
    target = np.random.default_rng(0).normal(0.8, 1.0, (800, 1))
    found = model("logistic").fit(X, Y, X_target=target).predict_weights(X)
    exact = np.exp(0.8 * X[:, 0] - 0.32)
    assert spearmanr(found, exact)[0] > 0.999
    assert np.mean((found - exact) ** 2) < 0.05 * np.mean((1.0 - exact) ** 2)


@pytest.mark.parametrize("method", METHODS)
def test_weighted_means_of_training_rows_are_those_of_the_target(method):
    fitted = model(method).fit(X, Y, X_target=Z)
    mean = np.average(X[:, 0], weights=fitted.weights_)
    # The log ratio is no line here, since the variances differ: "logistic" is off.
    assert mean == pytest.approx(Z.mean(), abs=0.2 if method == "logistic" else 0.1)
    assert fitted.weights_.sum() == pytest.approx(800)
    assert_allclose(fitted.predict_weights(X), fitted.weights_)
    assert fitted.ess_ == pytest.approx(effective_sample_size(fitted.weights_))


@pytest.mark.parametrize("method", METHODS)
def test_no_shift_gives_nearly_equal_weights(method):
    target = np.random.default_rng(0).normal(size=(500, 1))
    fitted = model(method).fit(X, Y, X_target=target)
    assert fitted.ess_ > 0.85 * 800


@pytest.mark.parametrize("method", METHODS)
def test_weights_do_not_depend_on_the_units_of_columns(method):
    wide = np.column_stack((X, RNG.normal(size=800)))
    target = np.column_stack((Z, RNG.normal(size=500)))
    units = np.array([1e-3, 1e5])
    plain = model(method).fit(wide, Y, X_target=target)
    scaled = model(method).fit(wide * units + 7, Y, X_target=target * units + 7)
    assert_allclose(scaled.weights_, plain.weights_, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_integer_weight_is_repetition_for_given_options(method):
    counts = np.arange(800) % 3
    fitted = model(method, gamma=0.5, alpha=0.1)
    weighted = clone(fitted).fit(X, Y, X_target=Z, sample_weight=counts)
    rows = np.repeat(np.arange(800), counts)
    repeated = clone(fitted).fit(X[rows], Y[rows], X_target=Z)
    assert_allclose(weighted.predict_weights(X), repeated.predict_weights(X), rtol=1e-5)
    assert_allclose(weighted.estimator_.coef_, repeated.estimator_.coef_, rtol=1e-6)
    assert_allclose(weighted.weights_[counts == 0], 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_scale_of_base_weights_is_kept_and_changes_no_ratio(method):
    base = np.linspace(0.1, 1.0, 800)
    small = model(method).fit(X, Y, X_target=Z, sample_weight=base / 1e3)
    large = model(method).fit(X, Y, X_target=Z, sample_weight=base)
    assert_allclose(small.predict_weights(Z), large.predict_weights(Z), rtol=1e-6)
    assert small.weights_.sum() == pytest.approx(base.sum() / 1e3)


def test_clip_bounds_the_ratio():
    bounded = model(clip=1.5).fit(X, Y, X_target=Z)
    free = model().fit(X, Y, X_target=Z)
    ratio = np.minimum(free.predict_weights(X), 1.5)
    assert_allclose(bounded.weights_, ratio / ratio.mean(), rtol=1e-6)
    assert bounded.ess_ > free.ess_


def test_same_seed_gives_the_same_weights():
    fits = [model().fit(X, Y, X_target=Z).weights_ for _ in range(2)]
    assert_allclose(fits[0], fits[1], rtol=0)


def test_options_chosen_are_kept():
    kernels = model("ulsif").fit(X, Y, X_target=Z)
    assert kernels.gamma_ > 0.0
    assert kernels.alpha_ > 0.0
    line = model("logistic", alpha=0.3).fit(X, Y, X_target=Z)
    assert (line.gamma_, line.alpha_) == (None, 0.3)
    assert model(gamma=0.7).fit(X, Y, X_target=Z).gamma_ == 0.7


def test_constant_column_changes_nothing():
    flat = np.full((800, 1), 0.1), np.full((500, 1), 0.1)
    with_flat = model("logistic").fit(
        np.hstack((X, flat[0])), Y, X_target=np.hstack((Z, flat[1]))
    )
    plain = model("logistic").fit(X, Y, X_target=Z)
    assert_allclose(with_flat.weights_, plain.weights_, rtol=1e-5)


# ------------------------------------------------------------------------------ the fit
@pytest.mark.parametrize("method", METHODS)
def test_weights_repair_a_line_through_a_curve(method):
    truth = Z[:, 0] ** 2
    plain = LinearRegression().fit(X, Y)
    weighted = model(method).fit(X, Y, X_target=Z)
    best = LinearRegression().fit(Z, truth)
    error = {
        name: np.mean((m.predict(Z) - truth) ** 2)
        for name, m in {"plain": plain, "weighted": weighted, "best": best}.items()
    }
    assert error["plain"] > 2.0 * error["best"]
    assert error["weighted"] < 1.3 * error["best"]


def test_classifier_delegates_what_it_has():
    label = (Y > 0.5).astype(int)
    fitted = CovariateShift(LogisticRegression(), "logistic", random_state=0)
    fitted.fit(X, label, X_target=Z)
    assert is_classifier(fitted)
    assert_allclose(fitted.classes_, [0, 1])
    assert_allclose(fitted.predict_proba(Z), fitted.estimator_.predict_proba(Z))
    direct = LogisticRegression().fit(X, label, sample_weight=fitted.weights_)
    assert_allclose(fitted.estimator_.coef_, direct.coef_, rtol=1e-6)


def test_frames_keep_their_names():
    names = ["a"]
    fitted = CovariateShift(make_pipeline(StandardScaler(), LinearRegression()))
    fitted.set_params(random_state=0, n_kernels=20)
    fitted.fit(
        pd.DataFrame(X, columns=names), Y, X_target=pd.DataFrame(Z, columns=names)
    )
    assert list(fitted.feature_names_in_) == names
    with pytest.raises(ValueError, match=r"'X_target' .* of X"):
        fitted.fit(
            pd.DataFrame(X, columns=names), Y, X_target=pd.DataFrame(Z, columns=["b"])
        )


def test_fitted_model_survives_pickling():
    fitted = model().fit(X, Y, X_target=Z)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_allclose(loaded.predict_weights(Z), fitted.predict_weights(Z), rtol=0)


# ---------------------------------------------------------------------------- bad input
def test_missing_target_rows_are_announced():
    with pytest.warns(StatlearnWarning, match="expected X_target"):
        fitted = model().fit(X, Y)
    assert_allclose(fitted.weights_, 1.0)
    assert_allclose(fitted.predict_weights(Z), 1.0)
    assert_allclose(fitted.estimator_.coef_, LinearRegression().fit(X, Y).coef_)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.zeros((0, 1)), "0 sample"),
        (np.zeros((1, 1)), "at least 2 rows"),
        (np.zeros((5, 3)), "with the 1 columns of X.*X has 3 features"),
        (np.full((5, 1), np.nan), "contains NaN"),
    ],
    ids=["empty", "one row", "other columns", "missing values"],
)
def test_bad_target_rows_are_refused(target, message):
    with pytest.raises(ValueError, match=rf"'X_target' parameter.*{message}"):
        model().fit(X, Y, X_target=target)


def test_single_training_row_has_no_ratio():
    weight = np.zeros(800)
    weight[3] = 1.0
    with pytest.raises(ValueError, match="at least 2 training rows"):
        model().fit(X, Y, X_target=Z, sample_weight=weight)


def test_estimator_without_weights_is_refused():
    with pytest.raises(TypeError, match="Got KNeighborsRegressor"):
        CovariateShift(KNeighborsRegressor()).fit(X, Y, X_target=Z)


@pytest.mark.parametrize("method", METHODS)
def test_samples_that_hardly_overlap_are_announced(method):
    with pytest.warns(DegenerateWeightsWarning, match="effective sample size"):
        fitted = model(method, gamma=20.0).fit(X, Y, X_target=Z + 4.0)
    assert fitted.ess_ < 15.0


@pytest.mark.parametrize("method", ["kliep", "ulsif"])
def test_samples_without_overlap_are_refused(method):
    with (
        pytest.warns(DegenerateWeightsWarning, match="without overlap"),
        pytest.raises(ValueError, match="near"),
    ):
        model(method, gamma=1e5).fit(X, Y, X_target=Z + 1e3)


@pytest.mark.parametrize("method", METHODS)
def test_column_in_which_samples_lie_apart_is_named(method):
    noise = np.random.default_rng(0).normal(size=(800, 1))
    rows = pd.DataFrame(np.hstack([noise, X]), columns=["noise", "place"])
    target = pd.DataFrame(np.hstack([noise[:500], Z + 50.0]), columns=rows.columns)
    with pytest.warns(DegenerateWeightsWarning, match="overlap in column 'place'"):
        model(method).fit(rows, Y, X_target=target)
    with pytest.warns(DegenerateWeightsWarning, match="overlap in column 'x1'"):
        model(method).fit(rows.to_numpy(), Y, X_target=target.to_numpy())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [2.0**530, 2.0**-560], ids=["huge", "tiny"])
def test_weights_stay_where_squares_overflow_or_vanish(method, factor):
    weights = model(method).fit(X, Y, X_target=Z).weights_
    scaled = model(method).fit(X * factor, Y, X_target=Z * factor).weights_
    assert_allclose(scaled, weights, rtol=1e-9)
