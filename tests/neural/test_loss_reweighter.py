from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from statlearn.exceptions import DroppedRowsWarning  # noqa: E402
from statlearn.neural._loss_reweighter import LossReweighter  # noqa: E402
from statlearn.weights import (  # noqa: E402
    Chain,
    ClipRatio,
    InverseFrequency,
    KLTilt,
    LinUpper,
    Trimmed,
)

numbers = st.floats(0.0, 100.0)


def leaf(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype, requires_grad=True)


def test_tilted_losses_are_weighted_by_a_softmax():
    losses = leaf([0.0, math.log(2.0), math.log(5.0)])
    reweighter = LossReweighter(KLTilt(1.0))
    loss = reweighter(losses)
    # Weights 1, 2, 5 of 8.
    expected = (2 * math.log(2.0) + 5 * math.log(5.0)) / 8
    assert loss.item() == pytest.approx(expected, rel=1e-14)
    loss.backward()
    np.testing.assert_allclose(losses.grad, [1 / 8, 2 / 8, 5 / 8], rtol=1e-14)
    np.testing.assert_allclose(reweighter.weights_, [3 / 8, 6 / 8, 15 / 8], rtol=1e-14)


@given(st.lists(numbers, min_size=1, max_size=8))
def test_equal_weights_are_the_plain_mean(values):
    loss = LossReweighter("uniform")(leaf(values))
    assert loss.item() == pytest.approx(np.mean(values), rel=1e-12, abs=1e-12)


@given(st.lists(numbers, min_size=2, max_size=8), numbers)
def test_no_gradient_flows_through_the_weights(values, target):
    losses = leaf(values)
    reweighter = LossReweighter("kltilt")
    reweighter(losses).backward()
    assert not reweighter.weights_.requires_grad
    expected = reweighter.weights_ / reweighter.weights_.sum()
    torch.testing.assert_close(losses.grad, expected, rtol=1e-12, atol=0)


