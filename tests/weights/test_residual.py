"""Residual rules: what they make of residuals and base weights, and parameters."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from residual_cases import CUT_OFF, FUNCTIONS, ONE_CONSTANT, every_family, make
from statlearn import weights
from statlearn.exceptions import DegenerateWeightsWarning, DroppedRowsWarning
from statlearn.weights import (
    Cauchy,
    Chain,
    Fair,
    GemanMcClure,
    Hampel,
    Huber,
    hampel_weights,
)

# --- the rule ----------------------------------------------------------------

rows = st.lists(
    st.tuples(st.floats(-50.0, 50.0), st.integers(0, 4)), min_size=1, max_size=15
).filter(lambda pairs: any(count for _, count in pairs))


@every_family
def test_rule_scales_the_weights_to_mean_one(name):
    u = np.random.default_rng(3).standard_cauchy(200)
    raw = make(name).weight(u)
    found = make(name)(u)
    np.testing.assert_allclose(found, raw / raw.mean(), rtol=1e-13)


@every_family
@pytest.mark.filterwarnings("ignore::statlearn.exceptions.DegenerateWeightsWarning")
@given(pairs=rows)
def test_integer_base_weight_equals_repeated_rows(name, pairs):
    u, counts = (np.array(column) for column in zip(*pairs, strict=True))
    rule = make(name)
    weighted = rule(u, base_weight=counts)
    repeated = rule(np.repeat(u, counts))
    kept = counts > 0
    np.testing.assert_allclose(
        np.repeat(weighted[kept] / counts[kept], counts[kept]),
        repeated,
        rtol=1e-10,
        atol=1e-300,
    )
    assert np.all(weighted[~kept] == 0.0)
    assert weighted.sum() == pytest.approx(counts.sum())


@every_family
def test_row_of_base_weight_zero_enters_nothing(name):
    rule = make(name)
    u, base = np.array([0.3, -1.0, 5.0]), np.array([1.0, 2.0, 1.5])
    expected = rule(u, base_weight=base)
    found = rule(np.append(u, np.nan), base_weight=np.append(base, 0.0))
    np.testing.assert_allclose(found, np.append(expected, 0.0), rtol=1e-14)


@every_family
def test_weights_follow_a_permutation_of_the_rows(name):
    rng = np.random.default_rng(5)
    u, base, order = rng.normal(0, 3, 50), rng.uniform(0, 2, 50), rng.permutation(50)
    rule = make(name)
    np.testing.assert_allclose(
        rule(u[order], base_weight=base[order]),
        rule(u, base_weight=base)[order],
        rtol=1e-13,
    )


@every_family
def test_equal_sizes_have_equal_weights(name):
    found = make(name)(np.array([1.7, -0.2, -1.7, 0.2, 1.7, 30.0, 1.7]))
    assert len({*found[[0, 2, 4, 6]]}) == 1
    assert found[1] == found[3]


@pytest.mark.parametrize("name", CUT_OFF)
def test_rows_without_any_weight_leave_it_to_the_nearest(name):
    u = [-90.0, 70.0, 80.0, -70.0, 1.0]
    with pytest.warns(
        DegenerateWeightsWarning, match=rf"{name} expected residuals .* 2 of 4 nearest"
    ) as caught:
        found = make(name)(u, base_weight=[1.0, 3.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(found, [0.0, 4.5, 0.0, 1.5, 0.0])
    assert caught[0].filename == __file__


def test_tiny_weights_keep_their_proportions():
    # 1 / u^2 and 1 / u^4 far below the smallest number that base weights can scale.
    found = Cauchy(1.0)([1e150, 2e150], base_weight=[1e-200, 1e-200])
    np.testing.assert_allclose(found, np.array([1.6, 0.4]) * 1e-200, rtol=1e-12)
    np.testing.assert_allclose(GemanMcClure(1.0)([1e60, 2e60]), [32 / 17, 2 / 17])


def test_chain_takes_residual_rules():
    rule = Chain(Huber(2.0), weights.ClipRatio(2.0))
    assert rule.evidence_kind == "residual"
    found = rule([1.0, 2.0, 8.0])
    np.testing.assert_allclose(found / found[0], [1.0, 1.0, 0.5])


def test_residual_that_is_not_finite_is_an_error_by_default():
    with pytest.raises(
        ValueError, match=r"The 'residuals' of Fair must be finite. .* first at row 1"
    ):
        Fair()([0.0, np.inf, 1.0])


def test_residual_that_is_not_finite_is_dropped_on_request():
    with pytest.warns(DroppedRowsWarning, match="Huber expected finite residuals"):
        found = Huber(nonfinite="drop")([0.5, np.nan, 1.0])
    np.testing.assert_allclose(found, [1.5, 0.0, 1.5])


# --- parameters --------------------------------------------------------------


@every_family
def test_rule_is_cloned_and_set_as_an_estimator(name):
    rule = make(name, 1.5).set_params(nonfinite="drop")
    copy = clone(rule)
    assert copy is not rule
    assert copy.get_params() == rule.get_params()
    assert copy.tuning() == rule.tuning()
    copy.set_params(c=100.0)
    assert np.max(copy.tuning()) == 100.0
    assert repr(getattr(weights, name)()) == f"{name}()"


@every_family
def test_rule_looks_at_residuals_and_goes_by_its_name(name):
    rule = weights.get_rule(name.lower())
    assert type(rule).__name__ == name
    assert rule.evidence_kind == "residual"


@pytest.mark.parametrize("name", ONE_CONSTANT)
def test_efficiency_is_given_by_keyword_only(name):
    parameters = inspect.signature(getattr(weights, name)).parameters
    assert parameters["efficiency"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("name", ONE_CONSTANT)
def test_constant_and_efficiency_together_are_refused(name):
    rule = getattr(weights, name)(2.0, efficiency=0.9)
    with pytest.raises(
        ValueError,
        match=rf"One of 'c' and 'efficiency' of {name} .* Got 2.0 and 0.9; pass only",
    ):
        rule([1.0])


@pytest.mark.parametrize("name", ONE_CONSTANT)
@pytest.mark.parametrize("c", [0.0, -1.0, np.nan, np.inf])
def test_constant_that_is_not_positive_is_refused(name, c):
    message = r"The 'c' of {} must be positive and finite. Got .*; leave it out"
    with pytest.raises(ValueError, match=message.format(name)):
        getattr(weights, name)(c).rho([1.0])
    function = FUNCTIONS[name]
    with pytest.raises(ValueError, match=message.format(function)):
        getattr(weights, function)([1.0], c)


def test_constant_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match=r"The 'c' of Huber must .* Got '1.3'; leave"):
        Huber("1.3").tuning()


@pytest.mark.parametrize(
    "constants",
    [(2.0, 1.0, 8.0), (2.0, 8.0, 8.0), (2.0, 9.0, 8.0), (1e-200, 1.0, 1e200)],
)
def test_hampel_constants_out_of_order_are_refused(constants):
    message = r"The 'a', 'b' and 'c' of {} must be in the order .* Got .*; pass"
    with pytest.raises(ValueError, match=message.format("Hampel")):
        Hampel(*constants).tuning()
    with pytest.raises(ValueError, match=message.format("hampel_weights")):
        hampel_weights([1.0], *constants)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_hampel_constant_that_is_not_positive_is_named(position):
    constants = [2.0, 4.0, 8.0]
    constants[position] = -1.0
    with pytest.raises(ValueError, match=f"The '{'abc'[position]}' of Hampel must be"):
        Hampel(*constants).weight([1.0])


def test_hampel_may_descend_at_once():
    np.testing.assert_allclose(
        Hampel(1.0, 1.0, 3.0).weight([0.5, 1.0, 2.0, 3.0]), [1.0, 1.0, 0.25, 0.0]
    )
