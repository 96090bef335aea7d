"""Tests of parallel lines and marginal effects against R and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from ordinal_cases import golden, repeated, table
from statlearn.ordinal import OrdinalRegression

TESTS = golden("ordinal_tests")
BRANT = golden("ordinal_brant")
MARGINS = golden("ordinal_margins")["fits"]
CLM = golden("ordinal_clm")["fits"]


def fitted(name, **options):
    _, X, y, w = table(name)
    return OrdinalRegression(tol=1e-10, **options).fit(X, y, sample_weight=w)


def log_likelihood(name, link, parallel):
    """clm's, with all columns parallel or all free."""
    for record in CLM:
        same = record["dataset"] == name and record["link"] == link
        if same and all(flag is parallel for flag in record["parallel"]):
            return record["loglik"]
    raise LookupError(name, link)


# -------------------------------------------------------------- likelihood ratios
@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("wine", "logit"),
        *((n, k) for n in ("housing", "sim") for k in ("logit", "probit")),
    ],
)
def test_likelihood_ratio_tests_equal_those_of_clm(name, link):
    rows = [
        r
        for r in TESTS["likelihood_ratio"]
        if r["dataset"] == name and r["link"] == link
    ]
    features, _, _, _ = table(name)
    assert [r["column"] for r in rows] == features
    test = fitted(name, link=link).nominal_test()
    # an empty cell leaves wine's temperature a limit that each program stops short of
    atol = 1e-5 if name == "wine" else 1e-7
    assert_allclose(test.statistic, [r["statistic"] for r in rows], atol=atol)
    assert test.df.tolist() == [r["df"] for r in rows]
    assert_allclose(test.pvalue, [r["p_value"] for r in rows], atol=atol)


@pytest.mark.parametrize("name", ["housing", "sim"])
@pytest.mark.parametrize("link", ["logit", "probit"])
def test_joint_likelihood_ratio_is_twice_the_gain(name, link):
    wide = log_likelihood(name, link, False)
    narrow = log_likelihood(name, link, True)
    test = fitted(name, link=link).nominal_test()
    assert_allclose(test.joint_statistic, 2 * (wide - narrow), atol=1e-7)
    assert test.joint_df == 6
    assert_allclose(test.joint_pvalue, stats.chi2.sf(2 * (wide - narrow), 6), atol=1e-7)


def test_wine_likelihood_ratios_are_the_published_ones():
    test = fitted("wine").nominal_test()
    assert_allclose(test.statistic, [3.174977, 0.566740], atol=1e-5)
    assert_allclose(test.pvalue, [0.36543, 0.90400], atol=6e-6)


def test_likelihood_ratio_of_given_data_equals_that_of_the_fit():
    _, X, y, w = table("housing")
    model = fitted("housing")
    again = model.nominal_test(*repeated(X, y, w))
    assert_allclose(again.statistic, model.nominal_test().statistic, rtol=1e-6)


# --------------------------------------------------------------------- score tests
SCORES = TESTS["score"]


def score_data(name):
    if name != "cheese":
        return table(name)
    raw = TESTS["cheese"]
    w = np.array(raw["sample_weight"], dtype=float)
    return raw["features"], np.array(raw["X"], dtype=float), np.array(raw["y"]), w


@pytest.mark.parametrize(
    "row", SCORES, ids=lambda r: "-".join([r["dataset"], r["link"], *r["columns"]])
)
def test_score_tests_equal_numerical_derivatives(row):
    """The observed information of the wider model, as in SAS."""
    features, X, y, w = score_data(row["dataset"])
    model = OrdinalRegression(link=row["link"], tol=1e-11).fit(X, y, sample_weight=w)
    test = model.score_test()
    if row["columns"] == features:
        found = (test.joint_statistic, test.joint_df, test.joint_pvalue)
    else:
        (column,) = row["columns"]
        j = features.index(column)
        found = (test.statistic[j], test.df[j], test.pvalue[j])
    assert_allclose(found[0], row["statistic_observed"], rtol=1e-6)
    assert found[1] == row["df"]
    assert_allclose(found[2], row["p_value_observed"], rtol=1e-6)


def test_score_test_of_the_cheese_tasting_is_the_printed_one():
    # SAS/STAT prints 17.2866 with 21 degrees of freedom, p = 0.6936
    _, X, y, w = score_data("cheese")
    test = OrdinalRegression().fit(X, y, sample_weight=w).score_test()
    assert_allclose(test.joint_statistic, 17.2866, atol=3e-4)
    assert test.joint_df == 21
    assert_allclose(test.joint_pvalue, 0.6936, atol=5e-5)


