"""Linear quantile regression against R, statsmodels, scikit-learn and its own laws."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor

from statlearn.quantile import LinearQuantileRegression

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "reference" / "quantile_rq.json").read_text("utf-8")
)
LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9]


def table(name):
    data = REFERENCE["data"][name]
    return tuple(np.array(data[key]) for key in ("X", "y", "sample_weight"))


def full_coef(model, row=0):
    return np.r_[model.intercept_[row], model.coef_[row]]


def objective(model, X, y, row=0, sample_weight=None, alpha=0.0):
    """Mean pinball loss of a level and the penalty, by their definition."""
    e = y - X @ model.coef_[row] - model.intercept_[row]
    level = model.levels_[row]
    loss = np.maximum(level * e, (level - 1.0) * e)
    penalty = alpha * np.abs(model.coef_[row]).sum()
    return np.average(loss, weights=sample_weight) + penalty


def spread_sample(n, p, seed):
    """Rows whose errors are spread more where the first column is large."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    spread = 0.5 + np.abs(X[:, 0])
    return X, X @ np.linspace(-1.0, 2.0, p) + spread * rng.standard_t(4, size=n)


def names_of(records):
    return [
        f"{r['table']}-{r['level']}{'-weighted' * bool(r.get('weighted'))}"
        f"{'-alpha ' + str(r['alpha']) if 'alpha' in r else ''}"
        for r in records
    ]


# -- known answers -------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["interior-point", "highs"])
@pytest.mark.parametrize("fit", REFERENCE["fits"], ids=names_of(REFERENCE["fits"]))
def test_coefficients_are_those_of_r(fit, solver):
    X, y, weight = table(fit["table"])
    weight = weight if fit["weighted"] else None
    model = LinearQuantileRegression([fit["level"]], solver=solver).fit(X, y, weight)
    np.testing.assert_allclose(full_coef(model), fit["coef"], rtol=1e-9, atol=1e-9)
    assert model.objective_[0] == pytest.approx(fit["objective"], rel=1e-12)
    assert model.duality_gap_[0] <= 1e-9 * fit["objective"]


def test_engel_medians_are_the_published_ones():
    X, y, _ = table("engel")
    model = LinearQuantileRegression([0.5]).fit(X, y)
    np.testing.assert_allclose(full_coef(model), [81.4822, 0.5602], atol=5e-5)


def test_many_levels_at_once_are_the_same_as_each_alone():
    X, y, _ = table("sim")
    together = LinearQuantileRegression(LEVELS).fit(X, y)
    for row, level in enumerate(LEVELS):
        alone = LinearQuantileRegression([level]).fit(X, y)
        np.testing.assert_allclose(
            full_coef(together, row), full_coef(alone), rtol=1e-10
        )
        np.testing.assert_allclose(together.bse_[row], alone.bse_[0], rtol=1e-8)


@pytest.mark.parametrize("fit", REFERENCE["lasso"], ids=names_of(REFERENCE["lasso"]))
def test_penalised_objectives_are_those_of_r(fit):
    X, y, _ = table(fit["table"])
    model = LinearQuantileRegression([fit["level"]], alpha=fit["alpha"]).fit(X, y)
    found = objective(model, X, y, alpha=fit["alpha"])
    assert model.objective_[0] == pytest.approx(found, rel=1e-12)
    # R stops at a relative gap of 1e-6 or so, and ours is never above.
    assert found <= fit["objective"] * (1.0 + 1e-12)
    assert found == pytest.approx(fit["objective"], rel=1e-8)
    zero = np.abs(fit["coef"][1:]) < 1e-9
    np.testing.assert_array_equal(model.coef_[0] == 0.0, zero)


