"""Bad input is refused in three parts: what was expected, what came, what to do."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import DataConversionWarning, NotFittedError

from reweighted_oracle import PRESETS, dirty
from statlearn.linear_model import ReweightedLinearRegression
from statlearn.weights import Chain, ClipRatio, Fair, Huber, LinUpper, Temperature

X, Y = dirty()
N = len(Y)
NAMES = ["dose", "age", "time"]


def make(weighting="huber", **options):
    return ReweightedLinearRegression(weighting, **({"random_state": 0} | options))


def fit(X=X, y=Y, sample_weight=None, **options):
    return make(**options).fit(X, y, sample_weight)


def changed(values, at, value):
    out = np.array(values, dtype=float)
    out[at] = value
    return out


def refused(expected, got, remedy=""):
    return pytest.raises(ValueError, match=rf"(?s){expected}.* Got .*{got}.*{remedy}")


# --------------------------------------------------------------------------- parameters
@pytest.mark.parametrize(
    ("options", "expected", "came"),
    [
        ({"weighting": None}, r"'weighting' .* a callable", "None"),
        ({"weighting": 3}, r"'weighting' .* a callable", "3"),
        ({"solver": "lbfgs"}, r"'solver' .* among .*'sgd'", "'lbfgs'"),
        ({"scale": 0.0}, r"'scale' .* range \(0.0, inf\)", "0.0"),
        ({"scale": -1.0}, r"'scale' .* range \(0.0, inf\)", "-1.0"),
        ({"scale": np.nan}, r"'scale' .* range \(0.0, inf\)", "nan"),
        ({"scale": "sd"}, r"'scale' .* among .*'mscale'", "'sd'"),
        ({"init": "zero"}, r"'init' .* among .*'lts'", "'zero'"),
        ({"init": None}, r"'init' .* array-like", "None"),
        ({"fit_intercept": "no"}, r"'fit_intercept' .*'bool'", "'no'"),
        ({"alpha": -0.1}, r"'alpha' .* range \[0.0, inf\)", "-0.1"),
        ({"max_iter": 0}, r"'max_iter' .* range \[1, inf\)", "0"),
        ({"tol": -1.0}, r"'tol' .* range \[0.0, inf\)", "-1.0"),
        ({"damping": 0}, r"'damping' .* range \(0.0, 1.0\]", "0"),
        ({"damping": 1.5}, r"'damping' .* range \(0.0, 1.0\]", "1.5"),
        ({"batch_size": 0}, r"'batch_size' .* range \[1, inf\)", "0"),
        ({"learning_rate": 0.0}, r"'learning_rate' .* range \(0.0, inf\)", "0.0"),
        ({"warmup_iter": -1}, r"'warmup_iter' .* range \[0, inf\)", "-1"),
        ({"n_starts": 0}, r"'n_starts' .* range \[1, inf\)", "0"),
        ({"cov_type": "HC3"}, r"'cov_type' .* among .*'avar1'", "'HC3'"),
        ({"random_state": "seed"}, r"'random_state' .*Generator", "'seed'"),
    ],
)
def test_parameter_out_of_range_is_refused(options, expected, came):
    with refused(expected, came):
        fit(**options)


@pytest.mark.parametrize(
    ("options", "expected", "came", "remedy"),
    [
        ({"cov_type": "avar1"}, "'avar1'", "'huber'", "'H1'"),
        ({"weighting": "s", "cov_type": "avar1"}, "'avar1'", "'s'", "'sandwich'"),
        ({"weighting": "linupper", "cov_type": "H1"}, "'H1'", "linupper", "'sandwich'"),
        ({"weighting": LinUpper(), "cov_type": "H1"}, "'H1'", "LinUpper", "'auto'"),
        ({"weighting": "mm", "solver": "sgd"}, "'sgd'", "'mm'", "solver='auto'"),
        ({"weighting": "lts", "solver": "sgd"}, "'sgd'", "'lts'", "'bisquare'"),
    ],
    ids=str,
)
def test_options_that_do_not_go_together_are_refused(options, expected, came, remedy):
    with refused(expected, came, remedy):
        fit(**options)


# -------------------------------------------------------------------------------- rules
@pytest.mark.parametrize(
    ("name", "near"),
    [("hubr", "huber"), ("lin-uper", "linupper"), ("bisquared", "bisquare")],
)
def test_unknown_rule_is_answered_with_a_near_name(name, near):
    with refused("'weighting' .* 'mm'", name, f"did you mean {near!r}"):
        fit(weighting=name)


def test_unknown_rule_far_from_any_name_is_answered_with_all():
    with refused("'weighting' .* 'mm', 's' or 'lts'", "'zzz'", "huber.*pass one of"):
        fit(weighting="zzz")


@pytest.mark.parametrize("rule", ["temperature", Temperature(), "inverse_frequency"])
def test_rule_on_groups_is_refused(rule):
    with refused("'weighting' .* losses or residuals", "group", "sample_weight"):
        fit(weighting=rule)


@pytest.mark.parametrize("rule", ["clipratio", Chain(ClipRatio())])
def test_rule_on_weights_is_refused(rule):
    with refused("'weighting' .* losses or residuals", "weight", "sample_weight"):
        fit(weighting=rule)


@pytest.mark.parametrize("solver", ["irls", "sgd"])
def test_chain_on_residuals_is_refused(solver):
    with refused("'weighting' .* psi_prime", "Chain", "without a chain"):
        fit(weighting=Chain(Huber(), ClipRatio()), solver=solver)


def test_function_without_the_keywords_of_a_rule_is_refused():
    with pytest.raises(TypeError, match=r"rule\(evidence, \*, groups=None"):
        fit(weighting=lambda losses: losses)


@pytest.mark.parametrize("temperature", [0, 0.0, -1.0, np.nan])
@pytest.mark.parametrize("solver", ["irls", "sgd"])
def test_temperature_that_is_not_positive_is_refused(temperature, solver):
    with refused("'temperature' .* positive", str(temperature), "for example"):
        fit(weighting=LinUpper(temperature), solver=solver)


@pytest.mark.parametrize("rule", [Huber(0.0), Huber(-1.0), Fair(np.nan)], ids=str)
def test_constant_that_is_not_positive_is_refused(rule):
    with refused("'c' of .* positive", str(rule.c)):
        fit(weighting=rule)


# -------------------------------------------------------------------------------- start
@pytest.mark.parametrize(
    ("init", "came"),
    [
        ([0.0, 0.0, 0.0], r"shape \(3,\)"),
        (np.zeros((1, 4)), r"shape \(1, 4\)"),
        ([0.0, 0.0, 0.0, np.nan], "1 of them not finite"),
        ([0.0, np.inf, 0.0, np.nan], "2 of them not finite"),
        (["a", "b", "c", "d"], "not finite"),
        ([0.0, 0.0, 0.0, 1j], "not finite"),
        ([[0.0], [0.0, 0.0]], "not finite"),
    ],
    ids=str,
)
@pytest.mark.parametrize("solver", ["irls", "sgd"])
def test_start_of_the_wrong_shape_or_without_a_number_is_refused(init, came, solver):
    with refused("'init' .* 4 finite coefficients, the intercept first", came, "'ols'"):
        fit(init=init, solver=solver)
    with refused("'init' .* 3 finite coefficients", "shape", "'lad'"):
        fit(init=np.zeros(4), fit_intercept=False)


# ------------------------------------------------------------------------------ columns
SINGULAR = {
    "duplicate": (np.column_stack((X, X[:, 1])), "'extra', .* combination of 'age'"),
    "sum": (np.column_stack((X, X.sum(axis=1))), "'extra', .* 'dose', 'age', 'time'"),
    "constant": (np.column_stack((X, np.full(N, 0.1))), "'extra', .* 'intercept'"),
    "zero": (np.column_stack((X, np.zeros(N))), "'extra', .* 'intercept'"),
}


@pytest.mark.parametrize("weighting", ["huber", "linupper", *PRESETS])
@pytest.mark.parametrize("table", SINGULAR)
def test_dependent_columns_are_named(weighting, table):
    columns, words = SINGULAR[table]
    for frame in (pd.DataFrame, lambda X, columns: pl.DataFrame(X, schema=columns)):
        data = frame(columns, columns=[*NAMES, "extra"])
        with refused("linearly independent columns", words, "alpha > 0"):
            fit(data, weighting=weighting)
    with refused("linearly independent columns", "'x3', ", "drop one"):
        fit(columns, weighting=weighting)


def test_column_of_zeros_without_an_intercept_is_named_as_such():
    with refused("linearly independent", "'x3', which is zero", "alpha > 0"):
        fit(SINGULAR["zero"][0], fit_intercept=False)


def test_column_that_is_constant_where_rows_count_is_named():
    column = np.r_[1.0, np.zeros(N - 1)]
    weight = np.r_[0.0, np.ones(N - 1)]
    fit(np.column_stack((X, column)))
    with refused("linearly independent", "'x3', .* 'intercept'"):
        fit(np.column_stack((X, column)), sample_weight=weight)


@pytest.mark.parametrize("weighting", ["huber", "linupper", *PRESETS])
@pytest.mark.parametrize("n", [1, 3, 4])
def test_no_more_rows_than_coefficients_are_refused(weighting, n):
    with refused("more rows .* than coefficients, 4", f"= {n}", "alpha > 0"):
        fit(X[:n], Y[:n], weighting=weighting)
    weight = np.r_[np.ones(n), np.zeros(N - n)]
    with refused("more rows of positive weight", f"= {n}", "add rows"):
        fit(sample_weight=weight, weighting=weighting)


@pytest.mark.parametrize(
    "options",
    [
        {"weighting": "mm"},
        {"weighting": "s"},
        {"weighting": "lts"},
        {"init": "s"},
        {"init": "lts"},
        {"scale": "proposal2"},
        {"scale": "mscale"},
        {"weighting": "linupper", "scale": "mscale"},
    ],
    ids=str,
)
def test_degrees_of_freedom_that_do_not_exist_are_asked_for(options):
    with refused("'sample_weight' .* more than the 4", "3.5", "add rows"):
        fit(sample_weight=np.full(N, 3.5 / N), **options)
    if options.get("weighting") in PRESETS:
        return
    with refused("'sample_weight' .* more than the 4", "3", "add rows"):
        fit(X[:3], Y[:3], alpha=1.0, **options)


# ------------------------------------------------------------------------------ weights
@pytest.mark.parametrize(
    ("weight", "problem"),
    [
        (changed(np.ones(N), 3, -1.0), "Negative"),
        (np.zeros(N), "non-zero"),
        (changed(np.ones(N), 3, np.nan), "NaN"),
        (changed(np.ones(N), 3, np.inf), "infinity"),
        (np.ones(N - 1), r"\(59,\)"),
        (np.ones((N, 1)), "2D"),
        (["a"] * N, "string"),
    ],
    ids=["negative", "zero", "nan", "inf", "short", "table", "text"],
)
@pytest.mark.parametrize("weighting", ["huber", "linupper", "mm"])
def test_weights_that_count_no_rows_are_refused(weight, problem, weighting):
    expected = "'sample_weight' .* one finite number >= 0 for each row"
    with refused(expected, problem, "pass None"):
        fit(sample_weight=weight, weighting=weighting)


# --------------------------------------------------------------------------------- data
@pytest.mark.parametrize(
    ("table", "response", "message"),
    [
        (changed(X, (2, 1), np.nan), Y, "X contains NaN"),
        (changed(X, (2, 1), np.inf), Y, "X contains infinity"),
        (X, changed(Y, 2, np.nan), "y contains NaN"),
        (X, changed(Y, 2, -np.inf), "y contains infinity"),
        (X, np.column_stack((Y, Y)), r"y should be a 1d array.*\(60, 2\)"),
        (X, Y[:-1], "inconsistent numbers of samples"),
        (X, None, "requires y"),
        (X[:, 0], Y, "Expected 2D array"),
        (X[:, :0], Y, r"0 feature\(s\)"),
        (X[:0], Y[:0], r"0 sample\(s\)"),
        (np.full((N, 2), "a"), Y, "could not convert"),
        (X, Y + 1j, "Complex"),
    ],
)
def test_unusable_data_are_refused(table, response, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make().fit(table, response)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_table_is_refused_with_the_way_out(form):
    with pytest.raises(TypeError, match=r"Sparse data .* X.* dense .* '.toarray\(\)'"):
        fit(form(X))
    with pytest.raises(TypeError, match="toarray"):
        fit().predict(form(X))


def test_column_of_responses_is_taken_with_a_warning():
    with pytest.warns(DataConversionWarning, match="1d array"):
        model = fit(y=Y[:, None])
    assert_array_equal(model.coef_, fit().coef_)


# -------------------------------------------------------------------------- after a fit
@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.predict(X),
        lambda model: model.outliers(),
        lambda model: model.conf_int(),
        lambda model: model.wald_table(),
        lambda model: model.summary(),
    ],
    ids=["predict", "outliers", "conf_int", "wald_table", "summary"],
)
def test_model_has_to_be_fitted_first(use):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        use(make())


def test_new_rows_need_the_columns_of_the_fit():
    model = fit(pd.DataFrame(X, columns=NAMES))
    with pytest.raises(ValueError, match=r"2 features, but .* expecting 3"):
        fit().predict(X[:, :2])
    with pytest.raises(ValueError, match="feature names"):
        model.predict(pd.DataFrame(X, columns=NAMES[::-1]))
    with pytest.raises(ValueError, match="NaN"):
        fit().predict(changed(X, (0, 0), np.nan))


@pytest.mark.parametrize("threshold", [0, -1.0, np.nan, np.inf])
def test_threshold_that_is_not_positive_is_refused(threshold):
    with refused("'threshold' .* finite number > 0", str(threshold), "for example 2.5"):
        fit().outliers(threshold)


@pytest.mark.parametrize("coverage", [0, 1, -0.5, 95, np.nan])
@pytest.mark.parametrize("method", ["conf_int", "wald_table", "summary"])
def test_coverage_outside_of_the_unit_interval_is_refused(coverage, method):
    what = r"'coverage' of ReweightedLinearRegression must lie in \(0, 1\)"
    with refused(what, str(coverage), "divide percentages by 100"):
        getattr(fit(), method)(coverage)


@pytest.mark.parametrize("value", ["0.9", None, True, [0.9]], ids=range(4))
def test_coverage_and_threshold_that_are_no_numbers_are_refused(value):
    for method in ("conf_int", "wald_table", "summary"):
        with pytest.raises(
            TypeError, match=r"'coverage' of Rew.* must be a real number"
        ):
            getattr(fit(), method)(value)
    with pytest.raises(TypeError, match=r"'threshold' of \w+.outliers must be a real"):
        fit().outliers(value)


def test_standard_errors_that_were_not_asked_for_are_missed():
    with refused("'cov_type'", "cov_type=None", "cov_type='auto'"):
        fit(cov_type=None).wald_table()


# ----------------------------------------------------------------- what is the caller's
@pytest.mark.parametrize("weighting", ["huber", "linupper", *PRESETS])
@pytest.mark.parametrize("solver", ["irls", "sgd"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_nothing_of_the_callers_is_changed(weighting, solver):
    if solver == "sgd" and weighting in PRESETS:
        solver = "auto"
    weight = np.linspace(0.0, 2.0, N)
    init = np.ones(4)
    before = copy.deepcopy((X, Y, weight, init))
    model = make(weighting, init=init, solver=solver, max_iter=50)
    params = copy.deepcopy(model.get_params())
    model.fit(X, Y, weight).predict(X)
    model.outliers()
    for now, then in zip((X, Y, weight, init), before, strict=True):
        assert_array_equal(now, then)
    assert str(model.get_params()) == str(params)


def test_refused_fit_leaves_no_half_of_a_model():
    model = make()
    with pytest.raises(ValueError, match="linearly independent"):
        model.fit(SINGULAR["sum"][0], Y)
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "weights_")


@pytest.mark.parametrize("value", [np.nan, -1.0])
@pytest.mark.parametrize("solver", ["irls", "sgd"])
def test_function_that_gives_no_weights_is_refused(value, solver):
    def rule(evidence, *, groups=None, base_weight=None, step=None):
        return np.full(len(evidence), value)

    X = np.arange(12.0).reshape(6, 2) ** 2
    with pytest.raises(ValueError, match="'weighting' of ReweightedLinearRegression"):
        ReweightedLinearRegression(rule, solver=solver).fit(X, X[:, 0])
