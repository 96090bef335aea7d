"""What is frozen beside maps, and trained again when they are gone."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.parametrizations import (  # noqa: E402
    orthogonal,
    spectral_norm,
    weight_norm,
)

from statlearn.neural import fold, strip, unfold  # noqa: E402
from statlearn.neural.adapters import (  # noqa: E402
    apply_bone,
    apply_lora,
    load_peft_adapter,
    save_peft_adapter,
)

NORMS = {
    "weight norm": weight_norm,
    "spectral norm": spectral_norm,
    "orthogonal": orthogonal,
}


class Net(nn.Module):
    """An encoder and a head, with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(4))
        self.enc = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.enc(x + self.shift))


def frozen(model):
    return [name for name, p in model.named_parameters() if not p.requires_grad]


def trained(model):
    return [name for name, p in model.named_parameters() if p.requires_grad]


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_parametrizations_of_others_are_frozen_and_thawed_too(norm):
    model = nn.Sequential(nn.Linear(4, 4), norm(nn.Linear(4, 4)))
    apply_lora(model, r=2, include="0")
    assert trained(model) == [
        "0.parametrizations.weight.0.A",
        "0.parametrizations.weight.0.B",
    ]
    strip(model)
    assert frozen(model) == []


def test_parametrization_that_came_while_all_was_frozen_is_thawed():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    apply_bone(model, r=2, include="0")
    spectral_norm(model[1])
    strip(model)
    assert frozen(model) == []


WRAPPED = {
    "itself": lambda model: model,
    "sequence": lambda model: nn.Sequential(model, nn.ReLU()),
    "compiled": lambda model: torch.compile(model, backend="eager"),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("way", [fold, strip], ids=["fold", "strip"])
def test_way_out_through_a_wrapper_thaws(way, wrap):
    model = Net()
    apply_bone(model, r=2, include="enc")
    way(wrap(model))
    assert frozen(model) == []


def test_way_out_of_the_whole_thaws_what_a_part_had_frozen():
    model = Net()
    apply_bone(model.enc, r=2)
    assert frozen(model)
    fold(model)
    assert frozen(model) == []


def test_way_out_of_a_part_thaws_what_is_below_it():
    model = Net()
    apply_bone(model, r=2)
    strip(model.enc)
    assert frozen(model) == [
        "shift",
        "head.bias",
        "head.parametrizations.weight.original",
    ]
    strip(model)
    assert frozen(model) == []


def test_all_parts_can_leave_one_by_one():
    model = Net().requires_grad_(True)
    model.shift.requires_grad_(False)
    apply_bone(model, r=2)
    strip(model.enc)
    strip(model.head)
    assert frozen(model) == ["shift"]


def test_parts_that_froze_twice_are_thawed():
    model = Net()
    apply_bone(model.enc, r=2)
    apply_lora(model, r=2, include="head")
    strip(model)
    assert frozen(model) == []


def test_what_was_frozen_before_stays_so():
    model = Net()
    model.head.requires_grad_(False)
    apply_bone(model, r=2, include="enc")
    fold(model)
    assert frozen(model) == ["head.weight", "head.bias"]


def test_weight_that_was_frozen_beside_a_map_and_got_one_is_thawed():
    model = Net()
    apply_bone(model, r=2, include="enc")
    apply_lora(model, r=2, include="head")
    strip(model)
    assert frozen(model) == []


def test_part_that_is_unfolded_is_frozen_again():
    model = Net()
    apply_bone(model, r=2, include="enc")
    before = frozen(model)
    fold(model, reversible=True)
    assert frozen(model) == []
    unfold(nn.Sequential(model))
    assert frozen(model) == before
    strip(model)
    assert frozen(model) == []


def test_parameter_of_two_modules_is_thawed_from_each():
    model = nn.ModuleDict({"a": nn.LayerNorm(4), "b": nn.LayerNorm(4)})
    model["c"] = nn.Sequential(nn.Linear(4, 4), model["b"])
    model["b"].weight = model["a"].weight
    apply_bone(model, r=2)
    strip(model["c"])
    assert model["a"].weight.requires_grad


def test_copy_is_thawed_alone():
    model = Net()
    apply_bone(model, r=2)
    twin = copy.deepcopy(model)
    strip(twin)
    assert frozen(twin) == []
    assert "shift" in frozen(model)
    strip(model)
    assert frozen(model) == []


def test_loaded_adapter_of_a_part_thaws_with_the_whole(tmp_path):
    source, model = Net(), Net()
    apply_bone(source.enc, r=2)
    save_peft_adapter(source.enc, tmp_path)
    load_peft_adapter(model.enc, tmp_path)
    fold(model)
    assert frozen(model) == []


def test_loaded_module_beside_an_adapter_is_left_to_the_caller(tmp_path):
    source, model = Net(), Net()
    apply_lora(source, r=2, include="enc")
    source.head.requires_grad_(True)
    save_peft_adapter(source, tmp_path)
    load_peft_adapter(model, tmp_path)
    assert model.head.weight.requires_grad
    model.head.requires_grad_(False)
    fold(model)
    assert frozen(model) == ["head.weight", "head.bias"]


@pytest.fixture
def group(tmp_path):
    dist = torch.distributed
    place = (tmp_path / "group").as_uri()
    dist.init_process_group("gloo", init_method=place, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_wrapper_that_exchanges_gradients_thaws():
    model = Net()
    apply_bone(model, r=2, include="enc")
    fold(nn.parallel.DistributedDataParallel(model))
    assert frozen(model) == []
