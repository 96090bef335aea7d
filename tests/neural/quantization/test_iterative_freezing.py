from __future__ import annotations

import copy
import io
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


def flip(stored, quantizer, freezing, *, size=0.9, n_flips=4):
    """Move all weights back and forth by about a level, with an update each time."""
    freezing.update()
    for k in range(n_flips):
        with torch.no_grad():
            stored.add_(quantizer.step(stored) * (size if k % 2 else -size))
        freezing.update()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("method", ["statsq", "lsq"])
@pytest.mark.parametrize("n_columns", [4, 32])
def test_updates_without_a_step_change_nothing(method, bits, n_columns):
    torch.manual_seed(0)
    model = nn.Linear(n_columns, 4, bias=False)
    quantize_model(model, bits, method=method)
    stored = model.parametrizations.weight.original
    freezing = IterativeFreezing(model, momentum=0.5, threshold=0.1)
    flip(stored, weight_maps(model)["weight"], freezing)
    before, fraction = stored.detach().clone(), freezing.frozen_fraction_
    assert fraction > 0.0
    for _ in range(50):
        freezing.update()
        assert torch.equal(stored, before)
        assert freezing.tracker.changed_fraction_ == 0.0
    assert freezing.frozen_fraction_ == fraction


@pytest.mark.parametrize("row", [[1.0, 0.9, 0.8, 0.1], [1.0, 1.0, 1.0, 0.9]], ids=str)
def test_rows_that_freeze_as_a_whole_keep_their_size(row):
    model = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([row]))
    quantize_model(model, 2)
    stored = model.parametrizations.weight.original
    freezing = IterativeFreezing(model)
    freezing.update()
    for _ in range(3):
        with torch.no_grad():
            stored.neg_()
        freezing.update()
    assert freezing.frozen_fraction_ == 1.0
    frozen = stored.detach().clone()
    assert frozen.abs().max() <= 2.0
    for _ in range(3):
        with torch.no_grad():
            stored.mul_(-3.0)
        freezing.update()
        assert torch.equal(stored, frozen)


def test_scale_solves_the_equation_of_its_row():
    """2 * 3.5 / (4 - 2 * 0.25) = 2, whose level of code 0 is 0.5."""
    model = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.1, 1.0, -1.5, 1.0]]))
    quantize_model(model, 2)
    stored = model.parametrizations.weight.original
    freezing = IterativeFreezing(model, momentum=0.25, threshold=0.2)
    for value in (0.1, -0.1, 0.1):
        with torch.no_grad():
            stored[0, 0] = value
        freezing.update()
    assert stored.tolist() == [[0.5, 1.0, -1.5, 1.0]]
    with torch.no_grad():
        stored[0, 1:] *= 2.0  # what is free takes the scale along
    freezing.update()
    assert stored.tolist() == [[1.0, 2.0, -3.0, 2.0]]


@pytest.mark.parametrize("bits", [2, 8])
def test_training_does_not_change_the_codes_of_frozen_weights(bits):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 4))
    names = quantize_model(model, bits)
    X = torch.randn(64, 16)
    y = torch.tanh(X @ torch.randn(16, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    freezing = IterativeFreezing(model, momentum=0.05, threshold=0.06)
    for _ in range(60):
        known = freezing.state_dict()["_code"]
        optimizer.zero_grad()
        (model(X) - y).square().mean().backward()
        optimizer.step()
        freezing.update()
        for name, code in known.items():
            frozen = code.isfinite()
            now = freezing.tracker.codes(name).float()
            assert torch.equal(now[frozen], code[frozen])
    assert set(known) == set(names)
    assert freezing.frozen_fraction_ > 0.02


def test_state_goes_on_in_another_object():
    torch.manual_seed(0)
    model = nn.Linear(32, 4, bias=False)
    quantize_model(model, 4)
    stored, quantizer = (
        model.parametrizations.weight.original,
        weight_maps(model)["weight"],
    )
    options = {"momentum": 0.5, "threshold": 0.1}
    freezing = IterativeFreezing(model, **options)
    flip(stored, quantizer, freezing, n_flips=2)
    assert freezing.frozen_fraction_ > 0.0
    twin = copy.deepcopy(model)
    other = IterativeFreezing(twin, **options)
    file = io.BytesIO()
    torch.save(freezing.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.frozen_fraction_ == freezing.frozen_fraction_
    noise = 0.1 * torch.randn(6, *stored.shape)
    for one, its in ((model, freezing), (twin, other)):
        weight = one.parametrizations.weight.original
        for step in noise:
            with torch.no_grad():
                weight.add_(step)
            its.update()
    assert torch.equal(stored, twin.parametrizations.weight.original)
    assert other.frozen_fraction_ == freezing.frozen_fraction_


def test_state_of_another_kind_is_refused_and_nothing_is_loaded():
    freezing = IterativeFreezing(layer_of("statsq")[0])
    freezing.update()
    state = freezing.state_dict()
    other = IterativeFreezing(layer_of("statsq")[0])
    with pytest.raises(ValueError, match=r"Got one without \['_kept'\]; pass"):
        other.load_state_dict({k: v for k, v in state.items() if k != "_kept"})
    with pytest.raises(ValueError, match=r"Got \{'weight': \(3,\)\}; make it"):
        other.load_state_dict({**state, "_code": {"weight": torch.ones(3)}})
    with pytest.raises(ValueError, match="'state' of OscillationTracker"):
        other.load_state_dict({**state, "tracker": {}})
    assert math.isnan(other.frozen_fraction_)
    assert other.state_dict()["_mean"] == {}


def test_products_alone_are_refused():
    with pytest.raises(ValueError, match="Got products of queries and keys only; use"):
        IterativeFreezing(nn.Sequential(QKReparamAttention(4, 2, 2)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_default_type_does_not_matter(dtype):
    model, stored = layer_of("statsq")
    torch.set_default_dtype(dtype)
    try:
        freezing = IterativeFreezing(model, momentum=0.5, threshold=0.1)
        flip(stored, weight_maps(model)["weight"], freezing)
        assert freezing.tracker.frequency("weight").dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
    assert freezing.frozen_fraction_ > 0.0
