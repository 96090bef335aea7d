"""Laws of a weight map, on every map of the package.

A new map joins `MAPS` below and inherits the tests.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import pkgutil
from dataclasses import dataclass

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.parametrize import is_parametrized  # noqa: E402

import statlearn.neural  # noqa: E402
from statlearn.neural import (  # noqa: E402
    WeightMap,
    attach,
    count_trainable,
    fold,
    load_map_state_dict,
    map_parameters,
    map_state_dict,
    strip,
    unfold,
    weight_maps,
)
from statlearn.neural.adapters import BlockAffine, LowRank  # noqa: E402
from statlearn.neural.quantization import LSQQuantizer, StatsQuantizer  # noqa: E402
from statlearn.neural.regularization import WeightCompander  # noqa: E402


class Shift(WeightMap):
    """A row vector that is added: the smallest adapter."""

    def __init__(self, weight):
        super().__init__()
        self.shift = nn.Parameter(weight.new_zeros(weight.shape[1]))

    def forward(self, weight):
        return weight + self.shift

    def linear(self, weight, bias, x):
        return nn.functional.linear(x, weight, bias) + (x @ self.shift)[..., None]


class Cube(WeightMap):
    """A smooth bijection through which the stored weight is trained."""

    trains_base = True

    def forward(self, weight):
        return weight + weight**3

    def right_inverse(self, weight):
        # Newton's method for v + v^3 = w; the map is increasing, so it converges.
        v = weight.clone()
        for _ in range(60):
            v = v - (v + v**3 - weight) / (1 + 3 * v**2)
        return v


@dataclass(frozen=True)
class Case:
    """How a map is made, and which promises its method makes.

    `start` is the largest difference between a fresh map and the base, relative to the
    largest weight, in units of rounding; None where the method starts elsewhere.
    """

    make: object
    start: float | None = 0.0
    theta: int | None = None  # size of the state beside a stored tensor, 8 x 12 weights
    layer: type = nn.Linear  # kind of the layer that gets the map


def bone(variant, **options):
    return lambda w: BlockAffine(
        *w.shape, r=4, variant=variant, dtype=w.dtype, **options
    )


def low_rank(w):
    generator = torch.Generator().manual_seed(0)
    return LowRank(*w.shape, r=3, dtype=w.dtype, generator=generator)


def bounded(function, **options):
    # Bounds that no weight of the network below reaches.
    return lambda w: WeightCompander(
        0.5, 0.4, function=function, dtype=w.dtype, **options
    )


def maps():
    """Yield every map of the package, by a plain name."""
    yield "shift", Case(Shift, theta=12)
    yield "cube", Case(lambda w: Cube(), start=8.0, theta=0)
    yield "bone col", Case(bone("col"), theta=8 * 4)
    yield "bone row", Case(bone("row"), theta=12 * 4)
    yield "bone free", Case(bone("free"), theta=4 * 4)
    yield "bone ab", Case(bone("ab"), theta=2 * 12 * 4)
    yield "bone additive", Case(bone("additive"), theta=4 * 8)
    yield "bone mini", Case(bone("mini", mini_r=2), theta=4 * 2)
    yield "lora", Case(low_rank, theta=3 * (8 + 12))
    yield "pissa", Case(lambda w: LowRank.principal(w, 3), theta=2 * 3 * (8 + 12))
    for function in ("arctan", "tanh", "softsign", "erf", "power"):
        yield f"compander {function}", Case(bounded(function), start=8.0, theta=2)
    pair = (torch.asinh, torch.sinh)
    yield "compander pair", Case(bounded(pair), start=8.0, theta=2)
    yield (
        "compander direct",
        Case(bounded("arctan", init="direct"), start=None, theta=2),
    )
    yield (
        "compander learned",
        Case(bounded("arctan", learnable=True), start=8.0, theta=4),
    )
    for bits in (1, 2, 4):
        yield (
            f"statsq {bits}",
            Case(lambda w, bits=bits: StatsQuantizer(bits), start=None, theta=0),
        )
        yield (
            f"lsq {bits}",
            Case(lambda w, bits=bits: LSQQuantizer(bits, w), start=None, theta=8),
        )
    yield (
        "statsq clipped",
        Case(lambda w: StatsQuantizer(2, ste="clipped"), start=None, theta=0),
    )
    yield (
        "lsq unsigned",
        Case(lambda w: LSQQuantizer(2, w, signed=False), start=None, theta=8),
    )
    yield (
        "lsq one scale",
        Case(lambda w: LSQQuantizer(2, w, per_row=False), start=None, theta=1),
    )
    conv = {"layer": nn.Conv2d}
    yield "compander conv", Case(bounded("arctan"), start=8.0, theta=2, **conv)
    yield (
        "statsq conv",
        Case(lambda w: StatsQuantizer(2, axis=0), start=None, theta=0, **conv),
    )
    yield (
        "lsq conv",
        Case(lambda w: LSQQuantizer(2, w, axis=0), start=None, theta=8, **conv),
    )


MAPS = dict(maps())
FROZEN = [
    name for name, case in MAPS.items() if not case.make(torch.ones(8, 12)).trains_base
]
STARTING = [name for name, case in MAPS.items() if case.start is not None]
DTYPES = {"float32": (torch.float32, 1e-5), "float64": (torch.float64, 1e-10)}


class Pictures(nn.Sequential):
    """Layers that see each row as three channels of two by two pixels."""

    def forward(self, x):
        return super().forward(x.reshape(-1, 3, 2, 2)).flatten(1)


def network(name, dtype=torch.float64):
    torch.manual_seed(0)
    if MAPS[name].layer is nn.Conv2d:
        model = Pictures(nn.Conv2d(3, 8, 2), nn.Tanh(), nn.Conv2d(8, 4, 1))
    else:
        model = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 4))
    return model.to(dtype)


def put(name, model, **options):
    """Put the map of a name on the first layer."""
    case = MAPS[name]
    layers = {"include": "0", "layers": (case.layer,)}
    attach(model, lambda _, weight: case.make(weight), **layers, **options)


def inputs(dtype=torch.float64):
    return torch.randn(
        5, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    ).to(dtype)


def mapped(name, dtype=torch.float64):
    model = network(name, dtype)
    put(name, model)
    return model


def trained(name, dtype=torch.float64, steps=3):
    """A network whose map has moved away from its start."""
    model = mapped(name, dtype)
    optimizer = torch.optim.SGD(map_parameters(model), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        model(inputs(dtype)).square().sum().backward()
        optimizer.step()
    return model


def bits(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same_bits(first, second):
    return list(first) == list(second) and all(
        torch.equal(first[name], second[name]) for name in first
    )


@pytest.fixture(params=list(MAPS))
def name(request):
    return request.param


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STARTING)
def test_fresh_map_leaves_the_weight_as_it_was(name, dtype):
    start = MAPS[name].start
    kind, _ = DTYPES[dtype]
    base = network(name, kind)[0].weight
    change = (mapped(name, kind)[0].weight - base).abs().max().item()
    assert change <= start * torch.finfo(kind).eps * base.abs().max().item()


@pytest.mark.parametrize("dtype", DTYPES)
def test_folded_layer_computes_what_the_mapped_one_did(name, dtype):
    kind, rtol = DTYPES[dtype]
    model = trained(name, kind)
    before = model(inputs(kind)).detach()
    assert fold(model) == ["0.weight"]
    assert type(model[0]) is MAPS[name].layer
    torch.testing.assert_close(model(inputs(kind)), before, rtol=rtol, atol=rtol)


def test_training_moves_what_the_layer_computes(name):
    before = mapped(name)(inputs())
    assert (trained(name)(inputs()) - before).abs().max() > 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
def test_strip_brings_the_bits_of_the_base_back(name, dtype):
    kind, _ = DTYPES[dtype]
    model = trained(name, kind)
    assert strip(model) == ["0.weight"]
    restored, base = bits(model), bits(network(name, kind))
    assert list(restored) == list(base)
    assert torch.equal(restored["0.weight"], base["0.weight"])
    assert all(p.requires_grad for p in model.parameters())
    assert type(model[0]) is MAPS[name].layer


def test_strip_to_the_stored_tensor_keeps_what_was_trained(name):
    model = trained(name)
    stored = model[0].parametrizations.weight.original.detach().clone()
    strip(model, to="stored")
    assert torch.equal(model[0].weight, stored)


def test_unfold_brings_map_and_stored_bits_back(name):
    model = trained(name)
    before = bits(model)
    fold(model, reversible=True)
    with torch.no_grad():
        model[0].weight.add_(1.0)
    assert unfold(model) == ["0.weight"]
    assert same_bits(bits(model), before)
    strip(model)
    assert torch.equal(model[0].weight, network(name)[0].weight)


def test_state_of_the_map_is_small_and_loads_into_a_fresh_one(name):
    model, other = trained(name), mapped(name)
    state = map_state_dict(model)
    size = sum(value.numel() for value in state.values())
    stored = model[0].parametrizations.weight.original.numel()
    case = MAPS[name]
    trains_base = weight_maps(model)["0.weight"].trains_base
    assert size == (stored if trains_base else 0) + case.theta
    load_map_state_dict(other, state)
    assert torch.equal(other[0].weight, model[0].weight)


@pytest.mark.parametrize("name", FROZEN)
def test_stored_tensor_of_an_adapter_is_frozen(name):
    model = trained(name)
    stored = model[0].parametrizations.weight.original
    assert not stored.requires_grad
    assert stored.grad is None
    assert all(p is not stored for p in map_parameters(model))


def test_every_parameter_of_the_map_gets_a_gradient(name):
    model = trained(name, steps=1)
    model.zero_grad()
    model(inputs()).square().sum().backward()
    for parameter in map_parameters(model):
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


def test_copy_of_the_module_is_independent(name):
    model = trained(name)
    before = model(inputs()).detach()
    twin = copy.deepcopy(model)
    assert torch.equal(twin(inputs()), before)
    fold(twin)
    assert is_parametrized(model[0], "weight")
    assert torch.equal(model(inputs()), before)


def test_whole_state_dict_goes_through_a_file_and_back(name):
    model, other, file = trained(name), mapped(name), io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(inputs()), model(inputs()))


def test_module_with_a_map_changes_its_precision(name):
    model = trained(name).to(torch.float32)
    assert model[0].weight.dtype == torch.float32
    assert model(inputs(torch.float32)).dtype == torch.float32


def test_second_map_of_the_class_is_refused(name):
    model = mapped(name)
    before = bits(model)
    with pytest.raises(ValueError, match="has one already; fold or strip it first"):
        put(name, model)
    assert same_bits(bits(model), before)


def test_rest_of_the_module_is_frozen_on_request_and_thawed_after(name):
    model = network(name)
    model[2].bias.requires_grad_(False)
    put(name, model, freeze_rest=True)
    assert not any(p.requires_grad for p in model[2].parameters())
    trainable, total = count_trainable(model)
    assert trainable == sum(p.numel() for p in map_parameters(model))
    assert total == sum(p.numel() for p in model.parameters())
    strip(model)
    assert model[2].weight.requires_grad
    assert not model[2].bias.requires_grad


def test_evaluation_gives_the_same_under_autograd_and_without(name):
    model = trained(name)
    with torch.no_grad():
        without = model(inputs())
    assert torch.equal(model(inputs()), without)


def test_every_public_map_is_listed():
    rooms = [
        importlib.import_module(f"statlearn.neural.{info.name}")
        for info in pkgutil.iter_modules(statlearn.neural.__path__)
        if info.ispkg and not info.name.startswith("_")
    ]
    public = {
        value
        for room in [statlearn.neural, *rooms]
        for value in map(vars(room).get, room.__all__)
        if inspect.isclass(value) and issubclass(value, WeightMap)
    }
    listed = {type(case.make(torch.ones(8, 12))) for case in MAPS.values()}
    assert public - {WeightMap} == listed - {Shift, Cube}
