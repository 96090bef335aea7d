from __future__ import annotations

import copy
import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import fold, map_parameters, strip, weight_maps  # noqa: E402
from statlearn.neural.models import CharLM, ConvNet, TinyViT  # noqa: E402
from statlearn.neural.quantization import (  # noqa: E402
    ActivationQuantizer,
    LSQQuantizer,
    StatsQuantizer,
    quantize_model,
    stats_quantize,
)

BLOCK = ["attention.q", "attention.k", "attention.v", "attention.proj", "mlp.fc1"]
BLOCK = [*BLOCK, "mlp.fc2"]


def vit():
    return TinyViT(generator=0)


def rows(n=4):
    return torch.rand(n, 64, generator=torch.Generator().manual_seed(0))


def test_head_stays_by_default():
    model = vit()
    names = quantize_model(model)
    blocks = [f"blocks.{i}.{name}.weight" for i in range(2) for name in BLOCK]
    assert names == ["patches.weight", *blocks]
    assert all(type(m) is StatsQuantizer for m in weight_maps(model).values())
    assert model.head.weight is next(iter(model.head.parameters()))


def test_first_and_last_layer_stay_on_demand():
    model = vit()
    names = quantize_model(model, skip_ends=True, exclude=None)
    assert "patches.weight" not in names
    assert "head.weight" not in names
    assert len(names) == 12


def test_ends_may_have_other_bits():
    model = vit()
    quantize_model(model, 2, skip_ends=True)
    ends = ["patches", "head"]
    names = quantize_model(model, 8, method="lsq", include=ends, exclude=None)
    assert names == ["patches.weight", "head.weight"]
    maps = weight_maps(model)
    assert {name: m.bits for name, m in maps.items() if name in names} == {
        "patches.weight": 8,
        "head.weight": 8,
    }
    assert type(maps["head.weight"]) is LSQQuantizer


def test_layers_compute_with_quantised_weights():
    model, plain = vit(), vit()
    quantize_model(model, 3, include="blocks.*.mlp", ste="clipped")
    with torch.no_grad():
        for block in plain.blocks:
            for layer in (block.mlp.fc1, block.mlp.fc2):
                layer.weight.copy_(stats_quantize(layer.weight, 3))
    assert torch.equal(model(rows()), plain(rows()))


def test_convolutions_have_a_scale_for_each_output():
    model = ConvNet(generator=0)
    weight = {n: p.detach().clone() for n, p in model.named_parameters()}
    names = quantize_model(model, 2, exclude=None)
    for name in names:
        layer = model.get_submodule(name.removesuffix(".weight"))
        assert torch.equal(layer.weight, stats_quantize(weight[name], 2, axis=0))
    kinds = {type(model.get_submodule(n.removesuffix(".weight"))) for n in names}
    assert any(issubclass(kind, nn.Conv2d) for kind in kinds)


@pytest.mark.parametrize("method", ["statsq", "lsq"])
def test_optimizer_sees_weights_and_scales(method):
    model = vit()
    names = quantize_model(model, 2, method=method)
    n_scales = len(names) if method == "lsq" else 0
    assert len(list(map_parameters(model))) == len(names) + n_scales
    model(rows()).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in map_parameters(model))


@pytest.mark.parametrize("method", ["statsq", "lsq"])
def test_folding_keeps_outputs_and_stripping_the_bits(method):
    model = vit()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    quantize_model(model, 2, method=method)
    twin = copy.deepcopy(model)
    outputs = model(rows())
    fold(model)
    assert torch.equal(model(rows()), outputs)
    strip(twin)
    after = dict(twin.named_parameters())
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_state_goes_round():
    model, other = vit(), TinyViT(generator=1)
    for one in (model, other):
        quantize_model(one, 2, method="lsq", act_bits=4, sample=rows())
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(rows()), model(rows()))