@pytest.mark.parametrize("alpha", [0.0, 0.02])
@pytest.mark.parametrize("intercept", [True, False])
def test_objectives_are_those_of_scikit_learn(alpha, intercept):
    X, y = spread_sample(120, 4, seed=3)
    weight = np.random.default_rng(0).integers(0, 4, size=120)
    model = LinearQuantileRegression(LEVELS, alpha=alpha, fit_intercept=intercept)
    model.fit(X, y, sample_weight=weight)
    for row, level in enumerate(LEVELS):
        peer = QuantileRegressor(
            quantile=level, alpha=alpha, fit_intercept=intercept
        ).fit(X, y, sample_weight=weight)
        e = y - peer.predict(X)
        loss = np.maximum(level * e, (level - 1.0) * e)
        theirs = np.average(loss, weights=weight) + alpha * np.abs(peer.coef_).sum()
        assert model.objective_[row] == pytest.approx(theirs, rel=1e-8)
        np.testing.assert_allclose(
            objective(model, X, y, row, weight, alpha), theirs, rtol=1e-8
        )


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
def test_coefficients_are_near_those_of_statsmodels_and_lose_less(level):
    X, y, _ = table("engel")
    peer = sm.QuantReg(y, sm.add_constant(X)).fit(level, max_iter=5000)
    model = LinearQuantileRegression([level]).fit(X, y)
    np.testing.assert_allclose(full_coef(model), peer.params, rtol=1e-4)
    e = peer.resid
    theirs = np.maximum(level * e, (level - 1.0) * e).mean()
    assert model.objective_[0] <= theirs


# -- laws ----------------------------------------------------------------------------


