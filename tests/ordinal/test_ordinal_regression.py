"""OrdinalRegression: estimates, covariance, names, and what data cannot determine."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from ordinal_cases import each_direction, repeated, table, wine
from ordinal_numeric import flat_model
from ordinal_oracle import FAMILIES, LINKS, random_problem
from statlearn.exceptions import (
    CollinearityWarning,
    EmptyClassWarning,
    SeparationWarning,
    StatlearnWarning,
)
from statlearn.ordinal import OrdinalRegression, _inference

TIGHT = 1e-12
PATTERNS = {
    "parallel": (True, True, True),
    "partial": (True, False, True),
    "free": (False, False, False),
}


def data(seed=0, **options):
    problem = random_problem(seed, n=options.pop("n", 300), alpha=0.0, **options)
    return problem.X, problem.y


def columns_of(pattern):
    return [int(j) for j in np.flatnonzero(pattern)]


def quiet(model, *args, **options):
    """Fit without listening to warnings that another test is about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*args, **options)


# --------------------------------------------------------------- known answers
def test_wine_has_the_published_estimates_and_errors():
    X, y, w = wine()
    model = OrdinalRegression(tol=TIGHT).fit(X, y, sample_weight=w)
    published = [-1.344383411, 1.250808798, 3.466886926, 5.006404204]
    assert_allclose(model.params_[:4], published, atol=1e-9, rtol=0)
    # published slopes are subtracted from the thresholds
    assert_allclose(model.params_[4:], [-2.503102008, -1.527797658], atol=1e-9)
    assert_allclose(model.bse_[4:], [0.5286801, 0.4766226], atol=1e-7)
    assert_allclose(model.loglik_, -86.49192337, atol=1e-8)
    assert_allclose(model.aic_, 2 * 86.49192337 + 2 * 6, atol=1e-7)
    assert_allclose(model.bic_, 2 * 86.49192337 + np.log(72) * 6, atol=1e-7)
    assert model.n_obs_ == 72
    assert model.df_model_ == 2


# ------------------------------------------------------------ covariance witness
@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@each_direction
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_covariance_inverts_the_numerical_information(family, link, reverse, pattern):
    X, y = data(3, n=400, p=3, spread=0.3)
    kind = {"family": family, "link": link, "reverse": reverse}
    parallel = columns_of(pattern)
    model = OrdinalRegression(parallel=parallel, tol=TIGHT, **kind).fit(X, y)
    numeric = flat_model(X, y, pattern, **kind)
    assert_allclose(model.loglik_, numeric.loglik(model.params_), rtol=1e-10)
    assert_allclose(numeric.score(model.params_), 0.0, atol=1e-6)
    expected = np.linalg.inv(numeric.information(model.params_))
    se = np.sqrt(np.diag(expected))
    assert_allclose(model.bse_, se, rtol=1e-6)
    unit = np.outer(se, se)
    assert_allclose(model.cov_ / unit, expected / unit, atol=1e-6)


def test_covariance_of_far_and_badly_scaled_columns_is_that_of_raw_columns():
    X, y = data(1)
    shift, scale = np.array([0.1, -50.0, 0.0]), np.array([1e-3, 1.0, 1e4])
    near = OrdinalRegression(parallel=[0], tol=TIGHT).fit(X, y)
    far = OrdinalRegression(parallel=[0], tol=TIGHT).fit(X * scale + shift, y)
    m = len(near.intercept_)
    owner = np.array([0, 1, 1, 1, 2, 2, 2])
    assert_allclose(far.params_[m:], near.params_[m:] / scale[owner], rtol=1e-7)
    assert_allclose(far.bse_[m:], near.bse_[m:] / scale[owner], rtol=1e-7)
    # intercept at the old origin: a + slope * shift / scale
    move = np.zeros((m, len(owner)))
    for i, j in enumerate(owner):
        rows = slice(None) if j == 0 else i - 1 - 3 * (j == 2)
        move[rows, i] = shift[j]
    jacobian = np.hstack([np.eye(m), move])
    back = jacobian @ far.cov_ @ jacobian.T
    assert_allclose(back, near.cov_[:m, :m], rtol=1e-5, atol=1e-9)


