"""Repairs of crossing boundaries, on linear predictors written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from ordinal_oracle import DISTRIBUTIONS, FAMILIES, LINKS
from statlearn.exceptions import CrossingError
from statlearn.ordinal import PrestoClassifier
from statlearn.ordinal._crossing import MONOTONE_POLICIES, log_class_probabilities
from statlearn.ordinal._families import FAMILY_NAMES, OrdinalModel

# Boundaries of four classes: in order, the first two swapped, the last below the
# second, all reversed.
ETA = np.array([[-1.0, 0.5, 2.0], [1.0, -1.0, 2.0], [-1.0, 2.0, 0.0], [2.0, 0.0, -3.0]])
CROSSED = np.array([False, True, True, True])
# gamma of the same rows after each repair, as positions in ETA
TAIL = np.array([[-1.0, 0.5, 2.0], [-1.0, -1.0, 2.0], [-1.0, 0.0, 0.0], [-3.0] * 3])
REARRANGED = np.array(
    [[-1.0, 0.5, 2.0], [-1.0, 1.0, 2.0], [-1.0, 0.0, 2.0], [-3.0, 0.0, 2.0]]
)
REPAIRS = ("tail", "rearrange", "clip")
every_repair = pytest.mark.parametrize("policy", REPAIRS)


def probabilities(eta, policy, family="cumulative", link="logit", reverse=False):
    model = OrdinalModel.create(family, link, reverse)
    return np.exp(log_class_probabilities(model, eta, policy, "Model"))


def cells(gamma):
    """Differences of cumulative probabilities (n, K-1)."""
    return np.diff(gamma, axis=1, prepend=0.0, append=1.0)


def clipped(gamma):
    positive = np.maximum(cells(gamma), 0.0)
    return positive / positive.sum(axis=1, keepdims=True)


def cumulative(eta, link, reverse):
    law = DISTRIBUTIONS[link]
    return law.sf(-eta) if reverse else law.cdf(eta)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("link", LINKS)
def test_repairs_give_the_probabilities_of_their_definitions(link, reverse):
    def repaired(policy):
        return probabilities(ETA, policy, link=link, reverse=reverse)

    def gamma(eta):
        return cumulative(eta, link, reverse)

    assert_allclose(repaired("tail"), cells(gamma(TAIL)), atol=1e-14)
    assert_allclose(repaired("rearrange"), cells(gamma(REARRANGED)), atol=1e-14)
    assert_allclose(repaired("clip"), clipped(gamma(ETA)), atol=1e-14)


def test_repairs_of_one_row_by_hand():
    # gamma = 3/4, 1/4, 9/10
    eta = np.log([[3.0, 1 / 3, 9.0]])
    assert_allclose(probabilities(eta, "tail"), [[0.25, 0, 0.65, 0.1]], atol=1e-15)
    expected = [[0.25, 0.5, 0.15, 0.1]]
    assert_allclose(probabilities(eta, "rearrange"), expected, atol=1e-15)
    expected = [[0.75 / 1.5, 0, 0.65 / 1.5, 0.1 / 1.5]]
    assert_allclose(probabilities(eta, "clip"), expected, atol=1e-15)


@every_repair
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_every_row_is_a_distribution(policy, scale):
    eta = np.random.default_rng(0).normal(size=(200, 4)) * scale
    found = probabilities(eta, policy)
    assert (found >= 0).all()
    assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)


@every_repair
def test_rows_in_order_are_left_alone(policy):
    found = probabilities(ETA, policy)
    assert_allclose(found[0], cells(expit(ETA[:1]))[0], rtol=1e-13)
    alone = probabilities(ETA[~CROSSED], policy)
    assert_array_equal(found[~CROSSED], alone)


def test_tail_keeps_the_probability_of_the_last_class():
    eta = np.random.default_rng(1).normal(size=(100, 3)) * 5
    assert_allclose(probabilities(eta, "tail")[:, -1], expit(-eta[:, -1]), rtol=1e-12)
    others = [probabilities(eta, policy)[:, -1] for policy in ("rearrange", "clip")]
    for other in others:
        assert not np.allclose(other, expit(-eta[:, -1]))


def test_rare_last_class_keeps_its_digits():
    eta = np.array([[600.0, 50.0, 40.0]])
    model = OrdinalModel.create("cumulative", "logit")
    found = log_class_probabilities(model, eta, "tail", "Model")
    assert_allclose(found[0, -1], -40.0, rtol=1e-14)
    assert found[0, 1] == -np.inf


@every_repair
def test_equal_boundaries_leave_their_class_empty(policy):
    found = probabilities(np.array([[0.3, 0.3, 1.0]]), policy)
    assert found[0, 1] == 0
    assert_allclose(found[0, 0], expit(0.3))


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "cumulative"])
@pytest.mark.parametrize("policy", MONOTONE_POLICIES)
def test_other_families_never_cross(family, policy):
    found = probabilities(ETA, policy, family)
    assert_allclose(found.sum(axis=1), 1.0)
    assert_array_equal(found, probabilities(ETA, "tail", family))
    assert (found > 0).all()


def test_families_of_the_package_are_those_of_the_tests():
    assert set(FAMILY_NAMES) == set(FAMILIES)
    assert set(MONOTONE_POLICIES) == {*REPAIRS, "raise"}


def test_refusal_counts_the_rows_and_names_the_first():
    pattern = r"Model with monotone='raise' .* Got .* 3 of 4 rows, .* row 1; use"
    with pytest.raises(CrossingError, match=pattern):
        probabilities(ETA, "raise")
    assert_allclose(probabilities(ETA[:1], "raise"), cells(expit(ETA[:1])))


# -------------------------------------------------------------------- in the classifier
def crossing_classifier(**options):
    """A classifier whose linear predictors of the unit vectors are the rows of ETA."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(4), 10)
    model = PrestoClassifier(**options).fit(rng.normal(size=(40, len(ETA))), y)
    model.intercept_ = np.zeros(3)
    model.coef_ = ETA.T.copy()
    return model, np.eye(len(ETA))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("tail", cells(expit(TAIL))),
        ("rearrange", cells(expit(REARRANGED))),
        ("clip", clipped(expit(ETA))),
    ],
)
def test_classifier_predicts_with_its_policy(policy, expected):
    model, rows = crossing_classifier(monotone=policy)
    assert_allclose(model.linear_predictor(rows), ETA)
    assert_allclose(model.predict_proba(rows), expected, atol=1e-14)
    with np.errstate(divide="ignore"):
        logarithm = np.log(expected)
    possible = expected > 0
    found = model.predict_log_proba(rows)
    assert_allclose(found[possible], logarithm[possible], rtol=1e-9)
    assert (found[~possible] == -np.inf).all()
    assert_array_equal(model.predict(rows), model.classes_[expected.argmax(axis=1)])


@pytest.mark.parametrize("policy", MONOTONE_POLICIES)
def test_tail_probabilities_are_not_repaired(policy):
    model, rows = crossing_classifier(monotone=policy)
    assert_allclose(model.predict_tail_proba(rows), expit(-ETA), rtol=1e-13)


def test_classifier_that_refuses_predicts_rows_in_order():
    model, rows = crossing_classifier(monotone="raise")
    with pytest.raises(CrossingError, match=r"PrestoClassifier .* 3 of 4"):
        model.predict_proba(rows)
    assert_allclose(model.predict_proba(rows[:1]), cells(expit(ETA[:1])))


def test_policy_can_be_changed_after_the_fit():
    model, rows = crossing_classifier(monotone="raise")
    model.set_params(monotone="rearrange")
    assert_allclose(model.predict_proba(rows), cells(expit(REARRANGED)), atol=1e-14)
