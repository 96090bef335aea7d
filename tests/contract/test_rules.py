"""Every weighting rule keeps the laws of `WeightingRule`; a new one joins `RULES`."""

from __future__ import annotations

import inspect
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone

import statlearn.weights
from statlearn.exceptions import DroppedRowsWarning
from statlearn.weights import (
    Andrews,
    Bisquare,
    Cauchy,
    Chain,
    Chi2Ball,
    ClipRatio,
    CVaR,
    EffectiveNumber,
    Extremes,
    Fair,
    Focal,
    GemanMcClure,
    Hampel,
    Huber,
    InverseFrequency,
    KLBall,
    KLTilt,
    LinUpper,
    Logistic,
    Quadratic,
    SelfPaced,
    Talwar,
    Temper,
    Temperature,
    Trimmed,
    Uniform,
    Upper,
    WeightingRule,
    Welsch,
    get_rule,
)
from stub_tensor import Tensor

# The links of a chain act on weights, so they are tested where they are used.
RULES = [
    Uniform(),
    LinUpper(),
    LinUpper(0.01),
    LinUpper(np.inf),
    Quadratic(),
    Extremes(1.0),
    Upper(),
    KLTilt(),
    KLTilt(-0.5),
    KLBall(0.1),
    KLBall(2.0),
    Chi2Ball(0.2),
    Chi2Ball(3.0),
    CVaR(0.0),
    CVaR(0.5),
    CVaR(0.95),
    Trimmed(0.25),
    SelfPaced(1.2),
    SelfPaced(1.2, mode="linear"),
    Focal(2.0),
    Huber(),
    Huber(efficiency=0.85),
    Bisquare(),
    Hampel(),
    Cauchy(),
    Welsch(),
    Fair(),
    Logistic(),
    Andrews(),
    Talwar(),
    GemanMcClure(),
    Temperature(),
    Temperature(np.inf),
    Temperature(0.5),
    InverseFrequency(),
    EffectiveNumber(),
    EffectiveNumber(0.0),
    EffectiveNumber(1.0),
    Chain(LinUpper()),
    Chain(Quadratic(), ClipRatio(3.0)),
    Chain(InverseFrequency(), KLTilt(2.0), ClipRatio(4.0), Temper(1.5)),
    Chain(Temperature(2.0), Huber()),
    Chain(Temperature(5.0), EffectiveNumber(0.9), Temper(2.0)),
]
N = 24
each_rule = pytest.mark.parametrize(
    "rule", RULES, ids=lambda r: " ".join(str(r).split())
)
# Some of the random losses are too large for every row of a self-paced rule.
degenerate_is_fine = pytest.mark.filterwarnings(
    "ignore::statlearn.exceptions.DegenerateWeightsWarning"
)


def looks_at_numbers(rule):
    return rule.evidence_kind != "group"


each_rule_on_numbers = pytest.mark.parametrize(
    "rule",
    [rule for rule in RULES if looks_at_numbers(rule)],
    ids=lambda r: " ".join(str(r).split()),
)
each_rule_on_losses = pytest.mark.parametrize(
    "rule",
    [rule for rule in RULES if hasattr(rule, "warmup")],
    ids=lambda r: " ".join(str(r).split()),
)


class Rows:
    """Evidence, groups and base weights of some rows, as a rule takes them."""

    def __init__(self, evidence, groups, base):
        self.evidence, self.groups, self.base = evidence, groups, base

    def take(self, index):
        return Rows(self.evidence[index], self.groups[index], self.base[index])

    def weigh(self, rule, *, base=True, **options):
        return rule(
            self.evidence if looks_at_numbers(rule) else self.groups,
            groups=self.groups if looks_at_numbers(rule) else None,
            base_weight=self.base if base else None,
            **options,
        )

    def key(self, rule):
        """What rows must share to have the same weight."""
        return (
            list(zip(self.evidence, self.groups, strict=True))
            if isinstance(rule, Chain)
            else list(self.evidence if looks_at_numbers(rule) else self.groups)
        )