def test_ridge_covariance_inverts_the_penalised_information():
    X, y = data(2)
    model = OrdinalRegression(parallel=[1], penalty="l2", alpha=0.05, tol=TIGHT)
    model.fit(X, y)
    numeric = flat_model(X, y, np.array([False, True, False]))
    m, sd = 3, X.std(axis=0)
    # each slope vector is the lower triangle of its differences
    to_difference = np.eye(m) - np.eye(m, k=-1)
    ridge = np.zeros((len(model.params_), len(model.params_)))
    for block, j in ((slice(3, 6), 0), (slice(7, 10), 2)):
        ridge[block, block] = to_difference.T @ to_difference * sd[j] ** 2
    ridge[6, 6] = sd[1] ** 2
    ridge *= 0.05 * len(y)
    score = numeric.score(model.params_) - ridge @ model.params_
    assert_allclose(score, 0.0, atol=1e-7)
    information = numeric.information(model.params_)
    penalised = np.linalg.inv(information + ridge)
    assert_allclose(model.cov_, penalised, rtol=1e-6, atol=1e-9)
    effective = np.trace(penalised @ information)
    assert_allclose(model.df_model_, effective - m, rtol=1e-6)
    assert_allclose(model.aic_, -2 * model.loglik_ + 2 * effective, rtol=1e-8)


def test_ridge_of_strength_zero_is_maximum_likelihood():
    X, y = data(2)
    plain = OrdinalRegression().fit(X, y)
    idle = OrdinalRegression(penalty="l2", alpha=0.0).fit(X, y)
    assert_allclose(idle.params_, plain.params_, rtol=1e-9)
    assert_allclose(idle.bse_, plain.bse_, rtol=1e-9)


# ----------------------------------------------------------------- other programs
@pytest.mark.parametrize("link", ["logit", "probit"])
def test_ordered_model_of_statsmodels_agrees(link):
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    X, y = data(5)
    model = OrdinalRegression(link=link).fit(X, y)
    peer = OrderedModel(y, X, distr=link)
    start = np.concatenate((-model.coef_[0], model.intercept_[:1]))
    start = np.concatenate((start, np.log(np.diff(model.intercept_))))
    fit = peer.fit(method="bfgs", disp=False, start_params=start * 1.01, gtol=1e-8)
    assert_allclose(model.loglik_, fit.llf, rtol=1e-9)
    assert_allclose(-model.coef_[0], fit.params[:3], atol=1e-4)
    assert_allclose(model.bse_[-3:], fit.bse[:3], rtol=1e-3)


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize(("link", "peer"), [("logit", "Logit"), ("probit", "Probit")])
def test_two_classes_are_a_binary_regression_with_flipped_signs(link, peer, parallel):
    import statsmodels.api as sm

    X, y = data(6, n_classes=2)
    model = OrdinalRegression(link=link, parallel=parallel).fit(X, y)
    fit = getattr(sm, peer)(y, sm.add_constant(X)).fit(disp=False, tol=1e-13)
    assert_allclose(model.params_, -fit.params, rtol=1e-7, atol=1e-9)
    assert_allclose(model.bse_, fit.bse, rtol=1e-7)
    assert_allclose(model.cov_, fit.cov_params(), rtol=1e-6, atol=1e-9)
    assert_allclose([model.loglik_, model.null_loglik_], [fit.llf, fit.llnull])
    assert_allclose([model.aic_, model.bic_], [fit.aic, fit.bic])


# -------------------------------------------------------------------- meaning of w
@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_weights_count_rows_in_errors_and_criteria(pattern):
    X, y = data(7)
    w = np.random.default_rng(0).integers(0, 4, len(y))
    weighted = OrdinalRegression(parallel=columns_of(pattern))
    weighted.fit(X, y, sample_weight=w)
    long = OrdinalRegression(parallel=columns_of(pattern)).fit(*repeated(X, y, w))
    for name in ("params_", "bse_", "aic_", "bic_", "n_obs_", "df_model_"):
        assert_allclose(getattr(weighted, name), getattr(long, name), rtol=1e-7)


