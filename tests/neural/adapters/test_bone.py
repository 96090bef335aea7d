"""Block-affine adapters on whole models: attach, train, merge, undo, state."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural import (  # noqa: E402
    NeuralClassifier,
    fold,
    strip,
    weight_maps,
)
from statlearn.neural.adapters import (  # noqa: E402
    BlockAffine,
    LowRank,
    apply_bone,
    apply_lora,
    bone_parameters,
    bone_state_dict,
    count_trainable,
    load_bone_state_dict,
    merge_bone,
    unmerge_bone,
)

SETTINGS = {
    "col": {},
    "row": {"variant": "row"},
    "free": {"variant": "free"},
    "ab": {"variant": "ab"},
    "additive": {"variant": "additive"},
    "padded": {"variant": "additive", "r": 5},
    "mini": {"variant": "mini", "mini_r": 2},
}
every_variant = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)


def network(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 12), nn.LayerNorm(12), nn.ReLU(), nn.Linear(12, 4)
    ).to(dtype)


def adapted(dtype=torch.float64, **settings):
    """Return a model whose adapters are no longer zero, and its bits from before."""
    model = network(dtype)
    before = copy.deepcopy(model.state_dict())
    apply_bone(model, **{"r": 4, **settings})
    with torch.no_grad():
        for parameter in bone_parameters(model):
            parameter.normal_(std=0.3)
    return model, before


def inputs(n=6, dtype=torch.float64):
    generator = torch.Generator().manual_seed(9)
    return torch.randn(n, 8, generator=generator, dtype=dtype)


def same_bits(model, state):
    now = model.state_dict()
    return list(now) == list(state) and all(
        torch.equal(now[name], state[name]) for name in state
    )


# --- attach and train --------------------------------------------------------


def test_only_the_blocks_are_trained():
    model = network()
    assert apply_bone(model, r=4) == ["0.weight", "3.weight"]
    trained = [p for p in model.parameters() if p.requires_grad]
    assert [tuple(p.shape) for p in trained] == [(3, 4, 4), (1, 4, 4)]
    assert [id(p) for p in trained] == [id(p) for p in bone_parameters(model)]
    total = sum(p.numel() for p in network().parameters())
    assert count_trainable(model) == (64, total + 64)


def test_rest_of_the_model_can_stay_trained():
    model = network()
    apply_bone(model, r=4, include="0", freeze_rest=False)
    still = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {"0.bias", "3.weight", "3.bias", "1.weight"} <= still
    assert "0.parametrizations.weight.original" not in still


@every_variant
def test_fresh_adapters_leave_the_outputs_to_the_bit(settings):
    model = network()
    wanted = model(inputs())
    apply_bone(model, **{"r": 4, **settings})
    assert torch.equal(model(inputs()), wanted)


@every_variant
def test_training_lowers_the_loss_and_leaves_the_base(settings):
    model = network()
    before = copy.deepcopy(model.state_dict())
    apply_bone(model, **{"r": 4, **settings})
    target = torch.ones(6, 4, dtype=torch.float64)
    optimizer = torch.optim.AdamW(bone_parameters(model), lr=0.02, weight_decay=0)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (model(inputs()) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    strip(model)
    assert same_bits(model, before)


@pytest.mark.parametrize("variant", ["row", "free", "ab", "additive", "col"])
def test_layer_does_not_form_its_weight_where_the_product_will_do(variant, monkeypatch):
    model, _ = adapted(variant=variant)

    def forming(self, weight):
        raise AssertionError("the weight was formed")

    monkeypatch.setattr(BlockAffine, "forward", forming)
    model(inputs(1)).sum().backward()
    assert all(p.grad is not None for p in bone_parameters(model))


def test_two_kinds_of_adapters_follow_one_another():
    model, _ = adapted()
    middle = model[0].weight.detach()
    apply_lora(model, r=2, include="0")
    lora = weight_maps(model, kind=LowRank)["0.weight"]
    nn.init.ones_(lora.B)
    torch.testing.assert_close(model[0].weight, middle + lora.A.sum(0))
    wanted = nn.functional.linear(inputs(), model[0].weight, model[0].bias)
    torch.testing.assert_close(model[0](inputs()), wanted)


def test_output_layer_of_attention_can_be_adapted():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.randn(3, 5, 8)
    wanted = attention(x, x, x)[0]
    assert apply_bone(attention, r=4) == ["out_proj.weight"]
    torch.testing.assert_close(attention(x, x, x)[0], wanted)
    nn.init.constant_(next(bone_parameters(attention)), 0.1)
    assert (attention(x, x, x)[0] - wanted).abs().max() > 0.01


# --- merge and undo ----------------------------------------------------------


@every_variant
def test_merged_model_computes_what_the_adapted_one_did(settings):
    model, _ = adapted(**settings)
    wanted = model(inputs())
    merge_bone(model)
    assert all(type(layer) is nn.Linear for layer in (model[0], model[3]))
    torch.testing.assert_close(model(inputs()), wanted, rtol=1e-12, atol=1e-12)


@every_variant
@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str
)
def test_unmerging_and_stripping_bring_back_every_bit(settings, dtype):
    model, before = adapted(dtype, **settings)
    blocks = bone_state_dict(model)
    merge_bone(model)
    assert not same_bits(model, before)
    unmerge_bone(model)
    now = bone_state_dict(model)
    assert list(now) == list(blocks)
    assert all(torch.equal(now[name], blocks[name]) for name in blocks)
    strip(model)
    assert same_bits(model, before)
    assert all(p.requires_grad for p in model.parameters())


def test_singular_blocks_can_be_unmerged():
    model, before = adapted()
    with torch.no_grad():
        for parameter in bone_parameters(model):
            parameter.copy_(-torch.eye(4).expand_as(parameter))
    merge_bone(model)
    # I + B = 0: all that is left of the weight is B.
    assert torch.equal(model[0].weight[:4, :4], -torch.eye(4, dtype=torch.float64))
    unmerge_bone(model)
    strip(model)
    assert same_bits(model, before)


def test_merged_model_saves_as_a_plain_one():
    model, before = adapted(variant="additive", r=5)
    fold(model)
    plain = network()
    plain.load_state_dict(model.state_dict())
    assert list(model.state_dict()) == list(before)
    assert torch.equal(plain(inputs()), model(inputs()))


# --- state -------------------------------------------------------------------


@every_variant
def test_state_is_small_and_makes_another_model_compute_the_same(settings):
    model, _ = adapted(**settings)
    state = bone_state_dict(model)
    assert all(name.rsplit(".", 1)[1] in {"A", "B", "D"} for name in state)
    assert sum(t.numel() for t in state.values()) == count_trainable(model)[0]
    other = network()
    apply_bone(other, **{"r": 4, **settings})
    load_bone_state_dict(other, {name: t.numpy() for name, t in state.items()})
    assert torch.equal(other(inputs()), model(inputs()))


def test_state_of_other_sizes_is_refused_and_nothing_loaded():
    model, _ = adapted(include="0")
    before = bone_state_dict(model)
    for settings in ({"r": 2, "include": "0"}, {"r": 4}, {"variant": "additive"}):
        with pytest.raises(ValueError, match="state"):
            load_bone_state_dict(model, bone_state_dict(adapted(**settings)[0]))
    assert torch.equal(bone_state_dict(model)["0.weight.B"], before["0.weight.B"])


# --- what torch does to modules ----------------------------------------------


@every_variant
def test_copies_and_types_follow_the_module(settings):
    model, _ = adapted(**settings)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(inputs()), model(inputs()))
    nn.init.zeros_(next(bone_parameters(twin)))
    assert not torch.equal(twin(inputs()), model(inputs()))
    single = copy.deepcopy(model).to(torch.float32)
    assert {p.dtype for p in bone_parameters(single)} == {torch.float32}
    torch.testing.assert_close(
        single(inputs().float()).double(), model(inputs()), rtol=1e-4, atol=1e-4
    )


@every_variant
def test_state_dict_of_the_whole_model_goes_round(settings):
    model, _ = adapted(**settings)
    other = network()
    apply_bone(other, **{"r": 4, **settings})
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(inputs()), model(inputs()))


@every_variant
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_models_train(settings, dtype):
    model, _ = adapted(dtype, **settings)
    for n in (1, 6):
        output = model(inputs(n, dtype))
        assert output.dtype == dtype
        output.sum().backward()
    for parameter in bone_parameters(model):
        assert parameter.grad.dtype == dtype
        assert torch.isfinite(parameter.grad).all()


@every_variant
@pytest.mark.parametrize("n", [1, 6])
def test_mixed_precision_works_on_the_cpu(settings, n):
    model, _ = adapted(torch.float32, **settings)
    x = inputs(n, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(x)
    torch.testing.assert_close(output.float(), model(x), rtol=0.1, atol=0.1)


@every_variant
@pytest.mark.parametrize("n", [1, 6])
def test_mixed_precision_has_the_gradient_of_single_precision(settings, n):
    layer = adapted(torch.float32, **settings)[0][0]
    x, trained = inputs(n, torch.float32), list(bone_parameters(layer))
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(x)
    for gradient, other in zip(
        torch.autograd.grad(output.float().square().sum(), trained),
        torch.autograd.grad(layer(x).square().sum(), trained),
        strict=True,
    ):
        tolerance = 0.05 * other.abs().max().item()
        torch.testing.assert_close(gradient, other, rtol=0.0, atol=tolerance)


def test_classifier_trains_adapters_in_mixed_precision():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 16)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    model = NeuralClassifier(
        hidden_layer_sizes=(16,),
        max_epochs=2,
        precision="bf16",
        weight_map=partial(apply_bone, r=8, exclude="*head*"),
        random_state=0,
    )
    assert model.fit(X, y).predict(X).shape == y.shape


@pytest.mark.parametrize(
    ("variant", "n"), [("col", 1), ("col", 6), ("row", 6), ("additive", 6)]
)
@pytest.mark.slow
def test_compiled_model_computes_the_same_with_its_gradient(variant, n):
    torch.compiler.reset()
    model, _ = adapted(variant=variant)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    wanted = model(inputs(n))
    gradients = torch.autograd.grad(wanted.sum(), list(bone_parameters(model)))
    output = compiled(inputs(n))
    torch.testing.assert_close(output, wanted)
    torch.testing.assert_close(
        torch.autograd.grad(output.sum(), list(bone_parameters(model))), gradients
    )


# --- bad input ---------------------------------------------------------------


def test_layer_that_does_not_fit_is_named_and_the_model_left_alone():
    model = network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(
        ValueError,
        match=r"apply_bone at '0.weight': The 'r' of BlockAffine must divide .* Got "
        r"r=3 for a weight of shape \(12, 8\); choose one of \[1, 2, 4\]",
    ):
        apply_bone(model, r=3)
    with pytest.raises(ValueError, match=r"at '3.weight'.* Got 3 for 4 outputs"):
        apply_bone(model, r=4, variant="mini", mini_r=3)
    assert same_bits(model, before)
    assert all(p.requires_grad for p in model.parameters())


def test_layer_of_another_kind_is_refused():
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Linear(4, 4))
    with pytest.raises(TypeError, match=r"kind that it works on. Got '0'"):
        apply_bone(model, r=2, include="0")
    assert apply_bone(model, r=2) == ["1.weight"]


def test_second_adapter_on_a_layer_is_refused():
    model, _ = adapted(include="0")
    with pytest.raises(
        ValueError, match=r"one BlockAffine on a tensor. Got '0.weight'"
    ):
        apply_bone(model, r=4)
    assert list(weight_maps(model)) == ["0.weight"]


@pytest.mark.parametrize(
    "call",
    [
        merge_bone,
        bone_parameters,
        bone_state_dict,
        lambda model: load_bone_state_dict(model, {}),
    ],
    ids=["merge", "parameters", "state", "load"],
)
def test_model_without_adapters_is_refused(call):
    with pytest.raises(ValueError, match="BlockAffine"):
        call(network())
    model, _ = adapted()
    merge_bone(model)
    with pytest.raises(ValueError, match="BlockAffine"):
        call(model)


def test_model_that_was_not_merged_cannot_be_unmerged():
    for model in (network(), adapted()[0]):
        with pytest.raises(
            ValueError, match=r"unmerge_bone must find .* that was folded"
        ):
            unmerge_bone(model)


def test_model_without_adapters_cannot_be_merged():
    with pytest.raises(ValueError, match="merge_bone must find a BlockAffine"):
        merge_bone(network())