def rows_for(rule, seed=0, n=N):
    """Random rows with ties, integer base weights and some of them zero."""
    rng = np.random.default_rng(seed)
    evidence = rng.exponential(size=n).round(1)
    if rule.evidence_kind == "residual":
        evidence = (3.0 * rng.normal(size=n)).round()
    groups = np.array(["a", "b", "c", "rare"])[
        rng.choice(4, size=n, p=[0.5, 0.25, 0.15, 0.1])
    ]
    base = rng.integers(0, 4, size=n).astype(float)
    base[0] = 2.0
    return Rows(evidence, groups, base)


seeds = pytest.mark.parametrize("seed", range(3))


# ------------------------------------------------------------------- who is listed
def single_rules(rule):
    if isinstance(rule, Chain):
        return {Chain}.union(*(single_rules(part) for part in rule.rules))
    return {type(rule)}


def test_every_public_rule_is_listed():
    public = [getattr(statlearn.weights, name) for name in statlearn.weights.__all__]
    rules = {
        value
        for value in public
        if inspect.isclass(value) and issubclass(value, WeightingRule)
    }
    assert rules - {WeightingRule} == set().union(*map(single_rules, RULES))


# ---------------------------------------------------------------------- the laws
@degenerate_is_fine
@seeds
@each_rule
def test_weights_are_finite_and_not_negative_and_have_mean_one(rule, seed):
    weights = rows_for(rule, seed).weigh(rule, base=False)
    assert weights.shape == (N,)
    assert weights.dtype == np.float64
    assert np.isfinite(weights).all()
    assert (weights >= 0.0).all()
    assert_allclose(weights.mean(), 1.0, rtol=1e-13)


@degenerate_is_fine
@seeds
@each_rule
def test_total_is_that_of_the_base_weights(rule, seed):
    rows = rows_for(rule, seed)
    rows.base *= 0.37
    assert_allclose(rows.weigh(rule).sum(), rows.base.sum(), rtol=1e-13)


@degenerate_is_fine
@seeds
@each_rule
def test_weights_follow_a_permutation_of_the_rows(rule, seed):
    rows = rows_for(rule, seed)
    order = np.random.default_rng(seed + 100).permutation(N)
    assert_allclose(
        rows.take(order).weigh(rule), rows.weigh(rule)[order], rtol=1e-12, atol=1e-13
    )


@degenerate_is_fine
@seeds
@each_rule
def test_equal_evidence_gives_equal_weights(rule, seed):
    rows = rows_for(rule, seed)
    weights, keys = rows.weigh(rule, base=False), rows.key(rule)
    assert len(set(keys)) < N
    for key in set(keys):
        same = weights[[other == key for other in keys]]
        assert_array_equal(same, same[0])


@degenerate_is_fine
@seeds
@each_rule
def test_base_weights_multiply_equal_evidence(rule, seed):
    rows = rows_for(rule, seed)
    weights, keys = rows.weigh(rule), rows.key(rule)
    for key in set(keys):
        same = np.array([other == key for other in keys]) & (rows.base > 0.0)
        if same.any():
            density = weights[same] / rows.base[same]
            assert_allclose(density, density[0], rtol=1e-13)


@degenerate_is_fine
@each_rule
def test_rows_that_are_all_alike_keep_their_base_weights(rule):
    rows = rows_for(rule).take(np.zeros(5, int))
    rows.base = np.array([1.0, 0.5, 2.0, 0.0, 1.0])
    assert_allclose(rows.weigh(rule), rows.base, rtol=1e-13)


@degenerate_is_fine
@seeds
@each_rule
def test_an_integer_base_weight_is_the_same_as_repeated_rows(rule, seed):
    rows = rows_for(rule, seed)
    counts = rows.base.astype(int)
    index = np.repeat(np.arange(N), counts)
    repeated = rows.take(index).weigh(rule, base=False)
    counted = rows.weigh(rule)
    assert_allclose(
        repeated, (counted / np.maximum(counts, 1))[index], rtol=1e-12, atol=1e-12
    )


@degenerate_is_fine
@seeds
@each_rule
def test_a_row_of_base_weight_zero_is_the_same_as_no_row(rule, seed):
    rows = rows_for(rule, seed)
    kept = rows.base > 0.0
    assert not kept.all()
    weights = rows.weigh(rule)
    assert_array_equal(weights[~kept], 0.0)
    assert_allclose(weights[kept], rows.take(kept).weigh(rule), rtol=1e-12, atol=1e-13)