@given(st.lists(st.tuples(numbers, st.integers(0, 3)), min_size=1, max_size=8))
def test_integer_base_weights_are_repeated_rows(pairs):
    values, counts = (list(column) for column in zip(*pairs, strict=True))
    repeated = np.repeat(values, counts)
    if not len(repeated):
        return
    first = LossReweighter("linupper")(leaf(values), base_weight=counts)
    second = LossReweighter("linupper")(leaf(repeated))
    assert first.item() == pytest.approx(second.item(), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("unit", [1e-300, 1e-50, 1e-40, 1e30, 1e50, 1e300])
def test_the_unit_of_base_weights_does_not_matter_in_single_precision(unit):
    base = np.array([1.0, 2.0, 0.0, 3.0])
    losses, scaled = (leaf([0.1, 0.2, 5.0, 3.0], torch.float32) for _ in range(2))
    plain, reweighter = LossReweighter("linupper"), LossReweighter("linupper")
    expected, found = (
        plain(losses, base_weight=base),
        reweighter(scaled, base_weight=unit * base),
    )
    expected.backward()
    found.backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(scaled.grad, losses.grad)
    shares = (one.weights_ / one.weights_.sum() for one in (reweighter, plain))
    torch.testing.assert_close(*shares, rtol=1e-4, atol=0)  # subnormal for 1e-40


def test_groups_have_the_weights_of_their_rule():
    groups = ["a", "a", "a", "b"]
    loss = LossReweighter(InverseFrequency())(
        leaf([1.0, 2.0, 3.0, 10.0]), groups=groups
    )
    assert loss.item() == pytest.approx((2.0 + 10.0) / 2, rel=1e-14)


def test_tensors_of_groups_are_labels_too():
    groups = torch.tensor([0, 0, 0, 1])
    loss = LossReweighter("inversefrequency")(
        leaf([1.0, 2.0, 3.0, 10.0]), groups=groups
    )
    assert loss.item() == pytest.approx(6.0, rel=1e-14)


def test_chains_of_rules_are_rules():
    rule = Chain(InverseFrequency(), ClipRatio(2.0))
    values, groups = [1.0, 2.0, 3.0, 10.0], ["a", "a", "a", "b"]
    loss = LossReweighter(rule)(leaf(values), groups=groups)
    assert loss.item() == pytest.approx((1 + 2 + 3 + 2 * 10) / 5, rel=1e-14)


def test_rules_on_weights_look_at_base_weights():
    loss = LossReweighter(ClipRatio(2.0))(leaf([1.0, 4.0]), base_weight=[1.0, 1.0])
    assert loss.item() == 2.5


def test_rules_are_told_the_step():
    losses = [0.1, 0.2, 5.0]
    reweighter = LossReweighter(LinUpper(warmup=3))
    assert reweighter(leaf(losses), step=2).item() == pytest.approx(5.3 / 3)
    assert reweighter(leaf(losses), step=3).item() != pytest.approx(5.3 / 3, rel=1e-3)


def test_zero_weight_row_is_ignored_even_if_its_loss_is_nan():
    losses = leaf([1.0, math.nan, 3.0])
    loss = LossReweighter("uniform")(losses, base_weight=[1, 0, 1])
    loss.backward()
    assert loss.item() == 2.0
    assert losses.grad.tolist() == [0.5, 0.0, 0.5]


def test_a_batch_without_weight_has_no_loss():
    losses = leaf([1.0, math.nan])
    loss = LossReweighter("linupper")(losses, base_weight=[0, 0])
    loss.backward()
    assert loss.item() == 0.0
    assert losses.grad.tolist() == [0.0, 0.0]


def test_dropped_rows_have_no_part_in_the_loss():
    reweighter = LossReweighter(Trimmed(nonfinite="drop"))
    with pytest.warns(DroppedRowsWarning):
        loss = reweighter(leaf([1.0, 1.0, math.nan]))
    assert loss.item() == 1.0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_in_half_precision_are_summed_in_float32(dtype):
    losses = leaf([0.1] * 4096, dtype)
    loss = LossReweighter("uniform")(losses)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(losses[0].item(), rel=1e-5)
    loss.backward()
    assert losses.grad.dtype == dtype


@pytest.mark.parametrize("rule", ["huber", "bisquare"])
def test_rules_on_residuals_are_refused(rule):
    with pytest.raises(ValueError, match=r"must look at losses, groups or weights"):
        LossReweighter(rule)


def test_rules_on_groups_need_groups():
    with pytest.raises(ValueError, match="'groups' of LossReweighter must be given"):
        LossReweighter("inversefrequency")(leaf([1.0, 2.0]))


@pytest.mark.parametrize(
    ("losses", "options", "error", "words"),
    [
        ([1.0], {}, TypeError, "Got list"),
        (torch.tensor([1, 2]), {}, TypeError, "Got torch.int64"),
        (torch.ones(2, 2), {}, ValueError, r"Got shape \(2, 2\)"),
        (torch.ones(2), {"base_weight": [1.0]}, ValueError, "'base_weight'"),
        (torch.ones(2), {"base_weight": [1.0, -1.0]}, ValueError, "'base_weight'"),
        (torch.ones(2), {"groups": ["a"]}, ValueError, "'groups'"),
        (torch.tensor([1.0, math.nan]), {}, ValueError, "must be finite"),
    ],
    ids=["list", "integers", "table", "short", "negative", "labels", "nan"],
)
def test_bad_input_is_refused(losses, options, error, words):
    with pytest.raises(error, match=words):
        LossReweighter("linupper")(losses, **options)


def test_rules_that_give_no_weights_are_refused():
    def rule(losses, *, groups=None, base_weight=None, step=None):
        return -np.ones(len(losses))

    with pytest.raises(ValueError, match="must return 2 finite numbers"):
        LossReweighter(rule)(torch.ones(2))


def test_what_it_is_made_of_is_shown():
    assert repr(LossReweighter("linupper")) == "LossReweighter(LinUpper(), gather=True)"