def test_class_weights_multiply_sample_weights():
    X, y = data(7)
    balanced = OrdinalRegression(class_weight={0: 2.0, 3: 0.5}).fit(X, y)
    w = np.where(y == 0, 2.0, np.where(y == 3, 0.5, 1.0))
    by_hand = OrdinalRegression().fit(X, y, sample_weight=w)
    assert_allclose(balanced.params_, by_hand.params_, rtol=1e-9)
    assert_allclose(balanced.n_obs_, w.sum())


# ----------------------------------------------------------- columns and their names
def frame(X):
    return pd.DataFrame(X, columns=["age", "income", "score"])


def test_parameter_names_come_from_columns_and_classes():
    X, y = data()
    labels = pd.Series(
        pd.Categorical.from_codes(y, ["never", "rarely", "often", "always"], True)
    )
    model = OrdinalRegression(parallel=["age", "score"]).fit(frame(X), labels)
    assert model.param_names_.tolist() == [
        "never | rarely",
        "rarely | often",
        "often | always",
        "age",
        "income (never | rarely)",
        "income (rarely | often)",
        "income (often | always)",
        "score",
    ]
    assert_allclose(model.params_[3], model.coef_[:, 0])
    assert_allclose(model.params_[4:7], model.coef_[:, 1])


def test_parallel_columns_may_be_names_or_positions():
    X, y = data()
    by_name = OrdinalRegression(parallel=["score", "age"]).fit(frame(X), y)
    by_position = OrdinalRegression(parallel=np.array([0, 2])).fit(X, y)
    assert_allclose(by_name.params_, by_position.params_, rtol=1e-9)
    assert np.ptp(by_name.coef_[:, [0, 2]], axis=0).max() == 0
    assert np.ptp(by_name.coef_[:, 1]) > 0.01


@pytest.mark.parametrize("listed", [["height"], [3], [-1], [0.5], [None], [True]])
def test_unknown_parallel_column_is_refused(listed):
    X, y = data()
    with pytest.raises(ValueError, match=r"'parallel'.*age.*0 to 2.*Got"):
        OrdinalRegression(parallel=listed).fit(frame(X), y)


def test_names_are_refused_where_columns_have_none():
    X, y = data()
    with pytest.raises(ValueError, match=r"'parallel'.*0 to 2.*'x0'"):
        OrdinalRegression(parallel=["x0"]).fit(X, y)


# ------------------------------------------------------------ what data leave open
def test_duplicated_columns_have_infinite_errors_and_leave_the_others():
    X, y = data()
    twice = np.column_stack([X, X[:, 1]])
    with pytest.warns(CollinearityWarning):
        model = OrdinalRegression().fit(twice, y)
    plain = OrdinalRegression().fit(X, y)
    assert_array_equal(np.isinf(model.bse_), [0, 0, 0, 0, 1, 0, 1])
    kept = [0, 1, 2, 3, 5]
    assert_allclose(model.params_[kept], plain.params_[[0, 1, 2, 3, 5]], rtol=1e-6)
    assert_allclose(model.bse_[kept], plain.bse_[[0, 1, 2, 3, 5]], rtol=1e-6)
    assert not np.isnan(model.cov_).any()
    assert model.df_model_ == 3
    assert_allclose([model.aic_, model.bic_], [plain.aic_, plain.bic_])


def test_dummies_of_every_level_have_infinite_errors_with_the_thresholds():
    rng = np.random.default_rng(0)
    level = rng.integers(0, 3, 300)
    X = np.column_stack([np.eye(3)[level], rng.normal(size=300)])
    y = np.digitize(level + X[:, 3] + rng.logistic(size=300), [0.0, 2.0])
    model = quiet(OrdinalRegression(), X, y)
    # the sum of the dummies is the intercept
    assert_array_equal(np.isinf(model.bse_), [1, 1, 1, 1, 1, 0])
    plain = OrdinalRegression().fit(X[:, 1:], y)
    assert_allclose(model.bse_[-1], plain.bse_[-1], rtol=1e-6)