@degenerate_is_fine
@pytest.mark.parametrize("what", [np.nan, np.inf, -np.inf, 1e300])
@each_rule_on_numbers
def test_evidence_of_rows_without_base_weight_does_not_matter(rule, what):
    rows = rows_for(rule)
    before = rows.weigh(rule)
    rows.evidence = np.where(rows.base > 0.0, rows.evidence, what)
    assert_array_equal(rows.weigh(rule), before)


@degenerate_is_fine
@pytest.mark.parametrize("what", [None, np.nan, "new"])
@each_rule
def test_label_of_rows_without_base_weight_does_not_matter(rule, what):
    rows = rows_for(rule)
    before = rows.weigh(rule)
    rows.groups = rows.groups.astype(object)
    rows.groups[rows.base == 0.0] = what
    assert_allclose(rows.weigh(rule), before, rtol=1e-13)


@degenerate_is_fine
@each_rule
def test_one_row_keeps_its_base_weight(rule):
    rows = rows_for(rule, n=1)
    assert_allclose(rows.weigh(rule, base=False), [1.0])
    assert_allclose(rows.weigh(rule), [2.0])


@degenerate_is_fine
@each_rule_on_numbers
@settings(max_examples=30)
@given(
    evidence=arrays(
        np.float64,
        st.integers(1, 8),
        elements=st.floats(0.0, 1e6) | st.sampled_from([0.0, 1.0, 2.0]),
    ),
    data=st.data(),
)
def test_any_evidence_and_any_counts_keep_the_laws(rule, evidence, data):
    n = len(evidence)
    count = st.integers(0, 3)
    counts = np.array(data.draw(st.lists(count, min_size=n, max_size=n)))
    counts[0] += 1
    rows = Rows(evidence, np.array(list("aab" * n))[:n], counts.astype(float))
    weights = rows.weigh(rule)
    assert np.isfinite(weights).all()
    assert (weights >= 0.0).all()
    assert_allclose(weights.sum(), counts.sum(), rtol=1e-12)
    index = np.repeat(np.arange(n), counts)
    repeated = rows.take(index).weigh(rule, base=False)
    each = (weights / np.maximum(counts, 1))[index]
    assert_allclose(repeated, each, rtol=1e-9, atol=1e-12 * n)


# ------------------------------------------------------------- numbers and types
@degenerate_is_fine
@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
@each_rule_on_numbers
def test_tiny_and_huge_evidence_gives_weights(rule, scale):
    rows = rows_for(rule)
    rows.evidence = rows.evidence * scale
    weights = rows.weigh(rule)
    assert np.isfinite(weights).all()
    assert_allclose(weights.sum(), rows.base.sum(), rtol=1e-12)


@degenerate_is_fine
@pytest.mark.parametrize("scale", [1e-300, 1e300])
@each_rule
def test_tiny_and_huge_base_weights_are_a_matter_of_unit(rule, scale):
    rows = rows_for(rule)
    rows.base *= scale
    weights = rows.weigh(rule)
    assert np.isfinite(weights).all()
    assert_allclose(weights.sum(), rows.base.sum(), rtol=1e-12)
    if not any(part is EffectiveNumber for part in single_rules(rule)):
        rows.base /= scale
        assert_allclose(weights / scale, rows.weigh(rule), rtol=1e-12, atol=1e-13)


@degenerate_is_fine
@each_rule
def test_inputs_are_read_and_never_written(rule):
    rows = rows_for(rule)
    copies = [array.copy() for array in (rows.evidence, rows.groups, rows.base)]
    for array in (rows.evidence, rows.groups, rows.base):
        array.flags.writeable = False
    for base in (True, False):
        weights = rows.weigh(rule, base=base)
        assert weights.flags.writeable
        assert not any(
            np.shares_memory(weights, array) for array in (rows.evidence, rows.base)
        )
    for array, copy in zip(
        (rows.evidence, rows.groups, rows.base), copies, strict=True
    ):
        assert_array_equal(array, copy)


@degenerate_is_fine
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@each_rule_on_numbers
def test_floating_type_of_the_evidence_is_kept(rule, dtype):
    rows = rows_for(rule)
    exact = rows.weigh(rule)
    rows.evidence = rows.evidence.astype(dtype)
    weights = rows.weigh(rule)
    assert weights.dtype == dtype
    if dtype is np.float32:
        assert_allclose(weights, exact, rtol=2e-5, atol=1e-6)


