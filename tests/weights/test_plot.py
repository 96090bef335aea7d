"""The display of weights draws what it stores."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from statlearn.weights import (
    Chain,
    ClipRatio,
    Huber,
    InverseFrequency,
    LinUpper,
    Upper,
    WeightDisplay,
    lin_upper_weights,
)
from stub_tensor import Tensor

LOSSES = np.array([0.2, 4.0, 1.0, 2.0, 0.5])
WEIGHTS = lin_upper_weights(LOSSES)


class Fitted(BaseEstimator):
    def fit(self, weights):
        self.weights_ = weights
        return self


def points(display):
    (line,) = display.artists_
    return line.get_xdata(), line.get_ydata()


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


# ----------------------------------------------------------------------- evidence
def test_a_rule_is_drawn_as_weight_against_evidence():
    display = WeightDisplay.from_rule("lin_upper", LOSSES).plot()
    x, y = points(display)
    assert_array_equal(x, LOSSES)
    assert_array_equal(y, WEIGHTS)
    assert display.ax_.get_xlabel() == "Loss"
    assert display.ax_.get_ylabel() == "Weight"
    assert display.ax_.get_title() == ""
    assert display.ax_.get_ylim()[0] == 0.0
    assert display.figure_ is display.ax_.figure


def test_legend_names_the_rule_and_the_effective_sample_size():
    display = WeightDisplay.from_rule("lin_upper", LOSSES)
    size = WEIGHTS.sum() ** 2 / (WEIGHTS**2).sum()
    assert legend(display.plot()) == [f"LinUpper (ESS {size:.4g} of 5)"]
    assert legend(display.plot(name="mine")) == [f"mine (ESS {size:.4g} of 5)"]


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        (Huber(), "Residual / scale"),
        (Chain(Huber(), ClipRatio()), "Residual / scale"),
        (ClipRatio(), "Weight before"),
        (lambda evidence, **options: np.ones(len(evidence)), "Evidence"),
    ],
    ids=["residual", "chain", "link", "function"],
)
def test_evidence_is_named_by_what_the_rule_looks_at(rule, label):
    display = WeightDisplay.from_rule(rule, LOSSES).plot()
    assert display.ax_.get_xlabel() == label


@pytest.mark.parametrize("labels", [[30, 7, 7, 7], ["z", "b", "b", "b"]])
@pytest.mark.parametrize("as_groups", [True, False])
def test_groups_stand_side_by_side_under_their_names(labels, as_groups):
    rule = InverseFrequency()
    display = (
        WeightDisplay.from_rule(rule, np.zeros(4), groups=labels)
        if as_groups
        else WeightDisplay.from_rule(rule, labels)
    ).plot()
    x, y = points(display)
    assert_array_equal(x, [1, 0, 0, 0])
    assert_allclose(y, [2.0, 2 / 3, 2 / 3, 2 / 3])
    ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert ticks == [str(label) for label in sorted(set(labels))]
    assert display.ax_.get_xlabel() == "Group"


def test_base_weights_are_divided_out_and_rows_without_them_left_out():
    base = np.array([1.0, 2.0, 0.0, 1.0, 3.0])
    display = WeightDisplay.from_rule(LinUpper(), LOSSES, base_weight=base).plot()
    x, y = points(display)
    kept = base > 0.0
    weights = lin_upper_weights(LOSSES, base_weight=base)
    assert_array_equal(x, LOSSES[kept])
    assert_allclose(y, weights[kept] / base[kept])
    assert display.ax_.get_ylabel() == "Weight / base weight"
    assert legend(display)[0].endswith("of 4)")


def test_step_reaches_the_rule():
    display = WeightDisplay.from_rule(LinUpper(warmup=5), LOSSES, step=1)
    assert_array_equal(display.weights, 1.0)


def test_tensors_are_drawn():
    losses = Tensor(LOSSES, device="cuda", requires_grad=True)
    x, y = points(WeightDisplay.from_rule("linupper", losses).plot())
    assert_array_equal(x, LOSSES)
    assert_array_equal(y, WEIGHTS)


# ------------------------------------------------------------- lorenz and histogram
def test_weights_alone_are_drawn_as_a_lorenz_curve():
    display = WeightDisplay.from_weights([3.0, 0.0, 1.0, 1.0]).plot()
    x, y = points(display)
    assert_allclose(x, [0.0, 0.25, 0.5, 0.75, 1.0])
    assert_allclose(y, [0.0, 0.0, 0.2, 0.4, 1.0])
    assert legend(display) == ["weights (ESS 2.273 of 4)"]
    assert display.ax_.get_xlabel() == "Share of the rows, lightest first"
    assert display.ax_.get_ylabel() == "Share of all weight"


def test_lorenz_curve_counts_rows_by_their_base_weight():
    # the second row stands for three rows, of weight 1 each
    display = WeightDisplay.from_weights([2.0, 3.0], base_weight=[1.0, 3.0]).plot()
    x, y = points(display)
    assert_allclose(x, [0.0, 0.75, 1.0])
    assert_allclose(y, [0.0, 0.6, 1.0])


def test_a_histogram_counts_rows():
    display = WeightDisplay.from_weights([1.0, 1.0, 2.0], base_weight=[1, 1, 2]).plot(
        kind="histogram", bins=4
    )
    assert len(display.artists_) == 4
    assert sum(bar.get_height() for bar in display.artists_) == 4.0
    assert display.ax_.get_ylabel() == "Rows"
    assert display.ax_.get_xlabel() == "Weight / base weight"


@pytest.mark.parametrize("kind", ["evidence", "lorenz", "histogram"])
def test_displays_that_share_axes_have_their_own_colours(kind):
    _, ax = plt.subplots()
    displays = [
        WeightDisplay.from_rule(rule, LOSSES).plot(ax, kind=kind)
        for rule in ("linupper", Upper(), Upper(2.0))
    ]
    assert all(display.ax_ is ax for display in displays)
    colors = {
        artist.get_facecolor() if kind == "histogram" else artist.get_color()
        for artist in (display.artists_[0] for display in displays)
    }
    assert len(colors) == 3
    assert len(legend(displays[-1])) == 3
    diagonals = [line for line in ax.get_lines() if line.get_gid() == "equal"]
    assert len(diagonals) == (kind == "lorenz")


@pytest.mark.parametrize("kind", ["evidence", "lorenz", "histogram"])
def test_keywords_reach_matplotlib(kind):
    display = WeightDisplay.from_rule("linupper", LOSSES)
    (artist, *_) = display.plot(kind=kind, alpha=0.25).artists_
    assert artist.get_alpha() == 0.25


@pytest.mark.parametrize("kind", ["evidence", "lorenz", "histogram"])
@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_tiny_and_huge_weights_are_drawn(kind, scale):
    display = WeightDisplay.from_weights(WEIGHTS * scale, evidence=LOSSES)
    display.plot(kind=kind).figure_.draw_without_rendering()
    assert np.isfinite(display.ax_.get_xlim() + display.ax_.get_ylim()).all()


# ---------------------------------------------------------------------- estimators
def test_weights_of_an_estimator_are_taken():
    model = Fitted().fit(WEIGHTS)
    display = WeightDisplay.from_estimator(model)
    assert_array_equal(display.weights, WEIGHTS)
    assert legend(display.plot())[0].startswith("Fitted (ESS")
    residuals = np.arange(5.0)
    x, _ = points(WeightDisplay.from_estimator(model, evidence=residuals).plot())
    assert_array_equal(x, residuals)


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError, match=r"expected a fitted Fitted. Got .*; call"):
        WeightDisplay.from_estimator(Fitted())


def test_an_estimator_without_weights_is_refused():
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with pytest.raises(TypeError, match=r"must have weights_. Got LinearRegression"):
        WeightDisplay.from_estimator(model)


# ----------------------------------------------------------------------- bad input
def test_evidence_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"'evidence' of .* must have shape \(2,\)"):
        WeightDisplay.from_weights([1.0, 2.0], evidence=[1.0])


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"'kind' parameter .* Got 'pie'; pass one"):
        WeightDisplay.from_weights([1.0]).plot(kind="pie")


def test_evidence_that_is_not_there_cannot_be_drawn():
    with pytest.raises(ValueError, match=r"expected evidence. Got weights alone; pass"):
        WeightDisplay.from_weights([1.0]).plot(kind="evidence")


def test_several_axes_are_refused():
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match=r"'ax' parameter of WeightDisplay.plot must"):
        WeightDisplay.from_weights([1.0]).plot(axes)