def test_constant_column_has_slope_zero_and_an_infinite_error():
    X, y = data()
    wide = np.column_stack([X[:, :1], np.full(len(y), 3.0), X[:, 1:]])
    with pytest.warns(CollinearityWarning, match="one value only in 'x1'"):
        model = OrdinalRegression().fit(wide, y)
    plain = OrdinalRegression().fit(X, y)
    assert (model.coef_[:, 1] == 0).all()
    assert_array_equal(np.isinf(model.bse_), [0, 0, 0, 0, 1, 0, 0])
    assert_allclose(model.bse_[[3, 5, 6]], plain.bse_[3:], rtol=1e-7)
    assert model.df_model_ == 3


def test_nearly_dependent_columns_keep_finite_errors():
    X, y = data(n=2000)
    near = X[:, 0] + 1e-3 * np.sin(np.arange(len(y)))
    wide = np.column_stack([X, near])
    model = OrdinalRegression(tol=1e-11).fit(wide, y)
    numeric = flat_model(wide, y, True)
    expected = np.linalg.inv(numeric.information(model.params_))
    assert_allclose(model.bse_, np.sqrt(np.diag(expected)), rtol=1e-3)
    assert model.bse_[-1] > 20


def test_empty_cells_of_wine_have_infinite_errors_where_they_are():
    X, y, w = wine()
    with pytest.warns(SeparationWarning, match="x0"):
        model = OrdinalRegression(parallel=[1]).fit(X, y, sample_weight=w)
    # no warm wine was rated 1 and no cold one 5
    named = dict(zip(model.param_names_, model.bse_, strict=True))
    assert {name for name, error in named.items() if np.isinf(error)} == {
        "x0 (1 | 2)",
        "x0 (4 | 5)",
        "4 | 5",
    }
    assert (model.bse_ > 0).all()
    assert_array_equal(np.isinf(model.conf_int()).all(axis=1), np.isinf(model.bse_))
    assert "not determined" in model.summary()


def test_separating_column_leaves_the_errors_of_others_finite():
    X, y = data(n=500)
    flag = ((y == 3) & (np.arange(len(y)) % 2 == 0)).astype(float)
    wide = np.column_stack([X, flag])
    with pytest.warns(SeparationWarning, match="x3"):
        model = OrdinalRegression().fit(wide, y)
    assert_array_equal(np.isinf(model.bse_), [0, 0, 0, 0, 0, 0, 1])
    # the limit: rows with the flag are fitted exactly and drop out
    rest = OrdinalRegression().fit(X[flag == 0], y[flag == 0])
    assert_allclose(model.params_[:-1], rest.params_, atol=1e-5)
    assert_allclose(model.bse_[:-1], rest.bse_, rtol=1e-4)


def test_class_without_weight_leaves_the_parameters_of_the_others():
    X, y = data()
    w = (y != 2).astype(float)
    with pytest.warns(EmptyClassWarning):
        model = OrdinalRegression(parallel=[0]).fit(X, y, sample_weight=w)
    rest = OrdinalRegression(parallel=[0]).fit(X[y != 2], y[y != 2])
    assert model.param_names_[:2].tolist() == ["0 | 1", "1 | 3"]
    assert_allclose(model.params_, rest.params_, rtol=1e-8)
    assert_allclose(model.bse_, rest.bse_, rtol=1e-8)
    assert model.coef_.shape == (3, 3)


@pytest.mark.parametrize("absent", [0, 3])
def test_outermost_class_without_weight_has_an_infinite_threshold(absent):
    X, y = data()
    with pytest.warns(EmptyClassWarning):
        model = OrdinalRegression().fit(X, y, sample_weight=(y != absent) * 1.0)
    assert np.isinf(model.intercept_).sum() == 1
    assert np.isfinite(model.params_).all()
    assert len(model.params_) == 2 + 3


