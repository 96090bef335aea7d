"""What is trained beside adapters goes through files of peft and back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.numpy import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

from statlearn.neural import map_parameters, strip  # noqa: E402
from statlearn.neural.adapters import (  # noqa: E402
    apply_bone,
    apply_lora,
    load_peft_adapter,
    save_peft_adapter,
)

PREFIX = "base_model.model."
X = torch.tensor([[1.0, -1, 2, 0.5], [0, 0.3, -0.7, 1]])
REFERENCE = Path(__file__).parents[2] / "reference" / "peft_adapters.json"
HEAD = ("head.bias", "head.weight")


class Network(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6))
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.norm(self.body(x)))


def trained(*parts, apply=apply_lora):
    """A network with adapters on its body, with these parts trained beside them."""
    model = Network()
    apply(model, r=2, include="body")
    for part in parts:
        model.get_submodule(part).requires_grad_(True)
    if "norm" in parts:
        model(3.0 * X)  # moves the running statistics
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.rand_like(parameter))
    return model.eval()


def written(folder):
    text = (folder / "adapter_config.json").read_text(encoding="utf-8")
    return json.loads(text), load_file(folder / "adapter_model.safetensors")


def edit(folder, change=lambda config: None, arrays=None):
    config, old = written(folder)
    change(config)
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(arrays or old, folder / "adapter_model.safetensors")


@pytest.mark.parametrize("apply", [apply_lora, apply_bone], ids=["lora", "miss"])
def test_new_head_and_normalisation_go_round(apply, tmp_path):
    model, other = trained("head", "norm", apply=apply), Network()
    save_peft_adapter(model, tmp_path)
    load_peft_adapter(other, tmp_path)
    assert torch.equal(other.eval()(X), model(X))
    frozen = {n for n, p in other.named_parameters() if not p.requires_grad}
    expected = {f"body.{i}.parametrizations.weight.original" for i in (0, 2)}
    assert frozen == expected | {"body.0.bias", "body.2.bias"}


def test_names_and_settings_are_those_of_peft(tmp_path):
    made_by_peft = json.loads(REFERENCE.read_text("utf-8"))["trained_beside"]
    save_peft_adapter(trained("head", "norm"), tmp_path)
    config, arrays = written(tmp_path)
    assert sorted(arrays) == made_by_peft["names"]
    assert sorted(config["modules_to_save"]) == made_by_peft["modules_to_save"]
    assert config["bias"] == made_by_peft["bias"]


def test_biases_of_adapted_layers_go_round(tmp_path):
    model, other = trained(), Network()
    with torch.no_grad():
        model.body[0].bias.requires_grad_(True).fill_(3.0)
    save_peft_adapter(model, tmp_path)
    config, arrays = written(tmp_path)
    assert config["bias"] == "lora_only"
    biases = {f"{PREFIX}body.{i}.base_layer.bias" for i in (0, 2)}
    assert {name for name in arrays if name.endswith("bias")} == biases
    load_peft_adapter(other, tmp_path)
    assert torch.equal(other.eval()(X), model(X))
    assert other.body[0].bias.requires_grad


def test_nothing_beside_the_adapters_is_nothing_in_the_files(tmp_path):
    save_peft_adapter(trained(), tmp_path)
    config, arrays = written(tmp_path)
    assert config["modules_to_save"] is None
    assert len(arrays) == 4


def test_module_is_written_once_with_all_that_is_below_it(tmp_path):
    model, other = Network(), Network()
    for one in (model, other):
        one.head = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 2))
        one.head.register_parameter("gain", nn.Parameter(torch.ones(2)))
        one.load_state_dict(model.state_dict())
    apply_lora(model, r=1, include="body.0")
    model.head.requires_grad_(True)
    nn.init.constant_(model.head[1].weight, 0.5)
    save_peft_adapter(model, tmp_path)
    assert written(tmp_path)[0]["modules_to_save"] == ["head"]
    load_peft_adapter(other, tmp_path)
    assert torch.equal(other.head[1].weight, model.head[1].weight)


def test_stripping_leaves_the_loaded_head(tmp_path):
    model, other = trained("head"), Network()
    save_peft_adapter(model, tmp_path)
    load_peft_adapter(other, tmp_path)
    strip(other)
    assert torch.equal(other.head.weight, model.head.weight)
    assert torch.equal(other.body[0].weight, Network().body[0].weight)


@pytest.mark.parametrize("names", [["head"], ["classifier", "head"]], ids=str)
def test_settings_may_name_modules_that_the_model_lacks(names, tmp_path):
    save_peft_adapter(trained("head"), tmp_path)
    edit(tmp_path, lambda config: config.update(modules_to_save=names))
    assert load_peft_adapter(Network(), tmp_path) == ["body.0.weight", "body.2.weight"]


# --- which layers are meant ------------------------------------------------------


def test_end_of_a_name_that_fits_more_layers_becomes_an_expression(tmp_path):
    def nested():
        torch.manual_seed(0)
        inner = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        return nn.Sequential(nn.Linear(4, 4), inner, nn.Linear(4, 2))

    model, other = nested(), nested()
    apply_lora(model, r=1, include=["0", "2"])
    for parameter in map_parameters(model):
        nn.init.normal_(parameter)
    save_peft_adapter(model, tmp_path)
    pattern = written(tmp_path)[0]["target_modules"]
    names = [name for name, _ in other.named_modules()]
    assert [n for n in names if re.fullmatch(pattern, n)] == ["0", "2"]
    assert load_peft_adapter(other, tmp_path) == ["0.weight", "2.weight"]
    assert torch.equal(other(X), model(X))


def test_dots_in_an_expression_stand_for_themselves(tmp_path):
    model = nn.ModuleDict({"a": nn.ModuleDict({"q": nn.Linear(4, 4)})})
    model["aaq"] = nn.ModuleDict({"a": nn.ModuleDict({"q": nn.Linear(4, 4)})})
    apply_bone(model, r=2, include=["a.q"])
    save_peft_adapter(model, tmp_path)
    pattern = written(tmp_path)[0]["target_modules"]
    assert re.fullmatch(pattern, "a.q")
    assert not re.fullmatch(pattern, "aaq")


# --- bad input --------------------------------------------------------------------


def head_within(model):
    model.body.register_parameter("gain", nn.Parameter(torch.ones(2)))


def root(model):
    model.register_parameter("gain", nn.Parameter(torch.ones(2)))


def adapted_bias(model):
    model.body[0].bias.requires_grad_(True)


def parametrized(model):
    torch.nn.utils.parametrizations.weight_norm(model.head.requires_grad_(True))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (head_within, "body.gain"),
        (root, "gain"),
        (adapted_bias, "body.0.bias"),
        (parametrized, "head.(bias|weight)"),
    ],
    ids=["around", "root", "bias", "parametrized"],
)
def test_what_has_no_place_in_the_files_is_named(change, name, tmp_path):
    model = trained(apply=apply_bone)
    change(model)
    with pytest.raises(ValueError, match=rf"Got \['{name}.*; freeze them"):
        save_peft_adapter(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop(PREFIX + "head.bias"), r"Got none of \['head.bias'\]"),
        (
            lambda a: [a.pop(PREFIX + name) for name in HEAD],
            r"Got none of \['head'\], 1 in all",
        ),
        (lambda a: a.update({PREFIX + "tail.bias": np.ones(2)}), "Got .*tail.bias"),
        (lambda a: a.update({PREFIX + "norm.bias": np.ones(6)}), "Got .*norm.bias"),
        (lambda a: a.update({PREFIX + "head.bias": np.ones(3)}), "Got .*head.bias"),
        (
            lambda a: a.update({PREFIX + "body.0.base_layer.bias": np.ones(6)}),
            "Got .*body.0.base_layer.bias",
        ),
        (
            lambda a: a.update({PREFIX + "head.bias": np.array([1.0, np.nan])}),
            r"finite .* Got others for \['head.bias'\]",
        ),
    ],
    ids=["part", "module", "absent", "unnamed", "shape", "bias", "nan"],
)
def test_modules_that_do_not_fit_leave_the_model_as_it_was(change, message, tmp_path):
    save_peft_adapter(trained("head"), tmp_path)
    arrays = written(tmp_path)[1]
    change(arrays)
    edit(tmp_path, arrays=arrays)
    model = Network()
    with pytest.raises(ValueError, match=message):
        load_peft_adapter(model, tmp_path)
    assert all(
        torch.equal(value, model.state_dict()[name])
        for name, value in Network().state_dict().items()
    )