@degenerate_is_fine
@each_rule_on_numbers
def test_lists_and_integers_give_float64(rule):
    numbers = [0, 1, 1, 2]
    groups = ["a", "a", "b", "b"]
    from_list = rule(numbers, groups=groups)
    assert from_list.dtype == np.float64
    assert_array_equal(from_list, rule(np.array(numbers), groups=groups))


@degenerate_is_fine
@each_rule_on_numbers
def test_a_tensor_gives_a_tensor_without_gradient_on_its_device(rule):
    rows = rows_for(rule)
    expected = rows.weigh(rule)
    array = rows.evidence.astype(np.float32)
    rows.evidence = Tensor(array, device="cuda", requires_grad=True)
    rows.base = Tensor(rows.base, device="cuda")
    weights = rows.weigh(rule)
    assert isinstance(weights, Tensor)
    assert weights.device == "cuda"
    assert not weights.requires_grad
    assert weights.dtype == np.float32
    assert_allclose(weights.data, expected, rtol=2e-5, atol=1e-6)


@degenerate_is_fine
@each_rule_on_numbers
def test_a_torch_tensor_gives_a_torch_tensor(rule, torch):
    rows = rows_for(rule)
    expected = rows.weigh(rule)
    rows.evidence = torch.tensor(rows.evidence, requires_grad=True)
    weights = rows.weigh(rule)
    assert isinstance(weights, torch.Tensor)
    assert not weights.requires_grad
    assert_allclose(weights.numpy(), expected, rtol=1e-13)


# --------------------------------------------------------------- an estimator's life
class Weighted(BaseEstimator):
    """An estimator with a rule among its parameters."""

    def __init__(self, weighting=None):
        self.weighting = weighting


def same_parameters(one, other):
    return repr(one.get_params()) == repr(other.get_params())


@each_rule
def test_a_clone_is_another_rule_with_the_same_parameters(rule):
    copy = clone(rule)
    assert copy is not rule
    assert type(copy) is type(rule)
    assert same_parameters(copy, rule)


@each_rule
def test_representation_is_code_that_makes_the_rule(rule):
    again = eval(repr(rule), vars(statlearn.weights) | {"inf": np.inf})
    assert same_parameters(again, rule)


@each_rule
def test_parameters_are_set_through_the_estimator_that_holds_the_rule(rule):
    holder = Weighted(clone(rule))
    deep = {
        key: value
        for key, value in holder.get_params().items()
        if key.startswith("weighting__")
    }
    assert deep or not inspect.signature(type(rule)).parameters
    for key in deep:
        if "__" not in key.removeprefix("weighting__") and isinstance(rule, Chain):
            continue  # a rule of the chain itself
        mark = object()
        holder.set_params(**{key: mark})
        assert holder.get_params()[key] is mark


@each_rule
def test_an_unknown_parameter_is_refused(rule):
    with pytest.raises(ValueError, match="nonsense"):
        clone(rule).set_params(nonsense=1)


@degenerate_is_fine
@each_rule
def test_a_pickled_rule_gives_the_same_weights(rule):
    rows = rows_for(rule)
    again = pickle.loads(pickle.dumps(rule))
    assert_array_equal(rows.weigh(again), rows.weigh(rule))


@degenerate_is_fine
@each_rule
def test_calling_a_rule_leaves_no_state(rule):
    before = pickle.dumps(rule)
    rows_for(rule).weigh(rule)
    assert pickle.dumps(rule) == before


@each_rule
def test_get_rule_knows_the_rule(rule):
    assert get_rule(rule) is rule
    if not isinstance(rule, Chain):
        assert type(get_rule(type(rule).__name__)) is type(rule)


# ------------------------------------------------------------------------- steps
@degenerate_is_fine
@each_rule_on_losses
def test_warm_up_gives_base_weights_and_ends(rule):
    warm = clone(rule).set_params(warmup=3)
    rows = rows_for(rule)
    for step in (0, 2):
        assert_allclose(rows.weigh(warm, step=step), rows.base, rtol=1e-15)
    for step in (3, None):
        assert_array_equal(rows.weigh(warm, step=step), rows.weigh(rule, step=step))