# The compiler instantiates a class that torch advises not to.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.slow
def test_compiled_model_computes_the_same():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    quantize_model(model, 2, include="0")
    quantize_model(model, 2, include="2", method="lsq")
    x = torch.rand(5, 6, generator=torch.Generator().manual_seed(0))
    expected = model(x)
    expected.square().sum().backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    out = torch.compile(model, backend="aot_eager", fullgraph=True)(x)
    out.square().sum().backward()
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close([p.grad for p in model.parameters()], gradients)


# --- activations --------------------------------------------------------------


def test_tokens_have_scales_of_their_own():
    model = vit()
    names = quantize_model(model, 2, act_bits=4, sample=rows(), exclude="patches")
    layer = model.blocks[0].mlp.fc1
    assert isinstance(layer.input_quantizer, ActivationQuantizer)
    assert layer.input_quantizer.scale.shape == (16, 1)
    assert layer.input_quantizer.shift_before.shape == (1, 32)
    # The head sees the mean over tokens: one scale.
    assert "head.weight" in names
    assert model.head.input_quantizer.scale.numel() == 1
    model(rows(7)).square().sum().backward()
    quantizers = [m for m in model.modules() if isinstance(m, ActivationQuantizer)]
    assert len(quantizers) == len(names)
    assert all(p.grad is not None for q in quantizers for p in q.parameters())


def test_one_scale_lets_sequences_be_of_any_length():
    model = CharLM(6, n_blocks=1, generator=0)
    tokens = torch.arange(30).view(3, 10) % 6
    quantize_model(model, 2, act_bits=4, sample=tokens, act_axis=None)
    assert model.blocks[0].mlp.fc1.input_quantizer.scale.numel() == 1
    assert model(tokens[:, :4]).shape == (3, 4, 6)
    strip(model)
    other = CharLM(6, n_blocks=1, generator=0)
    quantize_model(other, 2, act_bits=4, sample=tokens)
    with pytest.raises(ValueError, match="act_axis=None of quantize_model"):
        other(tokens[:, :4])


def test_inputs_are_quantised_before_the_layer():
    model = nn.Sequential(nn.Linear(4, 3))
    x = torch.rand(5, 4, generator=torch.Generator().manual_seed(0))
    quantize_model(model, 8, act_bits=2, sample=x)
    quantizer = ActivationQuantizer(2, x, axis=None)
    expected = nn.functional.linear(quantizer(x), model[0].weight, model[0].bias)
    torch.testing.assert_close(model(x), expected)


def test_eight_bits_are_close_to_floating_point():
    model, plain = vit(), vit()
    quantize_model(model, 8, act_bits=8, sample=rows(64), exclude=None)
    difference = (model(rows(64)) - plain(rows(64))).abs().mean()
    assert difference < 0.1 * plain(rows(64)).std()


def test_channels_of_images_have_shifts():
    model = ConvNet(generator=0)
    x = torch.rand(4, 64, generator=torch.Generator().manual_seed(0))
    names = quantize_model(model, 4, act_bits=4, sample=x, exclude=None)
    layer = model.get_submodule(names[1].removesuffix(".weight"))
    assert layer.input_quantizer.shift_before.shape[1:] == (1, 1)
    assert layer.input_quantizer.scale.numel() == 1
    assert model(x).shape == (4, 10)


def test_sample_leaves_modes_and_random_numbers_alone():
    model = TinyViT(dropout=0.5, generator=0)
    model.blocks[0].eval()
    state = torch.get_rng_state()
    quantize_model(model, 2, act_bits=4, sample=(rows(),))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not model.blocks[0].training
    assert model.blocks[1].training


def test_copy_quantises_with_quantisers_of_its_own():
    model = vit()
    quantize_model(model, 2, act_bits=4, sample=rows())
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.blocks[0].mlp.fc1.input_quantizer.shift_after.fill_(1.0)
    assert not torch.equal(twin(rows()), model(rows()))


# --- messages -----------------------------------------------------------------