def test_score_and_likelihood_ratio_statistics_are_close_in_large_samples():
    _, X, y, w = table("housing")
    model = OrdinalRegression().fit(X, y, sample_weight=50 * w)
    ratio, score = model.nominal_test(), model.score_test()
    assert_allclose(score.joint_statistic, ratio.joint_statistic, rtol=0.1)


# ------------------------------------------------------------------------- Brant
def brant_data(name):
    if name != "survey":
        return table(name)
    raw = BRANT["survey"]
    y = np.array(raw["y"])
    return raw["features"], np.array(raw["X"], dtype=float), y, np.ones(len(y))


@pytest.mark.parametrize("row", BRANT["tests"], ids=lambda r: r["dataset"])
def test_brant_tests_equal_separate_binary_fits(row):
    features, X, y, w = brant_data(row["dataset"])
    test = OrdinalRegression().fit(X, y, sample_weight=w).brant_test()
    columns = [row["columns"][f] for f in features]
    assert_allclose(test.joint_statistic, row["omnibus"]["statistic"], rtol=1e-6)
    assert test.joint_df == row["omnibus"]["df"]
    assert_allclose(test.joint_pvalue, row["omnibus"]["p_value"], rtol=1e-6)
    expected = [c["statistic"] for c in columns]
    assert_allclose(test.statistic, expected, rtol=1e-6, atol=1e-8)
    assert test.df.tolist() == [c["df"] for c in columns]
    assert_allclose(test.pvalue, [c["p_value"] for c in columns], rtol=1e-6)
    assert_allclose(test.boundary_coef, row["binary_slopes"], rtol=1e-6, atol=1e-8)
    assert_allclose(test.boundary_bse, row["binary_se"], rtol=1e-6)


def test_brant_test_of_smoking_is_the_printed_one():
    # R's package brant prints two decimals
    _, X, y, _ = brant_data("survey")
    test = OrdinalRegression().fit(X, y).brant_test()
    assert round(test.joint_statistic, 2) == 3.28
    assert np.round(test.statistic, 2).tolist() == [1.58, 0.02]
    assert round(test.joint_pvalue, 2) == 0.51


def test_brant_test_says_why_it_cannot_be_computed():
    # wine: separate fits of the end boundaries have empty cells
    test = fitted("wine").brant_test()
    assert np.isnan(test.statistic[0])
    assert "separated" in test.notes[0]
    assert np.isfinite(test.statistic[1])


# -------------------------------------------------------------- marginal effects
@pytest.mark.parametrize(
    "row",
    MARGINS,
    ids=lambda r: "-".join(
        [r["dataset"], r["link"], *r["nominal"], "step" if r["discrete"] else "slope"]
    ),
)
def test_marginal_effects_equal_numerical_differences(row):
    features, _, _, _ = table(row["dataset"])
    nominal = row["nominal"]
    parallel = [j for j, f in enumerate(features) if f not in nominal]
    model = fitted(
        row["dataset"],
        link=row["link"],
        parallel=parallel if nominal and parallel else not nominal,
    )
    effects = model.marginal_effects(discrete="auto" if row["discrete"] else [])
    assert_allclose(effects.effect, row["effect"], atol=1e-8)
    assert_allclose(effects.bse, row["se"], rtol=1e-5, atol=1e-8)
    assert_allclose(effects.effect.sum(axis=1), 0, atol=1e-12)
    assert effects.discrete.any() == row["discrete"]


# ------------------------------------------------------------------------ tables
@pytest.mark.parametrize("method", ["nominal_test", "score_test", "brant_test"])
def test_frames_and_texts_hold_the_statistics(method):
    test = getattr(fitted("sim"), method)()
    frame = test.to_frame()
    assert frame.index.tolist() == ["x0", "x1", "x2", "all"]
    assert_allclose(frame["statistic"], [*test.statistic, test.joint_statistic])
    text = test.summary()
    for value in test.statistic:
        assert f"{value:.4f}" in text


def test_summary_holds_the_wald_table():
    model = fitted("sim")
    text = model.summary()
    for value in (*model.params_, *model.bse_):
        assert f"{value:.4f}" in text
    assert f"{model.loglik_:.4f}" in text
    frame = model.wald_table().to_frame()
    assert len(frame) == len(model.params_)
