from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.merging import save_weights  # noqa: E402
from statlearn.neural.models import TinyViT  # noqa: E402
from statlearn.neural.quantization import (  # noqa: E402
    QKReparamAttention,
    dequantize,
    export_codes,
    load_codes,
    quantize_model,
    save_codes,
    stats_codes,
)


def rows():
    return torch.rand(4, 64, generator=torch.Generator().manual_seed(0))


def quantized(method, bits):
    model = TinyViT(generator=0)
    quantize_model(model, bits, method=method, skip_ends=True)
    quantize_model(model, 8, method="lsq", include=["patches", "head"], exclude=None)
    return model


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("method", ["statsq", "lsq"])
def test_plain_model_with_the_codes_of_a_file_computes_the_same(tmp_path, method, bits):
    model = quantized(method, bits)
    save_codes(tmp_path / "codes.safetensors", export_codes(model))
    codes = load_codes(tmp_path / "codes.safetensors")
    plain = TinyViT(generator=1)
    rest = {n: v for n, v in model.state_dict().items() if "parametrizations" not in n}
    missing, unexpected = plain.load_state_dict(rest | dequantize(codes), strict=False)
    assert (missing, unexpected) == ([], [])
    assert torch.equal(plain(rows()), model(rows()))


def test_codes_and_steps_are_those_of_the_function():
    model = nn.Linear(6, 4)
    weight = model.weight.detach().clone()
    quantize_model(model, 3)
    coded = export_codes(model)["weight"]
    codes, scale = stats_codes(weight, 3)
    assert torch.equal(coded.codes, codes)
    assert torch.equal(4 * coded.step, scale)
    assert coded.offset == 0.5
    assert coded.codes.dtype == torch.int8


def test_codes_are_copies():
    model = nn.Linear(6, 4)
    quantize_model(model, 2)
    coded = export_codes(model)["weight"]
    before = copy.deepcopy(coded)
    with torch.no_grad():
        model.parametrizations.weight.original.mul_(-3.0)
    assert torch.equal(coded.codes, before.codes)
    assert torch.equal(coded.step, before.step)


@pytest.mark.parametrize("method", ["statsq", "lsq"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_goes_round_after_rounding(tmp_path, dtype, method):
    model = nn.Linear(6, 4).to(dtype)
    quantize_model(model, 3, method=method)
    save_codes(tmp_path / "codes.safetensors", export_codes(model))
    plain = nn.Linear(6, 4).to(dtype)
    codes = load_codes(tmp_path / "codes.safetensors")
    plain.load_state_dict(dequantize(codes), strict=False)
    assert torch.equal(plain.weight, model.weight)


def test_rows_of_zeros_stay_zero(tmp_path):
    model = nn.Linear(6, 4)
    with torch.no_grad():
        model.weight[1] = 0.0
    quantize_model(model, 2)
    save_codes(tmp_path / "codes.safetensors", export_codes(model))
    weight = dequantize(load_codes(tmp_path / "codes.safetensors"))["weight"]
    assert weight[1].tolist() == [0.0] * 6
    assert torch.equal(weight, model.weight)


def test_products_load_into_folded_attention(tmp_path):
    model = nn.ModuleDict({"a": QKReparamAttention(8, 2, 2), "b": nn.Linear(8, 8)})
    quantize_model(model, 2)
    codes = export_codes(model)
    assert list(codes) == [
        "a.value.weight",
        "a.output.weight",
        "b.weight",
        "a.qk_product",
    ]
    assert codes["a.qk_product"].codes.shape == (16, 8)
    save_codes(tmp_path / "codes.safetensors", codes)
    plain = nn.ModuleDict({"a": QKReparamAttention(8, 2), "b": nn.Linear(8, 8)})
    plain["a"].fold()
    state = dequantize(load_codes(tmp_path / "codes.safetensors"))
    assert plain.load_state_dict(state, strict=False).unexpected_keys == []
    x = torch.ones(1, 3, 8)
    assert torch.equal(plain["a"](x)[0], model["a"](x)[0])


def test_large_codes_without_sign_fit():
    from torch.nn.utils.parametrize import register_parametrization

    from statlearn.neural.quantization import LSQQuantizer

    layer = nn.Linear(6, 4)
    with torch.no_grad():
        layer.weight.uniform_(0.0, 1.0, generator=torch.Generator().manual_seed(0))
    quantizer = LSQQuantizer(8, layer.weight, signed=False)
    with torch.no_grad():
        quantizer.scale.fill_(1.0 / 255.0)
    register_parametrization(layer, "weight", quantizer)
    coded = export_codes(layer)["weight"]
    assert coded.codes.max() > 127
    assert torch.equal(coded.dequantize(), layer.weight)


def test_bad_input_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"export_codes needs a module with quantised"):
        export_codes(nn.Linear(2, 2))
    model = nn.Linear(2, 2)
    quantize_model(model, 2)
    with torch.no_grad():
        model.parametrizations.weight.original[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"needs finite weights. Got NaN .* 'weight'"):
        export_codes(model)
    save_weights(tmp_path / "w.safetensors", {"w.codes": torch.ones(2)})
    with pytest.raises(ValueError, match=r"must hold the codes, step and offset"):
        load_codes(tmp_path / "w.safetensors")
    parts = {"w.codes": torch.ones(2, 2), "w.step": torch.ones(2, 1)}
    save_weights(tmp_path / "w.safetensors", {**parts, "w.offset": torch.zeros(())})
    with pytest.raises(ValueError, match=r"codes of 'w' .* must be int8 or uint8"):
        load_codes(tmp_path / "w.safetensors")
    with pytest.raises(FileNotFoundError):
        load_codes(tmp_path / "absent.safetensors")


def test_files_do_not_depend_on_the_default_device(tmp_path):
    model = nn.Linear(4, 2)
    quantize_model(model, 2)
    codes = export_codes(model)
    torch.set_default_device("meta")
    try:
        save_codes(tmp_path / "codes.safetensors", codes)
    finally:
        torch.set_default_device(None)
    assert load_codes(tmp_path / "codes.safetensors")["weight"].offset == 0.5