def test_very_many_parameters_go_without_errors_and_say_so(monkeypatch):
    monkeypatch.setattr(_inference, "MAX_PARAMETERS", 5)
    X, y = data()
    with pytest.warns(StatlearnWarning, match=r"cov_ is None and bse_ is NaN"):
        model = OrdinalRegression().fit(X, y)
    assert model.cov_ is None
    assert np.isnan(model.bse_).all()
    assert np.isnan([model.aic_, model.bic_, model.df_model_]).all()
    assert np.isfinite(model.params_).all()
    assert "not computed" in model.summary()
    effects = model.marginal_effects()
    assert np.isnan(effects.bse).all()
    assert np.isfinite(effects.effect).all()
    assert "not computed" in effects.summary()


# ----------------------------------------------------------------------- containers
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_sparse_columns_have_the_same_covariance(container, pattern):
    X, y = data()
    X = np.where(np.abs(X) < 0.5, 0.0, X)
    options = {"parallel": columns_of(pattern), "tol": TIGHT}
    dense = OrdinalRegression(**options).fit(X, y)
    thin = OrdinalRegression(**options).fit(container(X), y)
    assert_allclose(thin.params_, dense.params_, rtol=1e-7, atol=1e-9)
    assert_allclose(thin.cov_, dense.cov_, rtol=1e-7, atol=1e-10)


def test_stored_model_keeps_inference_and_drops_the_rows():
    X, y = data()
    model = OrdinalRegression().fit(frame(X), y)
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.summary() == model.summary()
    assert_array_equal(loaded.conf_int(), model.conf_int())
    for method in ("nominal_test", "brant_test", "score_test", "marginal_effects"):
        for absent in (loaded, copy.deepcopy(model)):
            with pytest.raises(ValueError, match="pass X, y and sample_weight"):
                getattr(absent, method)()
        given = getattr(loaded, method)(frame(X), y).to_frame()
        pd.testing.assert_frame_equal(given, getattr(model, method)().to_frame())


# --------------------------------------------------------------------------- reports
@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_errors_have_the_unit_of_their_columns_however_large(unit):
    X, y = data()
    plain = OrdinalRegression().fit(X, y).bse_
    scaled = OrdinalRegression().fit(X * np.r_[unit, np.ones(X.shape[1] - 1)], y)
    factor = np.ones(len(plain))
    factor[list(scaled.param_names_).index("x0")] = unit
    assert_allclose(scaled.bse_ * factor, plain, rtol=1e-6)


@pytest.mark.parametrize("container", [np.array, np.asfortranarray, sparse.csc_array])
def test_columns_changed_in_place_after_the_fit_are_noticed(container):
    X, y = data()
    weight = np.ones(len(y))
    X = container(X)
    model = OrdinalRegression().fit(X, y, weight)
    before = model.nominal_test()
    assert_array_equal(model.nominal_test().statistic, before.statistic)
    X *= 10.0
    for question in (model.nominal_test, model.marginal_effects):
        with pytest.raises(ValueError, match=r"Got other numbers.*; pass X, y and"):
            question()
    X /= 10.0
    assert_allclose(
        model.nominal_test(X, y, sample_weight=weight).statistic, before.statistic
    )


def test_weights_changed_in_place_after_the_fit_are_noticed():
    X, y = data()
    weight = np.ones(len(y))
    model = OrdinalRegression().fit(X, y, weight)
    weight[0] = 2.0
    with pytest.raises(ValueError, match=r"Got other numbers.*; pass X, y and"):
        model.nominal_test()


def test_columns_that_were_copied_may_change_afterwards():
    X, y = data()
    weight = np.ones(len(y))
    single = X.astype(np.float32)
    model = OrdinalRegression().fit(single, y, weight)
    before = model.nominal_test().statistic
    single *= 10.0
    assert_array_equal(model.nominal_test().statistic, before)