@given(seed=st.integers(0, 2**20), p=st.integers(1, 4), level=st.floats(0.03, 0.97))
def test_whole_weights_are_repeated_rows(seed, p, level):
    rng = np.random.default_rng(seed)
    X, y = spread_sample(40, p, seed)
    count = rng.integers(0, 4, size=40)
    count[: 2 * p + 4] += 1
    weighted = LinearQuantileRegression([level]).fit(X, y, sample_weight=count)
    repeated = LinearQuantileRegression([level]).fit(
        np.repeat(X, count, axis=0), np.repeat(y, count)
    )
    np.testing.assert_allclose(
        weighted.objective_, repeated.objective_, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(full_coef(weighted), full_coef(repeated), atol=1e-7)
    np.testing.assert_allclose(weighted.bse_, repeated.bse_, rtol=1e-6)


def test_rows_of_zero_weight_are_ignored():
    X, y, _ = table("sim")
    weight = np.ones(len(y))
    weight[::7] = 0.0
    wild = y.copy()
    wild[::7] = 1e9
    model = LinearQuantileRegression().fit(X, wild, sample_weight=weight)
    other = LinearQuantileRegression().fit(X[weight > 0], y[weight > 0])
    np.testing.assert_array_equal(model.coef_, other.coef_)
    np.testing.assert_array_equal(model.bse_, other.bse_)


@given(
    seed=st.integers(0, 2**20),
    scale=st.sampled_from([1e-10, 1e-3, 1.0, 1e10]),
    column=st.sampled_from([1e-10, 1.0, 1e10]),
)
def test_fits_follow_scales_and_shifts_of_the_data(seed, scale, column):
    X, y = spread_sample(60, 3, seed)
    plain = LinearQuantileRegression([0.2, 0.7]).fit(X, y)
    factor = np.array([column, 1.0, 2.0])
    shift = np.array([0.0, 3.0, -5.0]) * factor
    moved = LinearQuantileRegression([0.2, 0.7]).fit(
        X * factor + shift, scale * (y + X[:, 1])
    )
    wanted = scale * (plain.coef_ + np.array([0.0, 1.0, 0.0])) / factor
    np.testing.assert_allclose(moved.coef_ * factor, wanted * factor, rtol=1e-6)
    np.testing.assert_allclose(moved.objective_, scale * plain.objective_, rtol=1e-9)
    np.testing.assert_allclose(
        moved.bse_[:, 1:] * factor, scale * plain.bse_[:, 1:], rtol=1e-6
    )


@pytest.mark.parametrize("level", [0.2, 0.5, 0.9])
def test_a_constant_column_alone_gives_the_quantile(level):
    y = np.random.default_rng(0).normal(size=101)
    model = LinearQuantileRegression([level]).fit(np.full((101, 1), 7.0), y)
    assert model.intercept_[0] == pytest.approx(
        np.sort(y)[int(np.ceil(101 * level)) - 1]
    )
    assert model.coef_[0, 0] == 0.0


def test_the_share_of_rows_below_the_fit_is_the_level():
    X, y = spread_sample(500, 5, seed=1)
    model = LinearQuantileRegression(LEVELS).fit(X, y)
    e = y[:, None] - model.predict_quantiles(X)
    below = (e < -1e-9).mean(axis=0)
    not_above = (e < 1e-9).mean(axis=0)
    assert (below <= LEVELS).all()
    assert (not_above >= LEVELS).all()
    # A vertex passes through as many rows as there are coefficients.
    np.testing.assert_array_equal((np.abs(e) < 1e-9).sum(axis=0), 6)


# -- degenerate data -----------------------------------------------------------------


def best_objective(X, y, level, alpha=0.0):
    peer = QuantileRegressor(quantile=level, alpha=alpha).fit(X, y)
    e = y - peer.predict(X)
    loss = np.maximum(level * e, (level - 1.0) * e).mean()
    return loss + alpha * np.abs(peer.coef_).sum()


def degenerate(name):
    rng = np.random.default_rng(5)
    X, y = spread_sample(60, 3, seed=8)
    if name == "copy of a column":
        return np.column_stack((X, X[:, 1])), y
    if name == "combination":
        return np.column_stack((X, X @ [1.0, -2.0, 0.5])), y
    if name == "constant column":
        return np.column_stack((X, np.full(60, 3.0))), y
    if name == "zero column":
        return np.column_stack((X, np.zeros(60))), y
    if name == "ties":
        return rng.integers(0, 3, size=(60, 3)).astype(float), np.round(y)
    if name == "dummies":
        return np.eye(4)[rng.integers(0, 4, size=60)], np.round(y, 1)
    if name == "constant y":
        return X, np.full(60, 2.5)
    if name == "two rows twice":
        return np.repeat(X[:2], 2, axis=0), np.array([1.0, 2.0, 3.0, 5.0])
    raise ValueError(name)


DEGENERATE = [
    "copy of a column",
    "combination",
    "constant column",
    "zero column",
    "ties",
    "dummies",
    "constant y",
    "two rows twice",
]


@pytest.mark.parametrize("alpha", [0.0, 0.01])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_problems_reach_the_optimum(name, alpha):
    X, y = degenerate(name)
    model = LinearQuantileRegression([0.1, 0.5, 0.8], alpha=alpha).fit(X, y)
    assert np.isfinite(model.coef_).all()
    for row, level in enumerate(model.levels_):
        best = best_objective(X, y, level, alpha)
        assert model.objective_[row] == pytest.approx(best, rel=1e-8, abs=1e-12)
        found = objective(model, X, y, row, alpha=alpha)
        assert found == pytest.approx(best, rel=1e-8, abs=1e-12)


def test_coefficients_of_dependent_columns_share_and_have_no_errors():
    X, y = degenerate("copy of a column")
    model = LinearQuantileRegression([0.5]).fit(X, y)
    assert model.coef_[0, 1] == pytest.approx(model.coef_[0, 3])
    np.testing.assert_array_equal(
        np.isinf(model.bse_[0]), [False, False, True, False, True]
    )
    assert "not determined by the data" in model.summary()


def test_more_columns_than_rows_give_the_shortest_interpolation():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 20)), rng.normal(size=8)
    model = LinearQuantileRegression([0.3, 0.6]).fit(X, y)
    np.testing.assert_allclose(model.predict_quantiles(X), np.c_[y, y], atol=1e-10)
    np.testing.assert_allclose(model.objective_, 0.0, atol=1e-12)
    # In units of the columns: the largest distance from their mean.
    inner = X - X.mean(axis=0)
    size = np.abs(inner).max(axis=0)
    shortest = np.linalg.pinv(inner / size) @ (y - y.mean())
    np.testing.assert_allclose(model.coef_, np.tile(shortest / size, (2, 1)), rtol=1e-8)
    assert not np.isfinite(model.bse_).any()


