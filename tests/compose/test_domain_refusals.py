"""What a balancer of domains refuses, what it says then, and numbers at the edge."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LassoLars, LinearRegression, SGDClassifier
from sklearn.linear_model import SGDRegressor as Descent

from statlearn.compose import DomainBalanced
from statlearn.exceptions import StatlearnWarning

SIZES = (50, 10)
NAMES = np.repeat(["a", "b"], SIZES)
X = np.random.default_rng(0).normal(size=(60, 2))
Y = X[:, 0] + np.where(NAMES == "a", 1.0, 3.0)
ONES = np.ones(60)
# Two domains of these sizes at temperature 5: n ** (1 / 5), normalised, over n / N.
SHARES = np.array(SIZES) ** 0.2 / (np.array(SIZES) ** 0.2).sum()


class Untouched(RegressorMixin, BaseEstimator):
    """Fail if anything is learnt."""

    def partial_fit(self, X, y, sample_weight=None):
        pytest.fail("learns from bad input")

    def fit(self, X, y, sample_weight=None):
        pytest.fail("learns from bad input")

    def predict(self, X):
        raise NotImplementedError


class Weights(RegressorMixin, BaseEstimator):
    """Remember the weights of each batch."""

    def partial_fit(self, X, y, sample_weight=None):
        self.seen_ = [*getattr(self, "seen_", []), (X[:, 0], sample_weight)]

    def fit(self, X, y):
        raise NotImplementedError

    def predict(self, X):
        return np.zeros(len(X))


def sampled(estimator=None, **settings):
    return DomainBalanced(estimator or Untouched(), random_state=0, **settings)


def weighted(estimator=None, **settings):
    return sampled(estimator, strategy="scalarization", **settings)


both = pytest.mark.parametrize("make", [sampled, weighted], ids=["drawn", "weighted"])


# ------------------------------------------------------------------------- parameters
@both
@pytest.mark.parametrize("name", ["tau", "tau_end"])
@pytest.mark.parametrize("value", [0, -1.0, np.nan, "5", None, [5.0]], ids=str)
def test_temperatures_that_are_not_above_zero_are_refused(make, name, value):
    message = rf"'{name}' parameter of DomainBalanced .* \(0.0, inf\]. Got "
    with pytest.raises(ValueError, match=message + re.escape(repr(value))):
        make(**{name: value}).fit(X, Y, domains=NAMES)


@both
@pytest.mark.parametrize("name", ["n_steps", "batch_size"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "3", np.nan], ids=str)
def test_counts_that_are_none_are_refused(make, name, value):
    message = rf"'{name}' parameter of DomainBalanced must be an int .* Got "
    with pytest.raises(ValueError, match=message + re.escape(repr(value))):
        make(**{name: value}).fit(X, Y, domains=NAMES)


@both
@pytest.mark.parametrize("value", [1.5, -0.1, -1, np.nan, "half", None], ids=str)
def test_switches_that_are_no_step_and_no_share_are_refused(make, value):
    with pytest.raises(ValueError, match="'switch' parameter of DomainBalanced"):
        make(switch=value).fit(X, Y, domains=NAMES)


def test_a_switch_after_the_last_step_is_refused():
    with pytest.raises(ValueError, match=r"switch <= n_steps. Got 9 .*n_steps=5; "):
        sampled(n_steps=5, switch=9).fit(X, Y, domains=NAMES)


@both
@pytest.mark.parametrize("value", ["both", None, 1], ids=str)
def test_unknown_strategies_are_refused(make, value):
    with pytest.raises(ValueError, match="'strategy' parameter of DomainBalanced"):
        make().set_params(strategy=value).fit(X, Y, domains=NAMES)


def test_a_batch_larger_than_all_rows_is_all_rows():
    for size in (61, 10**9, 10**30):
        model = sampled(Weights(), batch_size=size, tau=1.0).fit(X, Y, domains=NAMES)
        assert model.n_steps_ == 5
        assert_array_equal(model.counts_, [250, 50])


# ---------------------------------------------------------------------------- domains
@both
@pytest.mark.parametrize(
    ("domains", "problem"),
    [
        (NAMES[:5], r"one label for each row. Got 5 labels for 60 rows; pass both"),
        ([*NAMES, "a"], r"one label for each row. Got 61 labels for 60 rows"),
        ([None, "a"], r"one label for each row. Got 2 labels for 60 rows"),
        (list(SIZES), r"one label for each row. Got 2 labels for 60 rows"),
        ([], r"shape \(n,\) with n >= 1. Got shape \(0,\); pass one label"),
        (X, r"shape \(n,\) with n >= 1. Got shape \(60, 2\); pass one label"),
        ("a", r"shape \(n,\) with n >= 1. Got shape \(\); pass one label"),
        ({"a": 50, "b": 10}, r"shape \(n,\) with n >= 1. Got shape \(\)"),
        ([["a"]] * 60, r"can be hashed.* Got .*'list'.*; pass one label"),
        ([None, *NAMES[1:]], r"Got missing labels .* in 1 of 60 rows, .* row 0; fill"),
        ([*NAMES[1:], np.nan], r"Got missing labels .* in 1 of 60 rows, .* row 59"),
        (pd.Series([pd.NA, *NAMES[1:]]), r"Got missing labels .* in 1 of 60 rows"),
        (np.where(NAMES == "a", np.nan, 1), r"Got missing labels .* in 50 of 60 rows"),
    ],
    ids=[
        "too few",
        "too many",
        "too few, one missing",
        "sizes",
        "none",
        "two columns",
        "one word",
        "a dict",
        "lists",
        "None",
        "NaN among words",
        "NA of pandas",
        "NaN among numbers",
    ],
)
def test_domains_that_do_not_name_every_row_are_refused(make, domains, problem):
    with pytest.raises(
        ValueError, match=f"The 'domains' of DomainBalanced .*{problem}"
    ):
        make().fit(X, Y, domains=domains)


@both
def test_a_label_may_be_missing_where_a_row_has_no_weight(make):
    weight = np.r_[0.0, ONES[1:]]
    model = make(Descent(random_state=0)).fit(X, Y, weight, [None, *NAMES[1:]])
    assert model.domains_ == ["a", "b"]


@both
def test_a_domain_without_rows_or_weight_is_no_domain(make):
    """Sizes of zero cannot be named: labels that no row has are not there."""
    labels = pd.Categorical(NAMES, categories=["a", "never", "b"])
    model = make(Descent(random_state=0)).fit(X, Y, domains=labels)
    assert model.domains_ == ["a", "b"]
    weight = np.where(NAMES == "b", 0.0, 1.0)
    model = make(Descent(random_state=0)).fit(X, Y, weight, NAMES)
    assert model.domains_ == ["a"]


@both
def test_no_rows_at_all_are_refused(make):
    with pytest.raises(ValueError, match=r"'domains' .* n >= 1. Got shape \(0,\)"):
        make().fit(X[:0], Y[:0], domains=NAMES[:0])


@both
def test_rows_and_targets_of_another_number_are_refused(make):
    model = make(Descent())
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X[:5], Y, domains=NAMES)
    with pytest.raises(ValueError, match="Got 60 labels for 5 rows"):
        model.fit(X, Y[:5], domains=NAMES)
    with pytest.raises(ValueError, match="the target y is None; pass one target"):
        model.fit(X, None, domains=NAMES)


# ------------------------------------------------------------------------- estimators
def test_an_estimator_that_takes_neither_batches_nor_weights_is_refused():
    for make in (sampled, weighted):
        with pytest.raises(
            TypeError,
            match=r"must accept sample_weight in fit. Got LassoLars, .*choose",
        ):
            make(LassoLars()).fit(X, Y, domains=NAMES)


def test_an_estimator_without_batches_is_weighted_and_a_warning_says_so():
    with pytest.warns(
        StatlearnWarning, match=r"with partial_fit .* Got LinearRegression, .*; pass "
    ):
        model = sampled(LinearRegression()).fit(X, Y, domains=NAMES)
    assert_allclose(model.weights_, 1.0)


def test_weights_for_batches_that_take_none_are_refused():
    class Unweighted(Untouched):
        def partial_fit(self, X, y):
            pytest.fail("learns from bad input")

    with pytest.raises(TypeError, match=r"'sample_weight' .* for Unweighted; drop"):
        sampled(Unweighted()).fit(X, Y, ONES, NAMES)


def test_classes_that_are_numbers_with_digits_are_refused():
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        sampled(SGDClassifier()).fit(X, Y, domains=NAMES)


def test_an_estimator_that_cannot_predict_is_refused():
    with pytest.raises(ValueError, match="'estimator' parameter of DomainBalanced"):
        DomainBalanced(object()).fit(X, Y, domains=NAMES)


# ----------------------------------------------------------------------- base weights
@both
@pytest.mark.parametrize(
    "weight",
    [ONES[:5], -ONES, 0.0 * ONES, ONES * np.nan, ONES * np.inf, np.ones((60, 2))],
    ids=["too few", "negative", "zero", "NaN", "infinite", "two columns"],
)
def test_base_weights_that_are_none_are_refused(make, weight):
    message = "'sample_weight' parameter of DomainBalanced .* Got .*; drop or correct"
    with pytest.raises(ValueError, match=message):
        make().fit(X, Y, weight, NAMES)


@both
@pytest.mark.parametrize("top", [1e307, 1.7e308])
@pytest.mark.parametrize("names", [NAMES, np.full(60, "a"), None], ids=["2", "1", "0"])
@pytest.mark.filterwarnings("ignore:DomainBalanced expected domains")
def test_base_weights_whose_sum_is_no_number_are_refused(make, top, names):
    message = r"'sample_weight' of DomainBalanced must have a finite sum. Got .*; div"
    with pytest.raises(ValueError, match=message):
        make().fit(X, Y, top * ONES, names)


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-300, 1e300, 1e306])
def test_batches_do_not_depend_on_the_unit_of_base_weights(scale):
    weight = np.tile([1.0, 2.0], 30)
    plain = sampled(Weights(), batch_size=20).fit(X, Y, weight, NAMES)
    model = sampled(Weights(), batch_size=20).fit(X, Y, scale * weight, NAMES)
    assert_array_equal(model.counts_, plain.counts_)
    for one, other in zip(model.estimator_.seen_, plain.estimator_.seen_, strict=True):
        assert_array_equal(one[0], other[0])
        assert_allclose(one[1], other[1], rtol=1e-13)
    for _, batch in model.estimator_.seen_:
        assert set(np.round(batch, 12)) <= {round(2 / 3, 12), round(4 / 3, 12)}


def test_domains_far_apart_in_weight_are_drawn_by_it():
    weight = np.where(NAMES == "a", 5e-324, 1e300)
    hot = {"tau": np.inf, "tau_end": np.inf, "n_steps": 10, "batch_size": 20}
    model = sampled(Weights(), **hot).fit(X, Y, weight, NAMES)
    assert_array_equal(model.counts_, [100, 100])
    for _, batch in model.estimator_.seen_:
        assert_allclose(batch, 1.0)
    cold = hot | {"tau": 1.0, "tau_end": 1.0}
    assert_array_equal(
        sampled(Weights(), **cold).fit(X, Y, weight, NAMES).counts_, [0, 200]
    )


@pytest.mark.parametrize("scale", [1e-300, 1e300, 1e306])
def test_weighted_fits_keep_the_unit_of_base_weights(scale):
    model = weighted(LinearRegression()).fit(X, Y, scale * ONES, NAMES)
    expected = np.repeat(60 * SHARES / SIZES, SIZES)
    assert_allclose(model.weights_ / scale, expected, rtol=1e-12)


@pytest.mark.parametrize("tau", [5e-324, 1e-300, 1e308, np.inf])
def test_temperatures_at_the_edge_are_the_limits(tau):
    """Near zero the larger domain has it all, far up both domains are alike."""
    n_steps = {"n_steps": 10, "batch_size": 20, "tau": tau, "tau_end": tau}
    drawn = sampled(Weights(), **n_steps).fit(X, Y, domains=NAMES)
    given = weighted(LinearRegression(), tau=tau).fit(X, Y, domains=NAMES)
    limit = [1.0, 0.0] if tau < 1.0 else [0.5, 0.5]
    assert_array_equal(drawn.counts_, np.array(limit) * 200)
    assert_allclose(given.weights_, np.repeat(60 * np.array(limit) / SIZES, SIZES))