def test_wald_table_follows_the_normal_law():
    X, y = data()
    model = OrdinalRegression().fit(X, y)
    wald = model.wald_table(coverage=0.9)
    z = model.params_ / model.bse_
    assert_allclose(wald.statistic, z)
    assert_allclose(wald.pvalue, 2 * stats.norm.sf(np.abs(z)))
    half = stats.norm.ppf(0.95) * model.bse_
    assert_allclose(wald.interval[:, 1] - wald.interval[:, 0], 2 * half)
    assert_allclose(model.conf_int(coverage=0.9), wald.interval)
    shown = wald.to_frame()
    assert shown.index.tolist() == model.param_names_.tolist()
    assert list(shown)[-2:] == ["5 %", "95 %"]
    assert_allclose(shown["bse"], model.bse_)


def test_summary_names_every_parameter_and_criterion():
    X, y, w = wine()
    model = OrdinalRegression().fit(X, y, sample_weight=w)
    text = model.summary()
    for name in model.param_names_:
        assert f"\n{name} " in text
    for part in ("-86.4919", "184.9838", "198.6438", "1 < 2 < 3 < 4 < 5", "0.5287"):
        assert part in text
    assert (
        "l2, alpha=0.1"
        in OrdinalRegression(penalty="l2", alpha=0.1)
        .fit(X, y, sample_weight=w)
        .summary()
    )


def test_summary_has_the_coverage_that_was_asked_for():
    model = OrdinalRegression().fit(*data())
    assert " 97.5 %" in model.summary()
    text = model.summary(coverage=0.9)
    assert " 97.5 %" not in text
    assert text.endswith(model.wald_table(0.9).summary())


def test_coverage_goes_by_its_old_name_with_a_warning():
    model = OrdinalRegression().fit(*data())
    with pytest.warns(
        FutureWarning, match=r"conf_int .* Got level=0.9; write coverage"
    ):
        assert_array_equal(model.conf_int(level=0.9), model.conf_int(0.9))
    with pytest.warns(FutureWarning, match=r"wald_table .* Got level=0.9; write"):
        table = model.wald_table(level=0.9)
    assert table.coverage == 0.9
    with pytest.warns(FutureWarning, match="WaldTable expected 'coverage'"):
        assert table.level == 0.9


@pytest.mark.parametrize(
    ("coverage", "error"),
    [
        (0, ValueError),
        (1, ValueError),
        (1.5, ValueError),
        (np.nan, ValueError),
        ("0.95", TypeError),
        (None, TypeError),
        (True, TypeError),
    ],
)
def test_coverage_outside_the_unit_interval_is_refused(coverage, error):
    model = OrdinalRegression().fit(*data())
    for method in (model.conf_int, model.wald_table, model.summary):
        with pytest.raises(error, match=r"'coverage' of OrdinalRegression must .* Got"):
            method(coverage)


@pytest.mark.parametrize(
    "method",
    [
        "conf_int",
        "wald_table",
        "summary",
        "nominal_test",
        "brant_test",
        "score_test",
        "marginal_effects",
    ],
)
def test_results_need_a_fit(method):
    with pytest.raises(NotFittedError):
        getattr(OrdinalRegression(), method)()


def test_too_few_steps_warn_with_the_gradient():
    X, y = data()
    with pytest.warns(ConvergenceWarning, match=r"KKT.*increase max_iter"):
        model = OrdinalRegression(max_iter=1).fit(X, y)
    assert model.kkt_ > 1e-6
    assert model.n_iter_ == 1


def test_callback_can_score_the_fit():
    from sklearn.callback import ScoringMonitor

    X, y = data()
    monitor = ScoringMonitor(scoring="neg_log_loss")
    model = OrdinalRegression().set_callbacks(monitor).fit(X, y)
    (row,) = monitor.get_logs().data
    assert_allclose(row["neg_log_loss"], model.loglik_ / len(y))


def test_clean_fit_of_real_data_does_not_warn():
    _, X, y, w = table("housing")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        OrdinalRegression(parallel=[0, 1]).fit(X, y, sample_weight=w).summary()
    assert not caught