def test_one_row_is_interpolated():
    model = LinearQuantileRegression().fit([[1.0, 2.0]], [3.0])
    np.testing.assert_array_equal(model.coef_, np.zeros((3, 2)))
    np.testing.assert_array_equal(model.intercept_, [3.0, 3.0, 3.0])


def test_nothing_but_zeros_predicts_zero():
    y = np.array([1.0, -2.0, 4.0])
    model = LinearQuantileRegression([0.5], fit_intercept=False)
    model.fit(np.zeros((3, 2)), y)
    np.testing.assert_array_equal(model.predict(np.ones((1, 2))), [0.0])
    assert model.objective_[0] == pytest.approx(7.0 / 6.0)
    assert np.isinf(model.bse_).all()


def test_single_precision_is_computed_in_double():
    X, y = spread_sample(80, 3, seed=2)
    X32, y32 = X.astype(np.float32), y.astype(np.float32)
    model = LinearQuantileRegression().fit(X32, y32)
    other = LinearQuantileRegression().fit(X32.astype(float), y32.astype(float))
    assert model.coef_.dtype == np.float64
    np.testing.assert_array_equal(model.coef_, other.coef_)


def test_inputs_are_not_changed():
    X, y = spread_sample(50, 3, seed=4)
    weight = np.arange(50.0)
    copies = X.copy(), y.copy(), weight.copy()
    LinearQuantileRegression(alpha=0.01).fit(X, y, weight)
    LinearQuantileRegression(non_crossing=True).fit(X, y, weight)
    for now, before in zip((X, y, weight), copies, strict=True):
        np.testing.assert_array_equal(now, before)


def test_a_short_iteration_warns_and_keeps_an_honest_gap():
    X, y = spread_sample(300, 5, seed=6)
    model = LinearQuantileRegression([0.05, 0.5], max_iter=2)
    with pytest.warns(ConvergenceWarning, match="within max_iter=2 at every level"):
        model.fit(X, y)
    best = LinearQuantileRegression([0.05, 0.5]).fit(X, y).objective_
    assert (model.objective_ - model.duality_gap_ <= best * (1.0 + 1e-12)).all()


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e200])
@pytest.mark.parametrize("of", ["y", "X"])
def test_errors_have_the_units_of_the_data_however_large(unit, of):
    X, y = spread_sample(300, 3, seed=6)
    plain = LinearQuantileRegression([0.2, 0.5]).fit(X, y).bse_
    factor = np.ones(4)
    if of == "y":
        factor[:], y = unit, unit * y
    else:
        factor[1], X = 1.0 / unit, X * np.array([unit, 1.0, 1.0])
    found = LinearQuantileRegression([0.2, 0.5]).fit(X, y).bse_
    np.testing.assert_allclose(found / factor, plain, rtol=1e-6)


@pytest.mark.parametrize("level", [0.001, 0.999])
def test_levels_next_to_zero_and_one_take_few_steps_on_many_rows(level):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30_000, 10))
    y = X.sum(axis=1) + rng.standard_t(3, size=30_000)
    model = LinearQuantileRegression([level], max_iter=60, cov_type=None).fit(X, y)
    assert model.duality_gap_[0] <= 1e-9 * model.objective_[0]


@pytest.mark.parametrize(("solver", "other"), [("auto", "highs")])
def test_advice_names_another_solver(solver, other):
    X, y = spread_sample(300, 5, seed=6)
    model = LinearQuantileRegression([0.5], max_iter=1, solver=solver)
    with pytest.warns(ConvergenceWarning, match=f"or use solver='{other}'"):
        model.fit(X, y)


# -- order ---------------------------------------------------------------------------


def crossing_sample():
    rng = np.random.default_rng(11)
    X = rng.uniform(-1.0, 1.0, size=(60, 3))
    return X, X @ [1.0, 0.5, 0.0] + rng.normal(size=60)


