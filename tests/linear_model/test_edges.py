"""Tables at the edge: exact fits, ties, few rows, other containers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression

from reweighted_oracle import LOSS_RULES, PRESETS, RESIDUAL_RULES, dirty, full_coef, rel
from statlearn.exceptions import ExactFitWarning
from statlearn.linear_model import ReweightedLinearRegression

X, Y = dirty()
N = len(Y)
LINE = np.arange(20.0)[:, None]
# Three quarters of the rows lie on 1 + 2 x.
BROKEN = 2.0 * LINE[:, 0] + 1.0
BROKEN[15:] += [5.0, 7.0, -3.0, 9.0, 100.0]
exact = pytest.warns(ExactFitWarning, match="Got a plane through")
REDESCENDING = ["andrews", "bisquare", "gemanmcclure", "hampel", "welsch", *PRESETS]


def fit(weighting="huber", X=X, y=Y, sample_weight=None, **options):
    model = ReweightedLinearRegression(weighting, **({"random_state": 0} | options))
    return model.fit(X, y, sample_weight)


# --------------------------------------------------------------------------- exact fits
@pytest.mark.parametrize("weighting", REDESCENDING)
@pytest.mark.parametrize("unit", [1.0, 1e-120, 1e120])
def test_plane_through_most_rows_is_the_fit(weighting, unit):
    with pytest.warns(ExactFitWarning, match=r"plane through 15 of 20 rows.*scale=<"):
        model = fit(weighting, LINE, unit * BROKEN)
    assert_allclose(full_coef(model), [unit, 2.0 * unit], rtol=1e-9)
    assert model.scale_ == 0.0
    assert_array_equal(model.weights_, np.arange(20) < 15)
    assert np.isnan(model.bse_).all()
    assert model.converged_
    assert_array_equal(model.outliers(), np.arange(20) >= 15)
    assert "5" in model.summary().splitlines()[2].split()


@pytest.mark.parametrize("weighting", REDESCENDING)
def test_number_as_scale_fits_a_broken_line_with_standard_errors(weighting):
    if weighting in PRESETS:
        return
    model = fit(weighting, LINE, BROKEN, scale=0.1, init="s")
    assert_allclose(full_coef(model), [1.0, 2.0], rtol=1e-3)
    assert np.isfinite(model.bse_).all()


def test_weight_decides_what_half_of_the_rows_is():
    weight = np.where(np.arange(20) < 15, 0.1, 1.0)
    assert fit("bisquare", LINE, BROKEN, weight).scale_ > 0.0
    with exact:
        model = fit("mm", LINE, BROKEN, 1.0 / weight)
    assert model.scale_ == 0.0


@pytest.mark.parametrize("weighting", [*RESIDUAL_RULES, *PRESETS])
@pytest.mark.parametrize("scale", ["mad", "proposal2", "mscale"])
@pytest.mark.parametrize(
    ("y", "coef"),
    [
        (np.full(N, 3.3), [3.3, 0.0, 0.0, 0.0]),
        (np.zeros(N), [0.0, 0.0, 0.0, 0.0]),
        (1.7 + X @ [1.0, 2.0, 3.0], [1.7, 1.0, 2.0, 3.0]),
    ],
    ids=["constant", "zero", "plane"],
)
def test_rows_on_one_plane_are_fitted_exactly(weighting, scale, y, coef):
    with pytest.warns(ExactFitWarning, match=f"plane through {N} of {N} rows"):
        model = fit(weighting, y=y, scale=scale)
    assert_allclose(full_coef(model), coef, atol=1e-12)
    assert_array_equal(model.weights_, 1.0)
    assert model.scale_ == 0.0
    assert not model.outliers().any()
    assert_allclose(model.predict(X), y, atol=1e-12)


@pytest.mark.parametrize("weighting", [w for w in LOSS_RULES if w != "cvar"])
@pytest.mark.parametrize("slopes", [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
def test_rules_on_losses_settle_on_a_plane_too(weighting, slopes):
    y = 1.7 + X @ slopes
    model = fit(weighting, y=y)
    assert model.converged_
    assert_allclose(full_coef(model), [1.7, *slopes], atol=1e-11)
    assert np.isfinite(model.weights_).all()


@pytest.mark.parametrize("weighting", ["huber", "bisquare"])
def test_known_scale_makes_an_exact_fit_ordinary(weighting):
    model = fit(weighting, y=1.7 + X @ [1.0, 2.0, 3.0], scale=1.0)
    assert_allclose(full_coef(model), [1.7, 1.0, 2.0, 3.0])
    assert_allclose(model.bse_, 0.0, atol=1e-12)


# --------------------------------------------------------------------------- odd tables
@pytest.mark.parametrize("weighting", ["huber", "linupper", *PRESETS])
def test_one_column_is_enough(weighting):
    model = fit(weighting, X[:, :1])
    assert model.coef_.shape == (1,)
    assert model.predict(X[:, :1]).shape == (N,)
    through = fit(weighting, X[:, :1], fit_intercept=False)
    assert through.cov_.shape == (1, 1)


@pytest.mark.parametrize("weighting", [*RESIDUAL_RULES, *PRESETS])
def test_dummy_columns_are_fitted(weighting):
    group = np.arange(N) % 4
    dummies = (group[:, None] == [1, 2, 3]).astype(float)
    y = np.random.default_rng(0).normal(size=N) + group
    y[:3] += 50.0
    model = fit(weighting, dummies, y)
    assert_allclose(model.coef_, [1.0, 2.0, 3.0], atol=1.3)
    assert model.outliers()[:3].all()


def test_rare_dummy_does_not_stop_a_search():
    rare = (np.arange(N) < 2).astype(float)
    for weighting in PRESETS:
        model = fit(weighting, np.column_stack((X, rare)), n_starts=50)
        assert np.isfinite(full_coef(model)).all()


@pytest.mark.parametrize("weighting", ["huber", "logistic", "bisquare", *PRESETS])
def test_heavily_tied_responses_are_fitted(weighting):
    x = np.repeat(np.arange(6.0), 10)[:, None]
    y = x[:, 0] + np.tile([-1.0, 0.0, 1.0, 0.0, 1.0, -1.0, 1.0, -1.0, 2.0, -2.0], 6)
    model = fit(weighting, x, y)
    assert_allclose(full_coef(model), [0.0, 1.0], atol=0.5)
    for rows in (y - x[:, 0] == 1.0, y - x[:, 0] == -2.0):
        at = rows & (x[:, 0] == 2.0)
        assert np.ptp(model.weights_[at]) == 0.0


@pytest.mark.parametrize("weighting", ["huber", "fair", "uniform", "mm", "s"])
@pytest.mark.filterwarnings("ignore::statlearn.exceptions.ExactFitWarning")
def test_one_row_more_than_coefficients_is_enough(weighting):
    rows = slice(10, 15)
    model = fit(weighting, X[rows], Y[rows], max_iter=2000)
    assert np.isfinite(full_coef(model)).all()
    assert_allclose(model.predict(X[rows]), Y[rows], atol=4.0)


def test_every_row_twice_is_the_same_fit_with_smaller_errors():
    double = np.repeat(X, 2, axis=0), np.repeat(Y, 2)
    for weighting in ("huber", "linupper", "lts"):
        once, twice = fit(weighting), fit(weighting, *double)
        assert_allclose(twice.weights_[::2], twice.weights_[1::2], rtol=1e-9)
        if weighting != "lts":
            assert rel(full_coef(twice), full_coef(once)) < 1e-7
            assert (twice.bse_ < once.bse_).all()


@pytest.mark.parametrize("weighting", [*PRESETS, "bisquare"])
@pytest.mark.parametrize("size", [1e20, 1e150, 1e200])
def test_how_far_a_row_is_away_does_not_matter(weighting, size):
    fits = []
    for response in (1e6, -size, size):
        y = Y.copy()
        y[7] = response
        model = fit(weighting, y=y, init="s")
        assert model.scale_ > 0.5
        assert model.weights_[7] == 0.0
        assert model.outliers()[7]
        fits.append(full_coef(model))
    assert rel(fits[1], fits[2]) < 1e-6
    assert rel(fits[0], fits[2]) < 1e-6


def test_means_far_from_zero_lose_no_digits():
    plain, far = fit("mm"), fit("mm", X + 1e7, Y + 1e7)
    assert rel(far.coef_, plain.coef_) < 1e-6
    assert_allclose(far.bse_[1:], plain.bse_[1:], rtol=1e-6)


@pytest.mark.parametrize("n", [5000])
def test_many_rows_are_fitted_by_a_search_on_some(n):
    X, y = dirty(11, n=n, p=4, n_outliers=n // 4, shift=20.0)
    for weighting in PRESETS:
        model = fit(weighting, X, y, n_starts=50)
        assert_allclose(full_coef(model), [1.0, *np.linspace(1.0, -2.0, 4)], atol=0.2)
        assert model.outliers()[: n // 4].all()


# --------------------------------------------------------------------------- containers
@pytest.mark.parametrize("weighting", ["huber", "linupper", "mm"])
@pytest.mark.parametrize(
    "container",
    [
        np.asfortranarray,
        lambda X: X[::-1][::-1],
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.tolist(),
        lambda X: X.astype(object),
        lambda X: pd.DataFrame(X, columns=["a", "b", "c"]),
        lambda X: pl.DataFrame(X, schema=["a", "b", "c"]),
    ],
    ids=["fortran", "reversed", "strided", "list", "object", "pandas", "polars"],
)
def test_container_of_the_table_does_not_matter(weighting, container):
    table = container(X)
    model = fit(weighting, table)
    assert rel(full_coef(model), full_coef(fit(weighting))) < 1e-12
    assert_allclose(model.predict(table), fit(weighting).predict(X), rtol=1e-12)


@pytest.mark.parametrize(
    "response", [pd.Series, pl.Series, list, lambda y: y.astype(object)]
)
def test_container_of_the_responses_does_not_matter(response):
    model = fit(y=response(Y), sample_weight=response(np.ones(N)))
    assert rel(full_coef(model), full_coef(fit())) < 1e-12


@pytest.mark.parametrize("weighting", ["huber", "linupper", *PRESETS])
def test_frozen_arrays_can_be_fitted(weighting):
    frozen = [values.copy() for values in (X, Y, np.ones(N))]
    for values in frozen:
        values.flags.writeable = False
    model = fit(weighting, *frozen, init=np.zeros(4))
    assert np.isfinite(model.predict(frozen[0])).all()


def test_single_precision_is_computed_in_double():
    X32, y32 = X.astype(np.float32), Y.astype(np.float32)
    for weighting in ("huber", "mm"):
        model = fit(weighting, X32, y32)
        double = fit(weighting, X32.astype(float), y32.astype(float))
        assert_array_equal(model.coef_, double.coef_)
        assert model.coef_.dtype == model.predict(X32).dtype == np.float64


def test_integers_and_booleans_are_numbers():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, size=(50, 2))
    y = counts @ [2, 3] + rng.integers(-2, 3, size=50)
    model = fit("uniform", counts, y)
    assert_allclose(model.coef_, LinearRegression().fit(counts, y).coef_)
    weight = np.r_[np.zeros(5, dtype=bool), np.ones(45, dtype=bool)]
    kept = fit("huber", counts, y, weight)
    assert_allclose(kept.coef_, fit("huber", counts[5:], y[5:]).coef_)


def test_names_of_frames_reach_tables_and_predictions():
    for frame in (
        pd.DataFrame(X, columns=["dose", "age", "time"]),
        pl.DataFrame(X, schema=["dose", "age", "time"]),
    ):
        model = fit("mm", frame)
        assert_array_equal(model.feature_names_in_, ["dose", "age", "time"])
        for name in ("intercept", "dose", "age", "time"):
            assert name in model.summary()
    assert "x2" in fit("mm").summary()
