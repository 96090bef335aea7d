"""The distribution of the weights of a model."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.parametrizations import weight_norm  # noqa: E402

from statlearn.neural.regularization import (  # noqa: E402
    compand,
    weight_statistics,
)


def test_statistics_are_those_of_numpy():
    layer = nn.Conv2d(3, 4, 3)
    weight = layer.weight.detach().double().numpy()
    (found,) = weight_statistics(nn.Sequential(layer), tol=0.05).values()
    assert found["max_abs"] == np.abs(weight).max()
    assert found["std"] == pytest.approx(weight.std())
    assert found["near_zero"] == (np.abs(weight) < 0.05).mean()


def test_statistics_see_what_the_layer_uses():
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 1))
    with torch.no_grad():
        model[0].weight.fill_(0.1)
    compand(model, include="0", a=0.2, b=0.1, init="direct")
    found = weight_statistics(model)
    assert list(found) == ["0.weight", "2.weight"]
    assert found["0.weight"]["max_abs"] == pytest.approx(0.1570796327)
    assert found["0.weight"]["std"] == pytest.approx(0.0, abs=1e-9)


def test_selectors_choose_the_layers():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    assert list(weight_statistics(model, exclude="0")) == ["1.weight"]


@pytest.mark.parametrize("tol", [-1.0, math.nan])
def test_negative_tolerance_is_refused(tol):
    with pytest.raises(ValueError, match="The 'tol' of weight_statistics"):
        weight_statistics(nn.Linear(2, 2), tol)


def test_weights_that_a_layer_computes_are_described():
    layer = weight_norm(nn.Linear(3, 3))
    found = weight_statistics(nn.Sequential(nn.Linear(3, 3), layer))
    assert list(found) == ["0.weight", "1.weight"]
    assert found["1.weight"]["max_abs"] == layer.weight.abs().max().item()


def test_mask_says_which_weights_count():
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 3.0], [0.0, -5.0]]))
    model = nn.Sequential(layer, nn.Linear(2, 1))
    found = weight_statistics(model, include={"0.weight": layer.weight != 0.0})
    assert found == {"0.weight": {"max_abs": 5.0, "std": 4.0, "near_zero": 0.0}}
    with pytest.raises(ValueError, match=r"mask of '0.weight' in weight_statistics"):
        weight_statistics(model, include={"0.weight": [True]})