@pytest.mark.parametrize(
    "rule",
    [r for r in RULES if "temperature" in inspect.signature(type(r)).parameters],
    ids=lambda r: " ".join(str(r).split()),
)
def test_a_temperature_may_be_a_schedule(rule):
    schedule = clone(rule).set_params(temperature=lambda step: 8.0 / (1 + step))
    rows = rows_for(rule)
    fixed = clone(rule).set_params(temperature=2.0)
    assert_array_equal(rows.weigh(schedule, step=3), rows.weigh(fixed))
    with three_parts("step"):
        rows.weigh(schedule)


# --------------------------------------------------------------------- bad input
def three_parts(name):
    """Expect an error that says what should be, what came and what to do."""
    return pytest.raises(ValueError, match=rf"(?s){name}.* must .*Got .*; .*\w")


@each_rule_on_numbers
@pytest.mark.parametrize("shape", [(), (0,), (4, 1), (2, 2)])
def test_evidence_of_another_shape_is_refused(rule, shape):
    groups = ["a"] * (shape[0] if shape else 1)
    with three_parts(r"(losses|residuals|groups)"):
        rule(np.ones(shape), groups=groups)


@pytest.mark.parametrize("bad", [[], [[1], [2]], "abc", None])
@pytest.mark.parametrize("rule", [r for r in RULES if not looks_at_numbers(r)], ids=str)
def test_labels_of_another_shape_are_refused(rule, bad):
    with three_parts("groups"):
        rule(bad)


@each_rule_on_numbers
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_evidence_that_is_not_finite_is_refused(rule, value):
    rows = rows_for(rule)
    rows.evidence[[1, 5]] = value
    rows.base += 1.0
    with three_parts(r"(losses|residuals)") as caught:
        rows.weigh(rule)
    assert re.search(rf"2 of {N} rows, the first at row 1", str(caught.value))


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize("rule", [r for r in RULES if not looks_at_numbers(r)], ids=str)
def test_missing_labels_are_refused(rule, missing):
    with three_parts("groups") as caught:
        rule(["a", "b", missing, "a"])
    assert "1 of 4 rows, the first at row 2" in str(caught.value)


@each_rule
@pytest.mark.parametrize(
    "base",
    [
        np.ones(N - 1),
        np.ones((N, 1)),
        np.zeros(N),
        np.r_[-1.0, np.ones(N - 1)],
        np.r_[np.nan, np.ones(N - 1)],
        np.r_[np.inf, np.ones(N - 1)],
    ],
    ids=["length", "shape", "zero", "negative", "nan", "inf"],
)
def test_base_weights_that_are_no_weights_are_refused(rule, base):
    rows = rows_for(rule)
    rows.base = base
    with three_parts("base_weight"):
        rows.weigh(rule)


@degenerate_is_fine
@pytest.mark.parametrize(
    "rule",
    [r for r in RULES if "nonfinite" in r.get_params()],
    ids=lambda r: " ".join(str(r).split()),
)
def test_rows_that_are_not_finite_are_dropped_and_counted_on_request(rule):
    lenient = clone(rule).set_params(nonfinite="drop")
    rows = rows_for(rule)
    lost = np.flatnonzero(rows.base)[[1, 3, 4]]
    rows.evidence[lost] = [np.nan, np.inf, -np.inf]
    with pytest.warns(DroppedRowsWarning, match=rf"Got .* 3 of {N} rows.*; ") as caught:
        weights = rows.weigh(lenient)
    assert caught[0].filename == __file__
    assert_array_equal(weights[lost], 0.0)
    rest = rows.take(np.setdiff1d(np.arange(N), lost))
    scale = rows.base.sum() / rest.base.sum()
    kept = np.delete(weights, lost)
    assert_allclose(kept, rest.weigh(rule) * scale, rtol=1e-12, atol=1e-13)
    with three_parts("nonfinite"):
        rows.weigh(clone(rule).set_params(nonfinite="ignore"))


@pytest.mark.parametrize(
    "rule",
    [r for r in RULES if "nonfinite" in r.get_params()],
    ids=lambda r: " ".join(str(r).split()),
)
def test_dropping_every_row_is_refused(rule):
    lenient = clone(rule).set_params(nonfinite="drop")
    with three_parts("(losses|residuals)"):
        lenient([np.nan, np.inf])