CLOSE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_free_quantiles_may_cross_and_ordered_ones_do_not_in_the_rows_and_between():
    X, y = crossing_sample()
    free = LinearQuantileRegression(CLOSE).fit(X, y)
    assert (np.diff(free.predict_quantiles(X), axis=1) < -0.01).any()
    model = LinearQuantileRegression(CLOSE, non_crossing=True).fit(X, y)
    rng = np.random.default_rng(0)
    between = rng.dirichlet(np.full(60, 0.1), size=500) @ X
    for rows in (X, between):
        assert np.diff(model.predict_quantiles(rows), axis=1).min() >= -1e-8


def test_quantiles_in_order_in_the_box_do_not_cross_at_its_corners():
    X, y = crossing_sample()
    model = LinearQuantileRegression(CLOSE, non_crossing="box").fit(X, y)
    ends = np.array([X.min(axis=0), X.max(axis=0)])
    corners = np.array(np.meshgrid(*ends.T)).reshape(3, -1).T
    assert np.diff(model.predict_quantiles(corners), axis=1).min() >= -1e-8
    rows = LinearQuantileRegression(CLOSE, non_crossing=True).fit(X, y)
    assert np.diff(rows.predict_quantiles(corners), axis=1).min() < -1e-3
    assert rows.objective_.sum() < model.objective_.sum()


@pytest.mark.parametrize("how", [True, "box"], ids=["rows", "box"])
@pytest.mark.parametrize("alpha", [0.0, 0.01])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_joint_fit_is_that_of_a_convex_solver(how, alpha, intercept):
    cp = pytest.importorskip("cvxpy")
    X, y = crossing_sample()
    weight = np.random.default_rng(2).integers(1, 4, size=60).astype(float)
    levels = np.array([0.2, 0.3, 0.4, 0.5, 0.6])
    model = LinearQuantileRegression(
        levels, alpha=alpha, fit_intercept=intercept, non_crossing=how
    ).fit(X, y, sample_weight=weight)
    points = X
    if how == "box":
        ends = np.array([X.min(axis=0), X.max(axis=0)])
        points = np.array(np.meshgrid(*ends.T)).reshape(3, -1).T
    b, a = cp.Variable((5, 3)), cp.Variable(5)
    loss, rules = 0.0, [] if intercept else [a == 0]
    for k, level in enumerate(levels):
        e = y - X @ b[k] - a[k]
        parts = cp.maximum(level * e, (level - 1.0) * e)
        loss += weight @ parts / weight.sum() + alpha * cp.norm1(b[k])
        if k:
            rules.append(points @ (b[k] - b[k - 1]) + a[k] - a[k - 1] >= 0)
    problem = cp.Problem(cp.Minimize(loss), rules)
    problem.solve(solver=cp.CLARABEL)
    assert model.objective_.sum() == pytest.approx(problem.value, rel=1e-7)
    found = [objective(model, X, y, k, weight, alpha) for k in range(5)]
    np.testing.assert_allclose(model.objective_, found, rtol=1e-12)
    assert (model.duality_gap_ <= 1e-8 * problem.value).all()


def test_order_costs_nothing_where_free_quantiles_keep_it():
    X, y = spread_sample(400, 1, seed=0)
    free = LinearQuantileRegression().fit(np.abs(X), y)
    model = LinearQuantileRegression(non_crossing=True).fit(np.abs(X), y)
    np.testing.assert_array_equal(model.coef_, free.coef_)


# -- reading the fit -----------------------------------------------------------------


def test_the_table_of_a_level_holds_its_coefficients_and_errors():
    X, y, _ = table("sim")
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = LinearQuantileRegression(LEVELS).fit(frame, y)
    found = model.wald_table(0.9, coverage=0.8)
    assert found.names.tolist() == ["intercept", "a", "b", "c", "d"]
    np.testing.assert_array_equal(found.estimate, full_coef(model, 4))
    np.testing.assert_array_equal(found.bse, model.bse_[4])
    half = 1.2815515655446004 * model.bse_[4]
    np.testing.assert_allclose(model.conf_int(0.9, 0.8)[:, 1], found.estimate + half)
    np.testing.assert_allclose(model.bse_[4] ** 2, np.diag(model.cov_[4]))


