"""The compander on the layers of a model."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.parametrizations import weight_norm  # noqa: E402

from statlearn.exceptions import ClippedWeightsWarning  # noqa: E402
from statlearn.neural import (  # noqa: E402
    load_map_state_dict,
    map_parameters,
    map_state_dict,
    strip,
    weight_maps,
)
from statlearn.neural.regularization import (  # noqa: E402
    compand,
    compander_parameters,
    uncompand,
    weight_statistics,
)

LINEAR = ["0.weight", "2.weight", "4.weight"]


def mlp(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 2)
    ).to(dtype)


def inputs(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(7, 6, generator=generator, dtype=torch.float64).to(dtype)


def train(model, n_steps=20, lr=0.5):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    x = inputs(next(model.parameters()).dtype)
    for _ in range(n_steps):
        optimizer.zero_grad()
        (model(x) - 1.0).square().mean().backward()
        optimizer.step()


def test_linear_and_convolution_weights_are_mapped_and_nothing_else():
    model = nn.ModuleDict(
        {
            "embedding": nn.Embedding(5, 4),
            "linear": nn.Linear(4, 4),
            "norm": nn.LayerNorm(4),
            "conv": nn.Conv1d(4, 4, 3),
            "up": nn.ConvTranspose2d(4, 4, 3),
        }
    )
    assert compand(model) == ["linear.weight", "conv.weight", "up.weight"]
    assert list(weight_maps(model)) == ["linear.weight", "conv.weight", "up.weight"]


def test_embedding_is_mapped_when_asked():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4))
    assert compand(model, layers=(nn.Embedding,)) == ["0.weight"]


def test_selectors_choose_the_layers():
    assert compand(mlp(), include="2") == ["2.weight"]
    assert compand(mlp(), exclude=["0", "4"]) == ["2.weight"]


@pytest.mark.parametrize("function", ["arctan", "erf", "power", "softsign", "tanh"])
@pytest.mark.parametrize("per_layer", [True, False])
def test_automatic_scales_leave_the_model_as_it_was(function, per_layer):
    model = mlp(torch.float64)
    x = inputs(torch.float64)
    before = model(x)
    assert compand(model, function=function, per_layer=per_layer) == LINEAR
    torch.testing.assert_close(model(x), before, rtol=1e-12, atol=1e-13)


def test_automatic_scales_follow_the_largest_weight():
    model = mlp(torch.float64)
    sizes = [model[i].weight.abs().max().item() for i in (0, 2, 4)]
    whole = copy.deepcopy(model)
    compand(model)
    compand(whole, per_layer=False)
    for found, size in zip(weight_maps(model).values(), sizes, strict=True):
        expected = 2 * size / math.pi * 1.05
        assert found.a.item() == pytest.approx(expected, rel=1e-12)
        assert found.b.item() == pytest.approx(expected, rel=1e-12)
    for found in weight_maps(whole).values():
        assert found.a.item() == pytest.approx(2.1 * max(sizes) / math.pi, rel=1e-12)


@pytest.mark.parametrize("function", ["arctan", "erf", "softsign", "tanh"])
def test_automatic_width_has_slope_one_at_zero(function):
    model = nn.Sequential(nn.Linear(3, 2, dtype=torch.float64))
    compand(model, a=0.7, function=function)
    small = torch.full((2, 3), 1e-8, dtype=torch.float64)
    torch.testing.assert_close(
        weight_maps(model)["0.weight"](small), small, rtol=1e-6, atol=0
    )


def test_pair_of_callables_is_bounded_like_its_function():
    model = nn.Sequential(nn.Linear(3, 2, dtype=torch.float64))
    largest = model[0].weight.abs().max().item()
    compand(model, function=(torch.tanh, torch.atanh))
    found = weight_maps(model)["0.weight"]
    assert found.bound.item() == pytest.approx(1.05 * largest)
    assert found.b.item() == pytest.approx(found.a.item(), rel=1e-5)


@pytest.mark.parametrize("function", ["arctan", "erf", "softsign", "tanh"])
def test_bound_holds_through_training(function):
    model = mlp()
    with pytest.warns(ClippedWeightsWarning, match="clipped"):
        compand(model, a=0.1, b=0.1, function=function)
    train(model, lr=5.0)
    for name, found in weight_maps(model).items():
        weight = model.get_submodule(name.removesuffix(".weight")).weight
        assert weight.abs().max() <= found.bound * (1 + 1e-6)


def test_one_warning_counts_the_clipped_weights_of_all_layers():
    model = mlp()
    # The bound is .157; the inverse reaches .999 of it.
    n = sum(
        int((model[i].weight.abs() >= 0.999 * 0.05 * math.pi).sum()) for i in (0, 2, 4)
    )
    total = 6 * 8 + 8 * 5 + 5 * 2
    with pytest.warns(ClippedWeightsWarning) as caught:
        compand(model, a=0.1, b=0.1)
    (message,) = (str(w.message) for w in caught)
    assert f"Got {n} of {total} " in message
    assert "in 0.weight, 2.weight, 4.weight" in message


def test_strict_refuses_to_clip_and_leaves_the_model_plain():
    model = mlp()
    with pytest.raises(ValueError, match="compand needs weights below"):
        compand(model, a=0.1, b=0.1, strict=True)
    assert weight_maps(model) == {}


def test_direct_start_clips_nothing():
    model = mlp(torch.float64)
    before = model[0].weight.detach().clone()
    compand(model, a=0.1, b=0.1, init="direct")
    torch.testing.assert_close(model[0].weight, 0.1 * torch.atan(before / 0.1))


@pytest.mark.parametrize(
    ("dtype", "rtol"), [("float32", 1e-5), ("float64", 1e-10)], ids=["single", "double"]
)
def test_folded_model_computes_what_the_mapped_one_did(dtype, rtol):
    model = mlp(getattr(torch, dtype))
    compand(model, learnable=True)
    train(model)
    x = inputs(getattr(torch, dtype))
    before = model(x)
    assert uncompand(model) == LINEAR
    assert type(model[0].weight) is nn.Parameter
    torch.testing.assert_close(model(x), before, rtol=rtol, atol=rtol)


def test_stripped_model_has_its_old_bits():
    model = mlp()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.warns(ClippedWeightsWarning, match="clipped"):
        compand(model, a=0.1, b=0.1)
    optimizer = torch.optim.SGD([model[0].parametrizations.weight.original], lr=0.1)
    model(inputs()).sum().backward()
    optimizer.step()
    strip(model)
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


def test_state_of_the_maps_goes_round():
    model, other = mlp(), mlp()
    compand(model, learnable=True)
    compand(other, learnable=True, a=1.0, b=2.0)
    train(model)
    load_map_state_dict(other, map_state_dict(model))
    for i in (0, 2, 4):
        assert torch.equal(other[i].weight, model[i].weight)


def test_copy_of_a_model_can_be_folded_alone():
    model = mlp()
    compand(model)
    twin = copy.deepcopy(model)
    uncompand(twin)
    assert list(weight_maps(model)) == LINEAR
    torch.testing.assert_close(twin(inputs()), model(inputs()))


def test_scales_are_parameters_only_when_learned():
    model = mlp()
    compand(model)
    assert list(compander_parameters(model)) == []
    learned = mlp()
    compand(learned, learnable=True)
    assert len(list(compander_parameters(learned))) == 6


def test_shared_scales_are_trained_once_and_move_together():
    model = mlp(torch.float64)
    compand(model, learnable=True, per_layer=False)
    scales = list(compander_parameters(model))
    assert len(scales) == 2
    train(model)
    values = {found.a.item() for found in weight_maps(model).values()}
    assert len(values) == 1
    assert scales[0].item() != 0.0
    twin = copy.deepcopy(model)
    assert len(list(compander_parameters(twin))) == 2


def test_gradient_of_shared_scales_counts_the_weights_of_all_layers():
    model = mlp(torch.float64)
    compand(model, a=2.0, b=2.0, learnable=True, per_layer=False)
    sum(model[i].weight.sum() for i in (0, 2, 4)).backward()
    total = sum(model[i].weight.sum().item() for i in (0, 2, 4))
    (log_a, _) = compander_parameters(model)
    np.testing.assert_allclose(log_a.grad, total / math.sqrt(98), rtol=1e-10)


def test_half_precision_model_keeps_single_precision_scales():
    model = mlp(torch.bfloat16)
    compand(model)
    found = weight_maps(model)["0.weight"]
    assert found.a.dtype == torch.float32
    assert model[0].weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": 0.0}, "The 'a' of compand must be a finite number > 0"),
        ({"b": math.nan}, "The 'b' of compand must be a finite number > 0"),
        ({"a": "big"}, "The 'a' of compand must be a positive number or 'auto'"),
        ({"function": "sine"}, "The 'function' of compand must be one of"),
        ({"init": "random"}, "The 'init' of compand must be 'inverse' or 'direct'"),
        ({"include": "9"}, "The 'include' of compand must fit names"),
    ],
    ids=["a", "b", "word", "function", "init", "include"],
)
def test_bad_argument_is_refused_before_any_work(arguments, message):
    model = mlp()
    with pytest.raises(ValueError, match=message):
        compand(model, **arguments)
    assert weight_maps(model) == {}


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf], ids=["zero", "nan", "inf"])
def test_automatic_scale_needs_a_weight_to_look_at(value):
    model = mlp()
    nn.init.constant_(model[4].weight, value)
    with pytest.raises(ValueError, match=r"Got a largest size of .* in '4.weight'"):
        compand(model)


def test_second_compander_is_refused():
    model = mlp()
    compand(model)
    with pytest.raises(ValueError, match="puts one WeightCompander on a tensor"):
        compand(model)


def test_folding_a_plain_model_is_refused():
    with pytest.raises(ValueError, match="uncompand must find a WeightCompander"):
        uncompand(mlp())


def test_shared_scales_are_trained_once():
    model = mlp()
    compand(model, learnable=True, per_layer=False)
    trained = list(map_parameters(model))
    assert len(trained) == len(set(trained)) == 3 + 2


@pytest.mark.parametrize(
    ("choice", "names"),
    [({"include": ["2"]}, LINEAR[1:2]), ({"exclude": ["2", "4"]}, LINEAR[:1])],
    ids=["include", "exclude"],
)
def test_iterators_choose_layers_as_lists_do(choice, names):
    assert (
        compand(mlp(), **{key: iter(value) for key, value in choice.items()}) == names
    )


UNREADABLE = {
    "meta": lambda: nn.Linear(3, 2, device="meta"),
    "complex": lambda: nn.Linear(3, 2, dtype=torch.complex64),
    "empty": lambda: nn.Conv1d(0, 2, 1),
}


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("scales", [{}, {"a": 1.0, "b": 1.0}], ids=["auto", "given"])
@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
def test_weights_without_real_numbers_are_refused(make, scales):
    model = nn.Sequential(make())
    with pytest.raises(ValueError, match=r"compand needs weights that hold real numb"):
        compand(model, **scales)
    with pytest.raises(ValueError, match=r"weight_statistics needs .* for '0.weight'"):
        weight_statistics(model)


def test_layer_whose_weight_is_computed_is_refused():
    model = nn.Sequential(nn.Linear(3, 2), weight_norm(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match=r"Got '1.weight' with _WeightNorm; remove"):
        compand(model)
    assert weight_maps(model) == {}
