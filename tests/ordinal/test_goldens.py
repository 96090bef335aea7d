"""OrdinalRegression against numbers of R and statsmodels (tests/reference)."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ordinal_cases import golden, repeated, table
from ordinal_oracle import class_probabilities
from statlearn.ordinal import OrdinalRegression

CLM = golden("ordinal_clm")["fits"]
VGLM = golden("ordinal_vglm")["fits"]
POLR = golden("ordinal_polr")["fits"]
STATSMODELS = golden("ordinal_statsmodels")


def label(record):
    """A readable test id."""
    parts = [record["dataset"], record.get("family", "cumulative"), record["link"]]
    if record.get("reverse"):
        parts.append("reverse")
    parallel = record.get("parallel", [True])
    parts.append(
        "parallel" if all(parallel) else "partial" if any(parallel) else "free"
    )
    return "-".join(parts)


def options_of(record):
    """Constructor arguments of the model of a reference record."""
    parallel = record["parallel"]
    if all(parallel):
        chosen = True
    elif not any(parallel):
        chosen = False
    else:
        chosen = [int(j) for j in np.flatnonzero(parallel)]
    return {
        "family": record["family"],
        "link": record["link"],
        "reverse": record["reverse"],
        "parallel": chosen,
    }


def fitted(record):
    _, X, y, w = table(record["dataset"])
    return OrdinalRegression(**options_of(record)).fit(X, y, sample_weight=w)


# ------------------------------------------------------------ maximum likelihood
@pytest.mark.parametrize("record", CLM, ids=label)
def test_estimates_equal_those_of_clm(record):
    model = fitted(record)
    assert_allclose(model.loglik_, record["loglik"], rtol=1e-10)
    assert_allclose(model.params_, record["params"], rtol=1e-6, atol=1e-7)
    assert_allclose(model.intercept_, record["intercept"], rtol=1e-6, atol=1e-7)
    assert_allclose(model.coef_, record["coef"], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("record", CLM, ids=label)
def test_covariance_equals_that_of_clm(record):
    model = fitted(record)
    expected = np.array(record["cov"])
    se = np.sqrt(np.diag(expected))
    assert_allclose(model.bse_, record["bse"], rtol=1e-6)
    assert_allclose(
        model.cov_ / np.outer(se, se), expected / np.outer(se, se), atol=1e-6
    )


@pytest.mark.parametrize("record", CLM, ids=label)
def test_information_criteria_equal_those_of_clm(record):
    model = fitted(record)
    assert_allclose(model.aic_, record["aic"], rtol=1e-10)
    assert_allclose(model.bic_, record["bic"], rtol=1e-10)


@pytest.mark.parametrize("record", VGLM, ids=label)
def test_estimates_equal_those_of_vglm(record):
    # vglm stops at a score near 1e-6, which moves the estimates by about 1e-6
    model = fitted(record)
    assert_allclose(model.loglik_, record["loglik"], rtol=1e-9)
    assert model.loglik_ >= record["loglik"] - 1e-9 * abs(record["loglik"])
    assert_allclose(model.params_, record["params"], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("record", VGLM, ids=label)
def test_standard_errors_are_those_of_the_observed_information(record):
    # vglm itself reports the expected information; R differentiated the likelihood
    model = fitted(record)
    assert_allclose(model.bse_, record["observed_bse"], rtol=1e-5)


def test_expected_and_observed_standard_errors_agree_for_adjacent_logits():
    # the only family here whose score is linear in the classes
    records = [r for r in VGLM if r["family"] == "acat"]
    assert len(records) >= 8
    for record in records:
        assert_allclose(fitted(record).bse_, record["expected_bse"], rtol=1e-5)


@pytest.mark.parametrize("record", POLR, ids=label)
def test_estimates_equal_those_of_polr(record):
    _, X, y, w = table(record["dataset"])
    model = OrdinalRegression(link=record["link"]).fit(X, y, sample_weight=w)
    assert_allclose(model.loglik_, record["loglik"], rtol=1e-9)
    assert_allclose(model.params_, record["params"], rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------------- statsmodels
def statsmodels_data(name):
    if name == "sim":
        _, X, y, _ = table(name)
        return X, y
    from statsmodels.datasets import anes96

    data = anes96.load()
    X = data.exog[STATSMODELS["anes96_columns"]].to_numpy(dtype=float)
    return X, data.endog.to_numpy().astype(int) + 1


@pytest.mark.parametrize("record", STATSMODELS["fits"], ids=label)
def test_estimates_equal_those_of_ordered_model(record):
    X, y = statsmodels_data(record["dataset"])
    model = OrdinalRegression(link=record["link"]).fit(X, y)
    slopes = np.tile(record["slope"], (len(record["intercept"]), 1))
    assert_allclose(model.loglik_, record["loglik"], rtol=1e-10)
    assert_allclose(model.intercept_, record["intercept"], rtol=1e-6, atol=1e-7)
    assert_allclose(model.coef_, slopes, rtol=1e-6, atol=1e-7)
    p = X.shape[1]
    # OrderedModel differentiates numerically
    assert_allclose(model.bse_[-p:], record["slope_se"], rtol=1e-4)
    proba = model.predict_proba(X[record["rows"]])
    assert_allclose(proba, record["probabilities"], atol=1e-7)


# --------------------------------------------------------------- the same numbers
@pytest.mark.parametrize(
    "record", [r for r in VGLM if r["dataset"] == "sim"], ids=label
)
def test_probabilities_follow_the_definition_of_each_family(record):
    model = fitted(record)
    _, X, _, _ = table("sim")
    eta = np.array(record["intercept"]) + X @ np.array(record["coef"]).T
    expected = class_probabilities(
        eta, record["family"], record["link"], record["reverse"]
    )
    assert_allclose(model.predict_proba(X), expected, atol=2e-6)
    assert_allclose(
        model.predict_tail_proba(X), 1 - np.cumsum(expected, axis=1)[:, :-1], atol=2e-6
    )


@pytest.mark.parametrize("name", ["wine", "housing"])
def test_weights_count_as_rows_in_every_statistic(name):
    _, X, y, w = table(name)
    weighted = OrdinalRegression().fit(X, y, sample_weight=w)
    long = OrdinalRegression().fit(*repeated(X, y, w))
    for attribute in ("params_", "bse_", "cov_", "loglik_", "aic_", "bic_"):
        got, expected = getattr(weighted, attribute), getattr(long, attribute)
        assert_allclose(got, expected, rtol=1e-7, atol=1e-9)


def test_parameter_names_follow_the_parameters():
    record = next(r for r in CLM if label(r) == "sim-cumulative-logit-partial")
    model = fitted(record)
    assert len(model.param_names_) == len(record["params"])
    assert [n for n in record["names"] if "|" in n] == ["1|2", "2|3", "3|4"]
    # one entry for a parallel column, K - 1 for another, column by column
    owners = [str(n) for n in model.param_names_[3:]]
    assert [("x0" in o, "x1" in o, "x2" in o) for o in owners] == [
        (True, False, False),
        (False, True, False),
        (False, True, False),
        (False, True, False),
        (False, False, True),
    ]


def test_confidence_intervals_are_those_of_the_normal_law():
    record = next(r for r in CLM if label(r) == "sim-cumulative-logit-parallel")
    model = fitted(record)
    interval = np.asarray(model.conf_int(0.9))
    half = 1.6448536269514722 * np.array(record["bse"])
    assert_allclose(interval[:, 0], np.array(record["params"]) - half, rtol=1e-6)
    assert_allclose(interval[:, 1], np.array(record["params"]) + half, rtol=1e-6)


@pytest.mark.parametrize("name", ["wine", "housing", "sim"])
def test_null_log_likelihood_is_that_of_the_class_frequencies(name):
    _, X, y, w = table(name)
    model = OrdinalRegression().fit(X, y, sample_weight=w)
    counts = np.bincount(y - 1, w)
    assert_allclose(model.null_loglik_, counts @ np.log(counts / counts.sum()))