def test_the_summary_has_a_block_for_each_level():
    X, y, _ = table("sim")
    text = LinearQuantileRegression(LEVELS).fit(X, y).summary()
    assert text.count("mean pinball loss") == len(LEVELS)
    assert text.count("intercept") == len(LEVELS)
    assert "x3" in text


@pytest.mark.parametrize(
    ("params", "call", "message"),
    [
        ({}, {"level": 0.4}, "'level' of LinearQuantileRegression must be one of its"),
        ({}, {"coverage": 95}, "'coverage' of LinearQuantileRegression must lie in"),
        ({"alpha": 0.1}, {}, "expected alpha=0 and a 'cov_type' for standard errors"),
        ({"cov_type": None}, {}, "Got alpha=0 and cov_type=None in this fit"),
    ],
    ids=["level", "coverage", "penalty", "no covariance"],
)
def test_tables_that_cannot_be_made_say_why(params, call, message):
    X, y, _ = table("sim")
    model = LinearQuantileRegression(**params).fit(X, y)
    with pytest.raises(ValueError, match=message):
        model.wald_table(**call)


@pytest.mark.parametrize("coverage", ["0.9", None, True])
@pytest.mark.parametrize("method", ["conf_int", "wald_table", "summary"])
def test_coverage_that_is_no_number_is_refused(coverage, method):
    X, y, _ = table("sim")
    model = LinearQuantileRegression().fit(X, y)
    with pytest.raises(TypeError, match=r"'coverage' of Linear.* be a real number"):
        getattr(model, method)(coverage=coverage)


def test_bootstrap_errors_follow_the_seed_and_not_the_scale():
    X, y, _ = table("engel")
    fits = [
        LinearQuantileRegression(
            [0.5], cov_type="bootstrap", n_bootstrap=30, random_state=seed
        ).fit(X, y * factor)
        for seed, factor in ((0, 1.0), (0, 1e3), (1, 1.0))
    ]
    np.testing.assert_allclose(fits[1].bse_, 1e3 * fits[0].bse_, rtol=1e-3)
    assert not np.array_equal(fits[0].bse_, fits[2].bse_)


# -- contract ------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [[0.5, 0.1], [0.5, 0.5], [0.0, 0.5], [10, 50], []])
def test_bad_levels_are_refused(levels):
    X, y, _ = table("sim")
    with pytest.raises(ValueError, match="'levels' of LinearQuantileRegression must"):
        LinearQuantileRegression(levels).fit(X, y)


def test_sparse_rows_are_refused():
    X, y, _ = table("sim")
    with pytest.raises(TypeError, match="dense data is required"):
        LinearQuantileRegression().fit(sparse.csr_array(X), y)


def test_negative_weights_are_refused():
    X, y, _ = table("sim")
    message = "'sample_weight' parameter of LinearQuantileRegression must hold one"
    with pytest.raises(ValueError, match=re.escape(message)):
        LinearQuantileRegression().fit(X, y, sample_weight=-np.ones(len(y)))


@pytest.mark.parametrize(
    "frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"]
)
def test_names_of_columns_are_kept(frame):
    X, y, _ = table("sim")
    columns = {name: X[:, j] for j, name in enumerate("abcd")}
    model = LinearQuantileRegression().fit(frame(columns), y)
    assert model.feature_names_in_.tolist() == list("abcd")


def test_pickled_and_cloned_models_predict_the_same():
    X, y, _ = table("sim")
    model = LinearQuantileRegression(LEVELS).fit(X, y)
    grid = model.predict_quantiles(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_quantiles(X), grid)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_quantiles(X), grid)
    np.testing.assert_array_equal(model.predict(X), grid[:, 2])
    np.testing.assert_array_equal(model.predict_interval(X), grid[:, [0, 4]])
