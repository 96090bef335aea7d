"""Rules one after another."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from statlearn.linear_model import ReweightedLinearRegression
from statlearn.weights import (
    Chain,
    ClipRatio,
    Extremes,
    Huber,
    InverseFrequency,
    KLTilt,
    LinUpper,
    Temper,
    Temperature,
    Uniform,
    Upper,
    clip_ratio,
    lin_upper_weights,
    temper,
)

LOSSES = np.array([0.2, 0.5, 1.0, 2.0, 4.0])
GROUPS = ["a", "a", "a", "a", "b"]
BASE = np.array([1.0, 2.0, 0.0, 1.0, 3.0])


def test_a_chain_of_one_rule_is_that_rule():
    assert_array_equal(
        Chain(LinUpper(1.0))(LOSSES, base_weight=BASE),
        LinUpper(1.0)(LOSSES, base_weight=BASE),
    )


def test_rules_multiply_their_weights():
    weights = Chain(LinUpper(1.0), Extremes(2.0))(LOSSES)
    product = LinUpper(1.0)(LOSSES) * Extremes(2.0)(LOSSES)
    assert_allclose(weights, product * 5.0 / product.sum(), rtol=1e-13)


def test_a_rule_on_groups_joins_a_rule_on_losses():
    weights = Chain(InverseFrequency(), LinUpper())(LOSSES, groups=GROUPS)
    base = InverseFrequency()(GROUPS)
    assert_allclose(weights, lin_upper_weights(LOSSES, base_weight=base), rtol=1e-13)


def test_a_link_reshapes_what_rules_made_of_the_base_weights():
    made = LinUpper()(LOSSES, base_weight=BASE)
    assert_allclose(
        Chain(LinUpper(), ClipRatio(2.0))(LOSSES, base_weight=BASE),
        clip_ratio(made, 2.0, base_weight=BASE),
    )
    assert_allclose(
        Chain(LinUpper(), Temper(3.0))(LOSSES, base_weight=BASE),
        temper(made, 3.0, base_weight=BASE),
    )


def test_a_link_that_comes_first_acts_on_given_weights():
    assert_allclose(Chain(ClipRatio(2.0))([1.0, 2.0, 9.0]), clip_ratio([1, 2, 9], 2.0))
    assert_allclose(Chain(Temper(2.0))([1.0, 4.0]), temper([1.0, 4.0], 2.0))


def test_a_step_reaches_every_rule():
    chain = Chain(LinUpper(lambda step: step), Upper(warmup=4))
    at_three = LinUpper(3.0)(LOSSES)
    assert_allclose(chain(LOSSES, step=3), at_three, rtol=1e-14)
    assert_allclose(
        chain(LOSSES, step=5), Chain(LinUpper(5.0), Upper())(LOSSES), rtol=1e-14
    )


def test_a_chain_may_hold_chains():
    inner = Chain(Chain(LinUpper(), Extremes()), ClipRatio(3.0))
    assert_allclose(
        inner(LOSSES), Chain(LinUpper(), Extremes(), ClipRatio(3.0))(LOSSES), rtol=1e-13
    )


def test_a_function_is_a_rule_of_a_chain():
    def first_row_only(evidence, *, groups=None, base_weight=None, step=None):
        return np.eye(len(evidence))[0] * len(evidence)

    assert_array_equal(Chain(first_row_only)([1.0, 2.0, 3.0]), [3.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("rules", "kind"),
    [
        ([LinUpper(), ClipRatio()], "loss"),
        ([InverseFrequency(), LinUpper()], "loss"),
        ([InverseFrequency(), Huber()], "residual"),
        ([InverseFrequency(), ClipRatio()], "group"),
        ([ClipRatio(), Temper()], "weight"),
    ],
)
def test_evidence_is_that_of_the_rules(rules, kind):
    assert Chain(*rules).evidence_kind == kind


def test_losses_and_residuals_do_not_mix():
    with pytest.raises(ValueError, match=r"one kind of evidence. Got .* keep one"):
        Chain(LinUpper(), Huber())


def test_an_empty_chain_is_refused():
    with pytest.raises(ValueError, match=r"at least one rule. Got none; pass one"):
        Chain()


# -------------------------------------------------------------------- parameters
def test_rules_go_by_their_class_and_number():
    chain = Chain(LinUpper(0.1), ClipRatio(), LinUpper(0.2))
    params = chain.get_params()
    assert params["linupper__temperature"] == 0.1
    assert params["linupper2__temperature"] == 0.2
    assert params["clipratio"] is chain.rules[1]
    assert chain.get_params(deep=False) == {"rules": chain.rules}


def test_another_estimator_prints_a_chain_in_its_order():
    model = ReweightedLinearRegression(Chain(Upper(), ClipRatio(3.0)))
    assert "(Upper(), ClipRatio(max_ratio=3.0))" in " ".join(repr(model).split())


def test_parameters_and_rules_can_be_set():
    chain = Chain(LinUpper(0.1), ClipRatio(), LinUpper(0.2))
    assert chain.set_params(linupper2__temperature=0.7, clipratio=Temper(4.0)) is chain
    assert repr(chain) == (
        "Chain(LinUpper(temperature=0.1), Temper(temperature=4.0), "
        "LinUpper(temperature=0.7))"
    )


def test_a_rule_and_its_parameter_can_be_set_at_once():
    chain = Chain(Uniform()).set_params(uniform__warmup=2, uniform=Uniform(warmup=1))
    assert chain.rules[0].warmup == 2


def test_a_rule_can_be_set_by_its_name():
    chain = Chain("linupper", ClipRatio()).set_params(
        linupper="kltilt", linupper__temperature=2.0
    )
    losses = [1.0, 2.0, 9.0]
    expected = Chain(KLTilt(2.0), ClipRatio())(losses)
    assert_array_equal(chain(losses), expected)


def test_parameters_that_mix_evidence_are_refused_and_change_nothing():
    chain = Chain("linupper", ClipRatio())
    for wrong in ({"rules": ("linupper", "huber")}, {"clipratio": "huber"}):
        with pytest.raises(ValueError, match="must look at one kind of evidence"):
            chain.set_params(**wrong)
    with pytest.raises(ValueError, match="name of a rule"):
        chain.set_params(linupper="no such rule")
    assert repr(chain) == repr(Chain("linupper", ClipRatio()))


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"\['linupper'\]. Got 'upper__temperature';"):
        Chain(LinUpper()).set_params(upper__temperature=1.0)


def test_a_clone_shares_no_rule():
    chain = Chain(Temperature(2.0), ClipRatio())
    copy = clone(chain)
    copy.set_params(temperature__temperature=9.0)
    assert chain.rules[0].temperature == 2.0
    assert copy.rules[0].temperature == 9.0