def test_bad_input_is_refused_and_leaves_the_model_alone():
    model = vit()
    cases = [
        (r"'bits' of quantize_model .* Got 9", {"bits": 9}),
        (r"'bits' of quantize_model .* Got 0", {"act_bits": 0, "sample": rows()}),
        (r"'method' of quantize_model .* Got 'pact'", {"method": "pact"}),
        (r"'ste' of StatsQuantizer", {"ste": "soft"}),
        (r"'include' of quantize_model .* Got 'block'", {"include": "block"}),
        (r"needs a 'sample' of inputs", {"act_bits": 2}),
        (r"'act_axis' .* Got 1", {"act_bits": 2, "sample": rows(), "act_axis": 1}),
        (r"must have something to work on", {"exclude": re.compile(".*")}),
    ]
    for message, options in cases:
        with pytest.raises(ValueError, match=message):
            quantize_model(model, **options)
    with pytest.raises(TypeError, match=r"must name layers of a kind"):
        quantize_model(model, include="norm")
    assert weight_maps(model) == {}
    assert not any(isinstance(m, ActivationQuantizer) for m in model.modules())


def test_quantising_twice_is_refused():
    model = vit()
    quantize_model(model, 2, include="patches", act_bits=2, sample=rows())
    with pytest.raises(ValueError, match=r"one StatsQuantizer on a tensor"):
        quantize_model(model, 2)
    with pytest.raises(ValueError, match=r"inputs of a layer once. .*patches"):
        quantize_model(model, 2, include="patches", act_bits=2, sample=rows())


def test_layers_that_the_sample_does_not_reach_are_named():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.used(x)

    one = Model()
    with pytest.raises(ValueError, match=r"Got none for \['idle.weight'\]"):
        quantize_model(one, 2, act_bits=2, sample=torch.ones(2, 4))
    assert weight_maps(one) == {}


def test_no_layer_between_the_ends_is_refused():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"skip_ends=True needs layers between"):
        quantize_model(model, skip_ends=True)


class InPlace(nn.Module):
    """Changes what goes into its layer afterwards, and calls the layer by keyword."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        x = torch.relu(x)
        change = self.fc(input=x)
        x -= 10.0 * change
        return x


def test_scales_start_from_what_the_layer_was_given():
    torch.manual_seed(0)
    model, x = InPlace(), torch.randn(64, 8)
    quantize_model(model, 2, act_bits=4, sample=x)
    expected = ActivationQuantizer(4, torch.relu(x), axis=None)
    assert not model.fc.input_quantizer.signed
    assert torch.equal(model.fc.input_quantizer.scale, expected.scale)


def test_layers_may_be_called_by_keyword():
    model, x = InPlace(), torch.randn(64, 8)
    quantize_model(model, 2, act_bits=4, sample=x)
    quantised = model.fc.input_quantizer(x)
    assert torch.equal(model.fc(input=x), model.fc(x))
    expected = nn.functional.linear(quantised, model.fc.weight, model.fc.bias)
    assert torch.equal(model.fc(input=x), expected)
    twin = copy.deepcopy(model)
    strip(twin)
    assert not twin.fc._forward_pre_hooks
    assert not twin.fc._forward_pre_hooks_with_kwargs


def test_a_part_of_the_same_name_is_not_taken_for_a_quantiser():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    model[1].input_quantizer = nn.Identity()
    with pytest.raises(
        ValueError, match=r"Got parts of that name already in \['1.weight'\]"
    ):
        quantize_model(model, 2, act_bits=3, sample=torch.rand(3, 4))
    quantize_model(model, 2)
    strip(model)
    assert isinstance(model[1].input_quantizer, nn.Identity)


def test_tokens_first_need_one_scale():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    x = torch.randn(5, 3, 8)
    other = copy.deepcopy(layer)
    quantize_model(layer, 2, act_bits=4, sample=x, include="linear1")
    with pytest.raises(ValueError, match=r"axis -2. Got 7 .* batch_first=True"):
        layer(torch.randn(5, 7, 8))
    quantize_model(other, 2, act_bits=4, sample=x, include="linear1", act_axis=None)
    assert other(torch.randn(5, 7, 8)).shape == (5, 7, 8)
