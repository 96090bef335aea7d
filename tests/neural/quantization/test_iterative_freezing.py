from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import weight_maps  # noqa: E402
from statlearn.neural.quantization import (  # noqa: E402
    IterativeFreezing,
    QKReparamAttention,
    quantize_model,
)


def layer_of(method):
    model = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(
            torch.tensor([[0.02, 0.6, -0.6, 0.9], [0.5, -0.5, 0.7, -0.7]])
        )
    quantize_model(model, 2, method=method)
    return model, model.parametrizations.weight.original


@pytest.mark.parametrize("method", ["statsq", "lsq"])
def test_a_weight_that_flips_is_frozen_at_its_mean_code(method):
    model, stored = layer_of(method)
    quantizer = weight_maps(model)["weight"]
    freezing = IterativeFreezing(model, momentum=0.25, threshold=0.3)
    values = torch.tensor([0.6, -0.1, 0.6, 0.6, -0.1, 0.6, -0.1, 0.6, -0.1])
    if method == "statsq":
        values = torch.tensor([0.02, -0.02, 0.02, 0.02, -0.02, 0.02, -0.02, 0.02])
    fractions, mean = [], None
    for value in values:
        with torch.no_grad():
            stored[0, 0] = value
        code = quantizer.encode(stored).codes[0, 0].item()
        freezing.update()
        if not any(fractions):
            mean = code if mean is None else mean + 0.25 * (code - mean)
        fractions.append(freezing.frozen_fraction_)
    assert fractions[0] == 0.0
    assert fractions[-1] == 1 / 8
    assert quantizer.encode(stored).codes[0, 0].item() == round(mean)


def test_frozen_weights_stay_in_the_middle_of_their_level():
    model, stored = layer_of("lsq")
    freezing = IterativeFreezing(model, momentum=0.5, threshold=0.3)
    for value in (0.6, -0.1, 0.6):
        with torch.no_grad():
            stored[0, 0] = value
        freezing.update()
    assert freezing.frozen_fraction_ == 1 / 8
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(1, 4)).sum().backward()
        optimizer.step()
        freezing.update()
        assert stored[0, 0] == model.weight[0, 0]
        assert stored[0, 1] != model.weight[0, 1]


def test_products_are_left_alone():
    model = nn.ModuleDict({"a": QKReparamAttention(4, 2, 2), "b": nn.Linear(4, 4)})
    quantize_model(model, 2, include="b")
    freezing = IterativeFreezing(model)
    assert math.isnan(freezing.frozen_fraction_)
    freezing.update()
    assert freezing.frozen_fraction_ == 0.0
    with pytest.raises(KeyError, match=r"choose one of \['b.weight'\]"):
        freezing.tracker.frequency("a.qk_product")


def test_bad_input_is_refused():
    model = layer_of("statsq")[0]
    with pytest.raises(ValueError, match=r"'threshold' of IterativeFreezing"):
        IterativeFreezing(model, threshold=-0.1)
    with pytest.raises(ValueError, match=r"'momentum' of .* Got 1.5"):
        IterativeFreezing(model, momentum=1.5)
    with pytest.raises(ValueError, match=r"IterativeFreezing needs a module with"):
        IterativeFreezing(nn.Linear(2, 2))
