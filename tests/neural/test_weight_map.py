"""What attach, fold, unfold and strip refuse, and several maps on one module."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.nn.utils.parametrizations import spectral_norm, weight_norm  # noqa: E402
from torch.nn.utils.parametrize import register_parametrization  # noqa: E402

from statlearn.neural import (  # noqa: E402
    WeightMap,
    attach,
    fold,
    load_map_state_dict,
    map_parameters,
    map_state_dict,
    strip,
    unfold,
    weight_maps,
)


class Gain(WeightMap):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, weight):
        return weight * self.gain


class OtherGain(Gain):
    pass


class Offset(WeightMap):
    def __init__(self):
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, weight):
        return weight + self.offset


class Latent(WeightMap):
    trains_base = True

    def forward(self, weight):
        return weight


class Product(Gain):
    """Says how often its own product was used."""

    calls = 0

    def linear(self, weight, bias, x):
        type(self).calls += 1
        return nn.functional.linear(x, weight * self.gain, bias)


class Row(WeightMap):
    def __init__(self, weight):
        super().__init__()
        self.row = nn.Parameter(torch.zeros(weight.shape[1]))

    def forward(self, weight):
        return weight + self.row


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def bits(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first, second):
    return list(first) == list(second) and all(
        torch.equal(first[name], second[name]) for name in first
    )


def gains(module, **options):
    return attach(module, lambda name, weight: Gain(), **options)


def test_maps_are_made_before_the_first_is_attached(model):
    def make(name, weight):
        if name == "2.weight":
            raise RuntimeError("no map for this one")
        return Gain()

    with pytest.raises(RuntimeError, match="no map for this one"):
        attach(model, make)
    assert weight_maps(model) == {}
    assert type(model[0]) is nn.Linear


def test_make_sees_names_and_tensors(model):
    seen = {}

    def make(name, weight):
        seen[name] = tuple(weight.shape)
        return Gain()

    attach(model, make)
    assert seen == {"0.weight": (4, 3), "2.weight": (2, 4)}


def test_what_is_no_map_is_refused(model):
    with pytest.raises(TypeError, match=r"must be a WeightMap. Got Identity for"):
        attach(model, lambda name, weight: nn.Identity())


def test_tied_weights_are_refused_by_name(model):
    model.append(nn.Linear(3, 4))
    model[3].weight = model[0].weight
    with pytest.raises(ValueError, match=re.escape("shared as 0.weight, 3.weight")):
        gains(model)
    assert gains(model, include="2") == ["2.weight"]


def test_parametrization_of_somebody_else_is_refused(model):
    weight_norm(model[0])
    with pytest.raises(ValueError, match=r"Got '0.weight' with _WeightNorm; remove"):
        gains(model, include=lambda name, p: name == "0.weight")
    spectral_norm(model[2])
    with pytest.raises(ValueError, match=r"Got '2.weight' with _SpectralNorm; remove"):
        gains(model, exclude="0")


def test_optimizer_counts_parameters_in_the_same_order_after_a_map(model):
    order = [name for name, _ in model.named_parameters()]
    gains(model)
    strip(model)
    assert [name for name, _ in model.named_parameters()] == order


def test_parameters_keep_their_identity_through_fold_and_strip(model):
    weight = model[0].weight
    gains(model)
    fold(model)
    assert model[0].weight is weight
    gains(model)
    strip(model)
    assert model[0].weight is weight


def test_parameter_that_was_frozen_stays_frozen(model):
    model[0].weight.requires_grad_(False)
    gains(model)
    fold(model)
    assert not model[0].weight.requires_grad
    assert model[2].weight.requires_grad


def test_product_of_the_map_is_used_only_where_it_is_alone(model):
    Product.calls = 0
    attach(model, lambda name, weight: Product(), include="0")
    x = torch.ones(2, 3)
    model(x)
    assert Product.calls == 1
    attach(model, lambda name, weight: Offset(), include="0")
    model(x)
    assert Product.calls == 1
    fold(model)
    model(x)
    assert Product.calls == 1


def test_product_of_the_map_is_not_forced_on_a_subclass():
    class Loud(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 10

    layer = Loud(2, 1, bias=False)
    plain = layer(torch.ones(1, 2)).detach()
    attach(layer, lambda name, weight: Product())
    assert torch.equal(layer(torch.ones(1, 2)), plain)


def test_two_maps_on_one_tensor_compose_in_order(model):
    base = model[0].weight.detach().clone()
    gains(model, include="0")
    attach(model, lambda name, weight: Offset(), include="0")
    maps = list(model[0].parametrizations.weight)
    with torch.no_grad():
        maps[0].gain.fill_(3.0)
        maps[1].offset.fill_(0.5)
    torch.testing.assert_close(model[0].weight, 3.0 * base + 0.5)
    assert set(map_state_dict(model)) == {"0.weight.gain", "0.weight.offset"}
    with pytest.raises(ValueError, match=r"Got Gain, Offset on '0.weight'; choose one"):
        weight_maps(model)
    assert weight_maps(model, kind=Offset) == {"0.weight": maps[1]}
    assert set(map_state_dict(model, kind=Offset)) == {"0.weight.offset"}
    assert [p is maps[1].offset for p in map_parameters(model, kind=Offset)] == [True]
    fold(model, reversible=True)
    unfold(model)
    torch.testing.assert_close(model[0].weight, 3.0 * base + 0.5)
    strip(model)
    assert torch.equal(model[0].weight, base)


def test_one_of_two_maps_cannot_leave_alone(model):
    gains(model, include="0")
    attach(model, lambda name, weight: Offset(), include="0")
    message = r"Got kind=Offset and Gain on '0.weight'; call statlearn\.neural\.{}\("
    with pytest.raises(ValueError, match=message.format("fold")):
        fold(model, kind=Offset)
    with pytest.raises(ValueError, match=message.format("strip")):
        strip(model, kind=Offset)


def test_maps_that_name_their_parameters_alike_are_told_apart_by_class(model):
    gains(model, include="0")
    attach(model, lambda name, weight: OtherGain(), include="0")
    with pytest.raises(ValueError, match=r"two 'gain' on '0.weight'"):
        map_state_dict(model)
    assert list(map_state_dict(model, kind=OtherGain)) == ["0.weight.gain"]


def test_map_that_trains_what_is_stored_comes_first(model):
    gains(model, include="0")
    with pytest.raises(ValueError, match="attach it before that one"):
        attach(model, lambda name, weight: Latent(), include="0")


def test_only_maps_of_the_class_are_folded(model):
    gains(model, include="0")
    attach(model, lambda name, weight: Offset(), include="2")
    assert fold(model, kind=Offset) == ["2.weight"]
    assert list(weight_maps(model)) == ["0.weight"]


@pytest.mark.parametrize("way", [fold, strip, unfold], ids=["fold", "strip", "unfold"])
def test_way_out_without_a_map_is_refused(model, way):
    with pytest.raises(ValueError, match=f"{way.__name__} must find a WeightMap"):
        way(model)


def test_place_to_strip_to_must_exist(model):
    gains(model)
    with pytest.raises(ValueError, match=r"must be 'base' or 'stored'. Got 'start'"):
        strip(model, to="start")
    assert len(weight_maps(model)) == 2


def test_state_with_other_keys_loads_nothing(model):
    gains(model)
    before = map_state_dict(model)
    state = {"0.weight.gain": torch.zeros(()), "3.weight.gain": torch.zeros(())}
    with pytest.raises(ValueError, match=r"missing \['2.weight.gain'\] and"):
        load_map_state_dict(model, state)
    state = {**before, "2.weight.gain": torch.zeros(2)}
    with pytest.raises(ValueError, match=re.escape("must have shape (). Got (2,)")):
        load_map_state_dict(model, state)
    assert same(map_state_dict(model), before)


def test_state_given_as_arrays_is_loaded(model):
    gains(model)
    load_map_state_dict(
        model, {n: v.numpy() * 2 for n, v in map_state_dict(model).items()}
    )
    assert all(m.gain.item() == 2.0 for m in weight_maps(model).values())


def test_state_in_arrays_of_any_layout_is_loaded(model):
    attach(model, lambda name, weight: Row(weight))
    values = np.arange(4.0)[::-1]
    load_map_state_dict(
        model, {"0.weight.row": values[:3], "2.weight.row": list(values)}
    )
    found = map_state_dict(model)
    assert found["0.weight.row"].tolist() == [3.0, 2.0, 1.0]
    assert found["2.weight.row"].tolist() == [3.0, 2.0, 1.0, 0.0]


BAD_STATES = {
    "list": (["0.weight.gain"], "must be a mapping of names to tensors. Got list"),
    "none": (None, "must be a mapping of names to tensors. Got NoneType"),
    "gap": ({"0.weight.gain": None}, "state of '0.weight.gain' must hold real numbers"),
    "word": ({"0.weight.gain": "x"}, "must hold real numbers. Got str"),
    "complex": ({"0.weight.gain": torch.tensor(1j)}, "Got torch.complex64"),
    "complex array": ({"0.weight.gain": np.array(1j)}, "Got complex128"),
    "ragged": ({"0.weight.gain": [[1.0], [1.0, 2.0]]}, "Got list"),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_what_is_no_state_is_refused(model, name):
    state, message = BAD_STATES[name]
    gains(model, include="0")
    with pytest.raises(TypeError, match=message):
        load_map_state_dict(model, state)


def test_map_without_forward_says_what_to_write(model):
    class Empty(WeightMap):
        pass

    with pytest.raises(NotImplementedError, match="Empty does not; add the method"):
        attach(model, lambda name, weight: Empty())
    assert weight_maps(model) == {}


def test_unfolding_does_not_ask_for_an_inverse(model):
    class Once(Latent):
        asked = 0

        def right_inverse(self, weight):
            type(self).asked += 1
            return weight + 1.0

    attach(model, lambda name, weight: Once(), include="0")
    stored = bits(model)
    fold(model, reversible=True)
    unfold(model)
    assert Once.asked == 1
    assert same(bits(model), stored)
    model[0].weight = torch.zeros(4, 3)
    assert Once.asked == 2


class Narrow(Gain):
    """Refuses matrices of two rows when it is used."""

    def forward(self, weight):
        if len(weight) == 2:
            raise ValueError("too narrow")
        return super().forward(weight)


class Halved(Latent):
    """Stores the half, and gives only one row of two."""

    def right_inverse(self, weight):
        return weight / 2

    def forward(self, weight):
        return 2 * weight if len(weight) > 2 else weight[:1]


@pytest.mark.parametrize("kind", [Narrow, Halved])
def test_map_that_refuses_a_later_tensor_leaves_the_module_as_it_was(model, kind):
    before, forwards = bits(model), [type(layer) for layer in model]
    with pytest.raises(ValueError, match=r"too narrow|shape"):
        attach(model, lambda name, weight: kind(), freeze_rest=True)
    assert same(bits(model), before)
    assert [type(layer) for layer in model] == forwards
    assert all(p.requires_grad for p in model.parameters())


def test_map_that_refuses_leaves_the_maps_below_it(model):
    attach(model, lambda name, weight: Latent())
    with pytest.raises(ValueError, match="too narrow"):
        attach(model, lambda name, weight: Narrow())
    assert [type(m) for m in weight_maps(model).values()] == [Latent, Latent]
    assert all(p.requires_grad for p in model.parameters())
    assert len(strip(model)) == 2


def test_what_was_frozen_is_frozen_again_after_unfolding(model):
    attach(model, lambda name, weight: Gain(), freeze_rest=True)
    before = {name for name, p in model.named_parameters() if p.requires_grad}
    fold(model, reversible=True)
    assert all(p.requires_grad for p in model.parameters())
    unfold(model)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == before
    strip(model)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("kind", [Gain, Latent])
def test_maps_do_not_come_back_over_maps_that_came_later(model, kind):
    gains(model)
    fold(model, reversible=True)
    attach(model, lambda name, weight: kind())
    with pytest.raises(ValueError, match=r"Got a map on '0.weight' that came after"):
        unfold(model)
    strip(model)
    assert unfold(model) == ["0.weight", "2.weight"]


def test_two_maps_that_both_train_what_is_stored_are_refused(model):
    class Other(Latent):
        pass

    attach(model, lambda name, weight: Latent())
    with pytest.raises(ValueError, match="fold or strip that one first"):
        attach(model, lambda name, weight: Other())


def test_whole_module_can_be_one_layer():
    layer = nn.Linear(3, 2)
    assert gains(layer) == ["weight"]
    assert list(map_state_dict(layer)) == ["weight.gain"]
    assert strip(layer) == ["weight"]


# --- one process of several -----------------------------------------------------


@pytest.fixture
def group(tmp_path):
    dist = torch.distributed
    place = (tmp_path / "group").as_uri()
    dist.init_process_group("gloo", init_method=place, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_maps_come_before_the_wrapper_that_exchanges_gradients(model):
    wrapped = nn.parallel.DistributedDataParallel(model)
    before = bits(wrapped)
    with pytest.raises(ValueError, match=r"come before Distributed.* its \.module"):
        attach(wrapped, lambda name, weight: Gain())
    assert same(bits(wrapped), before)
    attach(wrapped.module, lambda name, weight: Gain(), include="0")
    again = nn.parallel.DistributedDataParallel(wrapped.module)
    again(torch.ones(2, 3)).sum().backward()
    assert all(p.grad is not None for p in map_parameters(again))
    assert fold(again) == ["module.0.weight"]


def test_map_whose_start_is_another_class_is_refused_before_it_is_attached(model):
    Bare = type("Bare", (WeightMap,), {"__init__": nn.Module.__init__})
    before = bits(model)
    with pytest.raises(TypeError, match=r"Got Bare for '0.weight', .*super\(\)"):
        attach(model, lambda name, weight: Bare())
    assert same(bits(model), before)


@pytest.mark.parametrize("make", [WeightMap, Gain, None], ids=["base", "class", "none"])
def test_maker_that_takes_no_name_and_weight_is_refused(model, make):
    with pytest.raises(TypeError, match=r"must be callable as make\(name, weight\)"):
        attach(model, make)


def test_one_map_for_two_tensors_is_refused(model):
    shared, before = Gain(), bits(model)
    with pytest.raises(ValueError, match=r"in use already, Gain for '2.weight'; make"):
        attach(model, lambda name, weight: shared)
    assert same(bits(model), before)
    attach(model, lambda name, weight: shared, include="0")
    with pytest.raises(ValueError, match=r"must return a new map for each tensor"):
        attach(model, lambda name, weight: shared, include="2")


# --- parametrizations of somebody else above a map, maps put on by hand ------------


class Double(nn.Module):
    def forward(self, weight):
        return 2.0 * weight


@pytest.mark.parametrize(
    "above",
    [lambda m: register_parametrization(m, "weight", Double()), spectral_norm],
    ids=["own", "spectral norm"],
)
def test_parametrization_above_a_map_is_computed_with(model, above):
    attach(model, lambda name, weight: Product(), include="0")
    with torch.no_grad():
        weight_maps(model)["0.weight"].gain.fill_(3.0)
    above(model[0])
    model.eval()
    x = torch.ones(2, 3)
    expected = F.linear(x, model[0].weight, model[0].bias)
    torch.testing.assert_close(model[0](x), expected)


@pytest.mark.parametrize("way", [fold, strip], ids=["fold", "strip"])
def test_parametrization_above_a_map_goes_first(model, way):
    gains(model, include="0")
    register_parametrization(model[0], "weight", Double())
    with pytest.raises(ValueError, match=r"with Double .* first, as with del layer"):
        way(model)
    del model[0].parametrizations.weight[1]
    assert way(model) == ["0.weight"]


class Halving(Latent):
    """Stores the half."""

    def right_inverse(self, weight):
        return weight / 2

    def forward(self, weight):
        return 2 * weight


def test_base_of_a_map_put_on_by_hand_is_not_made_up(model):
    before = model[0].weight.detach().clone()
    register_parametrization(model[0], "weight", Halving())
    with pytest.raises(ValueError, match=r"'0.weight' with a Halving .* by hand"):
        strip(model)
    assert fold(model) == ["0.weight"]
    assert torch.equal(model[0].weight, before)
    register_parametrization(model[0], "weight", Halving())
    strip(model, to="stored")
    assert torch.equal(model[0].weight, before / 2)


@pytest.mark.parametrize("trained", [True, False])
def test_map_put_on_by_hand_leaves_what_is_trained_as_it_was(model, trained):
    model[0].weight.requires_grad_(trained)
    register_parametrization(model[0], "weight", Halving())
    fold(model)
    assert model[0].weight.requires_grad is trained
    register_parametrization(model[0], "weight", Halving())
    gains(model, include="0")
    fold(model)
    assert model[0].weight.requires_grad is trained


def test_folding_within_mixed_precision_does_not_round():
    class Square(WeightMap):
        def forward(self, weight):
            return weight @ weight

    torch.manual_seed(0)
    layer = nn.Linear(4, 4)
    attach(layer, lambda name, weight: Square())
    expected = layer.weight.detach().clone()
    with torch.autocast("cpu", torch.bfloat16):
        fold(layer)
    assert torch.equal(layer.weight, expected)
