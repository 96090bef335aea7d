"""Files of peft: what it wrote loads, what is written here has its names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.numpy import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

from statlearn.neural import map_parameters, weight_maps  # noqa: E402
from statlearn.neural.adapters import (  # noqa: E402
    apply_bone,
    apply_lora,
    apply_pissa,
    load_peft_adapter,
    save_peft_adapter,
)

PREFIX = "base_model.model."
X = torch.tensor([[1.0, -1, 2, 0.5], [0, 0.3, -0.7, 1]], dtype=torch.float64)

REFERENCE = Path(__file__).parents[2] / "reference" / "peft_adapters.json"
# Settings, shapes and outputs of peft on the network and numbers below.
PEFT = {
    kind: (
        made["settings"],
        {name.removeprefix(PREFIX): shape for name, shape in made["shapes"].items()},
        made["outputs"],
    )
    for kind, made in json.loads(REFERENCE.read_text("utf-8"))["adapters"].items()
}
every_kind = pytest.mark.parametrize("kind", PEFT)


def network(dtype=torch.float64):
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            steps = torch.arange(p.numel(), dtype=torch.float64).reshape(p.shape)
            p.copy_((steps * 0.37 + k).sin())
    return model.to(dtype)


def blocks(shapes):
    return {
        PREFIX + name: 0.5 * np.cos(0.7 * np.arange(np.prod(shape)).reshape(shape) + k)
        for k, (name, shape) in enumerate(shapes.items())
    }


def write(folder, config, arrays):
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(arrays, folder / "adapter_model.safetensors")
    return folder


@every_kind
def test_checkpoint_of_peft_computes_what_peft_computes(kind, tmp_path):
    config, shapes, wanted = PEFT[kind]
    folder = write(tmp_path, config, blocks(shapes))
    model = network()
    assert load_peft_adapter(model, folder) == ["0.weight", "2.weight"]
    torch.testing.assert_close(model(X), torch.tensor(wanted, dtype=torch.float64))
    trained = {p for p in model.parameters() if p.requires_grad}
    assert trained == set(map_parameters(model))


@every_kind
def test_written_files_have_the_names_shapes_and_settings_of_peft(kind, tmp_path):
    config, shapes, _ = PEFT[kind]
    model, arrays = network(), blocks(shapes)
    load_peft_adapter(model, write(tmp_path, config, arrays))
    save_peft_adapter(model, tmp_path / "again", base_model="tiny")
    written = load_file(tmp_path / "again" / "adapter_model.safetensors")
    assert list(written) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(written[name], array)
    text = (tmp_path / "again" / "adapter_config.json").read_text(encoding="utf-8")
    settings = json.loads(text)
    assert {name: settings[name] for name in config} == config
    assert settings["target_modules"] == ["0", "2"]
    assert settings["base_model_name_or_path"] == "tiny"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "settings",
    [{}, {"variant": "additive", "r": 3}, {"variant": "mini", "mini_r": 2}],
    ids=["col", "padded", "mini"],
)
def test_adapters_go_to_a_folder_and_back_to_the_bit(settings, dtype, tmp_path):
    model, other = network(dtype), network(dtype)
    apply_bone(model, **{"r": 2, **settings})
    for parameter in map_parameters(model):
        nn.init.normal_(parameter)
    save_peft_adapter(model, tmp_path)
    load_peft_adapter(other, tmp_path)
    assert torch.equal(other(X.to(dtype)), model(X.to(dtype)))


def test_trained_principal_adapter_is_written_as_plain_lora(tmp_path):
    model, other = network(), network()
    apply_pissa(model, r=2, alpha=3.0, include="0")
    for parameter in map_parameters(model):
        nn.init.normal_(parameter)
    save_peft_adapter(model, tmp_path)
    load_peft_adapter(other, tmp_path)
    assert weight_maps(other)["0.weight"].r == 4
    torch.testing.assert_close(other(X), model(X))


def test_principal_checkpoint_starts_from_the_weights_of_the_model(tmp_path):
    model = network()
    apply_pissa(model, r=2, alpha=6.0, include="0")
    made = weight_maps(model)["0.weight"]
    arrays = {
        f"{PREFIX}0.lora_A.weight": made.A.detach().numpy() + 0.25,
        f"{PREFIX}0.lora_B.weight": made.B.detach().numpy(),
    }
    config = {**PEFT["lora"][0], "init_lora_weights": "pissa"}
    other = network()
    load_peft_adapter(other, write(tmp_path, config, arrays))
    with torch.no_grad():
        made.A += 0.25
    torch.testing.assert_close(other(X), model(X))


def test_scale_of_rank_stabilised_lora_is_read(tmp_path):
    config, shapes, _ = PEFT["lora"]
    write(tmp_path, {**config, "use_rslora": True}, blocks(shapes))
    model = network()
    load_peft_adapter(model, tmp_path)
    assert weight_maps(model)["0.weight"].scale == pytest.approx(6 / 2**0.5)


def test_checkpoint_of_the_former_bone_tuner_is_read(tmp_path):
    _, shapes, wanted = PEFT["col"]
    arrays = {k.replace("miss", "bone"): v for k, v in blocks(shapes).items()}
    write(tmp_path, {"peft_type": "BONE", "r": 2, "init_weights": "bat"}, arrays)
    model = network()
    load_peft_adapter(model, tmp_path)
    torch.testing.assert_close(model(X), torch.tensor(wanted, dtype=torch.float64))


def test_single_layer_without_a_name_goes_round(tmp_path):
    layer, other = nn.Linear(4, 4), nn.Linear(4, 4)
    other.load_state_dict(layer.state_dict())
    apply_bone(layer, r=2)
    nn.init.normal_(next(map_parameters(layer)))
    save_peft_adapter(layer, tmp_path)
    assert load_peft_adapter(other, tmp_path) == ["weight"]
    assert torch.equal(layer(X.float()), other(X.float()))


# --- bad input ---------------------------------------------------------------


def refused(model, folder, error, message):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(error, match=message):
        load_peft_adapter(model, folder)
    assert list(model.state_dict()) == list(before)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("col", {"peft_type": "IA3"}, "types MISS, BONE and LORA. Got 'IA3'"),
        ("lora", {"use_dora": True}, "Got use_dora; load it with peft"),
        ("lora", {"alpha_pattern": {"0": 2}}, "Got alpha_pattern"),
        ("lora", {"alora_invocation_tokens": [1, 2]}, "Got alora_invocation_tokens"),
        ("lora", {"init_lora_weights": "loftq"}, "init_lora_weights='loftq'"),
    ],
)
def test_settings_that_are_not_understood_are_refused(kind, change, message, tmp_path):
    config, shapes, _ = PEFT[kind]
    folder = write(tmp_path, {**config, **change}, blocks(shapes))
    refused(network(), folder, ValueError, message)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"9.miss_block": (3, 2, 2)}, "'9.weight', which fits none"),
        ({"0.miss_block": (3, 2, 2), "2.weight": (2, 6)}, "Got .*2.weight.*; load"),
        ({"0.lora_A.weight": (2, 4)}, "must hold miss_block .* Got .*lora_A"),
        ({}, "Got no array"),
        ({"0.miss_block": (2, 2, 2)}, r"'0.weight' must have shape \(3, 2, 2\)"),
        ({"0.miss_block": (2, 5)}, r"'0.weight' must have shape \(2, 6\)"),
        ({"0.miss_block": (1, 4, 4)}, "at '0.weight': The 'r' of BlockAffine"),
        ({"0.miss_block": (7,)}, r"two or three axes. Got shape \(7,\); save"),
    ],
    ids=["layer", "more", "lora", "nothing", "groups", "width", "divisor", "axes"],
)
def test_arrays_that_do_not_fit_are_refused(shapes, message, tmp_path):
    folder = write(tmp_path, PEFT["col"][0], blocks(shapes))
    refused(network(), folder, ValueError, message)


def test_half_of_a_pair_of_factors_is_refused(tmp_path):
    folder = write(tmp_path, PEFT["lora"][0], blocks({"0.lora_A.weight": (2, 4)}))
    refused(network(), folder, ValueError, "Got none of .*model.0.lora_B.weight")


@pytest.mark.parametrize("targets", [["0", "2"], r"\d"], ids=["names", "expression"])
@every_kind
def test_file_that_lacks_a_target_of_its_settings_is_refused(kind, targets, tmp_path):
    config, shapes, _ = PEFT[kind]
    arrays = blocks(shapes)
    missing = [name for name in arrays if ".2." in name]
    for name in missing:
        del arrays[name]
    folder = write(tmp_path, {**config, "target_modules": targets}, arrays)
    refused(network(), folder, ValueError, f"Got none of .*{missing[-1]}.*; save")


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["0"]},
        {"target_modules": ["0", "absent"]},
        {"target_modules": ["0", "2"], "exclude_modules": ["2"]},
        {"target_modules": "all-linear"},
        {"target_modules": None},
    ],
    ids=["one", "absent", "excluded", "shorthand", "none"],
)
def test_layers_that_are_no_targets_may_lack_an_adapter(settings, tmp_path):
    arrays = blocks({"0.miss_block": (3, 2, 2)})
    folder = write(tmp_path, {**PEFT["col"][0], **settings}, arrays)
    assert load_peft_adapter(network(), folder) == ["0.weight"]


@pytest.mark.parametrize("blocks_are", [None, "h", ["h"]], ids=["any", "text", "list"])
def test_settings_may_limit_an_adapter_to_numbered_blocks(blocks_are, tmp_path):
    block = nn.ModuleDict({"q": nn.Linear(4, 4)})
    model = nn.ModuleDict({"m": nn.ModuleDict({"h": nn.ModuleList([block])})})
    model["m"]["h"].append(nn.ModuleDict({"q": nn.Linear(4, 4)}))
    limits = {"layers_to_transform": [1], "layers_pattern": blocks_are}
    config = {**PEFT["col"][0], "target_modules": ["q"], **limits}
    write(tmp_path, config, blocks({"m.h.1.q.miss_block": (2, 2, 2)}))
    assert load_peft_adapter(model, tmp_path) == ["m.h.1.q.weight"]
    write(tmp_path, config, blocks({"m.h.0.q.miss_block": (2, 2, 2)}))
    with pytest.raises(ValueError, match=r"Got none of .*'base_model.model.m.h.1.q"):
        load_peft_adapter(model, tmp_path)


@pytest.mark.parametrize("targets", ["(", 3], ids=["open", "number"])
def test_targets_that_say_no_layers_are_refused(targets, tmp_path):
    config, shapes, _ = PEFT["col"]
    folder = write(tmp_path, {**config, "target_modules": targets}, blocks(shapes))
    refused(network(), folder, ValueError, "'target_modules' in adapter_config.json")


@pytest.mark.parametrize("value", [np.nan, np.inf], ids=["nan", "inf"])
@every_kind
def test_numbers_that_are_not_finite_are_refused_by_name(kind, value, tmp_path):
    config, shapes, _ = PEFT[kind]
    arrays = blocks(shapes)
    name = list(arrays)[-1]
    arrays[name].flat[-1] = value
    folder = write(tmp_path, config, arrays)
    refused(network(), folder, ValueError, f"finite .*Got NaN or infinity in .*{name}")


@pytest.mark.parametrize("dtype", [torch.float16], ids=str)
def test_numbers_beyond_the_type_of_the_model_are_refused(dtype, tmp_path):
    config, shapes, _ = PEFT["col"]
    arrays = {name: 1e6 * array for name, array in blocks(shapes).items()}
    folder = write(tmp_path, config, arrays)
    message = "'0.weight' must be finite in .*float16"
    refused(network(dtype), folder, ValueError, message)


def test_files_that_are_missing_or_none_of_peft_are_refused(tmp_path):
    refused(network(), tmp_path, FileNotFoundError, "adapter_config.json")
    (tmp_path / "adapter_config.json").write_text("{", encoding="utf-8")
    refused(network(), tmp_path, ValueError, "JSON file of peft")
    (tmp_path / "adapter_config.json").write_text("[]", encoding="utf-8")
    refused(network(), tmp_path, ValueError, "Got None")
    config = json.dumps(PEFT["col"][0])
    (tmp_path / "adapter_config.json").write_text(config, encoding="utf-8")
    refused(network(), tmp_path, FileNotFoundError, "adapter_model")


@pytest.mark.parametrize("variant", ["row", "free", "ab"])
def test_variants_that_peft_lacks_are_not_written(variant, tmp_path):
    model = network()
    apply_bone(model, r=2, variant=variant)
    with pytest.raises(ValueError, match=f"Got '{variant}'; save the state"):
        save_peft_adapter(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_adapters_that_differ_are_not_written_to_one_file(tmp_path):
    model = network()
    apply_bone(model, r=2, include="0")
    apply_bone(model, r=1, include="2")
    with pytest.raises(ValueError, match=r"one setting .* for '2.weight'"):
        save_peft_adapter(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_adapters_on_one_layer_are_not_written(tmp_path):
    model = network()
    apply_bone(model, r=2)
    apply_lora(model, r=2, include="0")
    with pytest.raises(ValueError, match="one adapter"):
        save_peft_adapter(model, tmp_path)


def test_model_without_adapters_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="Got one without; call apply_bone"):
        save_peft_adapter(network(), tmp_path)


def test_layer_with_a_name_like_a_glob_goes_through_a_file(tmp_path):
    source, model = (nn.ModuleDict({"a[0]": nn.Linear(4, 2)}) for _ in range(2))
    apply_lora(source, r=2, include="a[0]")
    save_peft_adapter(source, tmp_path)
    assert load_peft_adapter(model, tmp_path) == ["a[0].weight"]
