"""LoRA and PiSSA: starts, updates, the two ways to compute a product."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from statlearn.neural import (  # noqa: E402
    count_trainable,
    fold,
    load_map_state_dict,
    map_parameters,
    map_state_dict,
    strip,
    unfold,
    weight_maps,
)
from statlearn.neural.adapters import LowRank, apply_lora, apply_pissa  # noqa: E402

APPLY = {"lora": apply_lora, "pissa": apply_pissa}
both_starts = pytest.mark.parametrize("apply", APPLY.values(), ids=APPLY)
TYPES = [torch.float64, torch.float32, torch.bfloat16]


def network(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 4)).to(dtype)


def adapted(apply, dtype=torch.float64, **settings):
    model = network(dtype)
    before = copy.deepcopy(model.state_dict())
    apply(model, **{"r": 3, "alpha": 6.0, **settings})
    with torch.no_grad():
        for parameter in map_parameters(model):
            parameter += torch.randn_like(parameter) / 4
    return model, before


def inputs(n=6, dtype=torch.float64):
    generator = torch.Generator().manual_seed(9)
    return torch.randn(n, 8, generator=generator, dtype=dtype)


def test_update_is_that_worked_by_hand():
    made = LowRank(2, 2, 1, alpha=3.0, dtype=torch.float64)
    with torch.no_grad():
        made.A.copy_(torch.tensor([[1.0, 2.0]]))
        made.B.copy_(torch.tensor([[0.5], [-1.0]]))
    weight, x = torch.eye(2, dtype=torch.float64), torch.tensor([[1.0, -1.0]]).double()
    wanted = torch.tensor([[2.5, 3.0], [-3.0, -5.0]]).double()
    torch.testing.assert_close(made(weight), wanted)
    bias = torch.tensor([0.25, 0.0]).double()
    y = made.linear(weight, bias, x)
    torch.testing.assert_close(y, torch.tensor([[-0.25, 2.0]]).double())


def test_principal_start_is_the_truncated_decomposition():
    weight = torch.diag(torch.tensor([4.0, 9.0, 1.0], dtype=torch.float64))
    made = LowRank.principal(weight, 2)
    product = (made.B @ made.A).detach()
    torch.testing.assert_close(product, torch.diag(torch.tensor([4.0, 9, 0]).double()))
    # Each factor carries the root of a singular value.
    torch.testing.assert_close(
        made.A.norm(dim=1).detach(), torch.tensor([3.0, 2.0], dtype=torch.float64)
    )
    scaled = LowRank.principal(weight, 2, alpha=8.0)
    torch.testing.assert_close((4.0 * scaled.B @ scaled.A).detach(), product)


def test_trained_principal_adapter_adds_to_the_residual():
    model, before = adapted(apply_pissa)
    made = weight_maps(model)["0.weight"]
    residual = before["0.weight"] - 2.0 * made.B_start @ made.A_start
    wanted = residual + 2.0 * made.B @ made.A
    torch.testing.assert_close(model[0].weight, wanted)


@both_starts
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_fresh_adapters_leave_the_outputs_to_the_bit(apply, dtype):
    model = network(dtype)
    wanted, weight = model(inputs(dtype=dtype)), model[0].weight.detach().clone()
    assert apply(model, r=3, alpha=5.0) == ["0.weight", "2.weight"]
    assert torch.equal(model(inputs(dtype=dtype)), wanted)
    assert torch.equal(model[0].weight, weight)


@both_starts
@pytest.mark.parametrize("n", [1, 40])
def test_product_without_forming_equals_the_formed_one(apply, n):
    model, _ = adapted(apply)
    layer, x = model[0], inputs(n)
    wanted = F.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), wanted, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), wanted, rtol=1e-12, atol=1e-12)


@both_starts
def test_gradients_agree_with_finite_differences(apply):
    model, _ = adapted(apply)
    x = inputs(3).requires_grad_()
    parameters = tuple(map_parameters(model))
    assert torch.autograd.gradcheck(lambda x, *_: model(x), (x, *parameters))


@both_starts
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_folding_undoing_and_stripping_keep_their_promises(apply, dtype):
    model, before = adapted(apply, dtype)
    x = inputs(dtype=dtype)
    wanted = model(x)
    fold(model, reversible=True)
    rtol = 0.1 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(model(x), wanted, rtol=rtol, atol=rtol)
    unfold(model)
    assert torch.equal(model(x), wanted)
    strip(model)
    now = model.state_dict()
    assert list(now) == list(before)
    assert all(torch.equal(now[name], before[name]) for name in before)


@pytest.mark.parametrize(("apply", "times"), [(apply_lora, 1), (apply_pissa, 2)])
def test_state_makes_another_model_compute_the_same(apply, times):
    model, _ = adapted(apply)
    state = map_state_dict(model)
    assert count_trainable(model)[0] == 3 * (8 + 12) + 3 * (12 + 4)
    assert sum(t.numel() for t in state.values()) == times * count_trainable(model)[0]
    other = network()
    apply(other, r=3, alpha=6.0)
    load_map_state_dict(other, state)
    assert torch.equal(other(inputs()), model(inputs()))


@both_starts
def test_compiled_copied_and_converted_models_compute_the_same(apply):
    model, _ = adapted(apply)
    wanted = model(inputs())
    torch.compiler.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(inputs()), wanted)
    assert torch.equal(copy.deepcopy(model)(inputs()), wanted)
    single = model.to(torch.float32)(inputs().float())
    torch.testing.assert_close(single.double(), wanted, rtol=1e-4, atol=1e-4)


def test_start_is_drawn_from_the_generator():
    starts = []
    for seed in (1, 1, 2):
        model = network()
        apply_lora(model, r=3, generator=torch.Generator().manual_seed(seed))
        starts.append(map_state_dict(model)["0.weight.A"])
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])
    assert starts[0].abs().max() <= 8**-0.5
    assert not map_state_dict(model)["0.weight.B"].any()


def test_printed_form_tells_rank_and_start():
    made = LowRank.principal(torch.eye(4), 2, alpha=4.0)
    assert repr(made) == "LowRank(4, 4, r=2, alpha=4, start='principal')"
    assert repr(LowRank(4, 4, 2)) == "LowRank(4, 4, r=2, alpha=2)"


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ValueError, r"'r' of LowRank .* >= 1. Got 0; pass", {"r": 0}),
        (TypeError, r"'r' of LowRank .* >= 1. Got 1.5", {"r": 1.5}),
        (ValueError, r"'alpha' .* finite number > 0. Got 0.0; pass None", {"alpha": 0}),
        (ValueError, r"'alpha' .* Got -1", {"alpha": -1}),
        (ValueError, r"'alpha' .* Got nan", {"alpha": float("nan")}),
        (ValueError, r"'alpha' .* Got inf", {"alpha": float("inf")}),
        (TypeError, r"'alpha' .* real number. Got '8'", {"alpha": "8"}),
    ],
)
@both_starts
def test_bad_parameters_are_refused_and_the_model_left_alone(
    apply, error, message, settings
):
    model = network()
    with pytest.raises(error, match=message):
        apply(model, **settings)
    assert not weight_maps(model)
    assert all(p.requires_grad for p in model.parameters())


def test_principal_start_needs_singular_values_and_finite_weights():
    model = network()
    with pytest.raises(ValueError, match=r"at '2.weight': .* r=5 for shape \(4, 12\)"):
        apply_pissa(model, r=5)
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"at '0.weight': .* must be finite"):
        apply_pissa(model, r=2)


@pytest.mark.parametrize("size", ["out_features", "in_features"])
def test_sides_of_the_weight_must_be_counts(size):
    with pytest.raises(ValueError, match=f"'{size}' of LowRank"):
        LowRank(**{"out_features": 4, "in_features": 4, "r": 2, size: 0})


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
@both_starts
def test_layers_without_a_shape_yet_are_refused(apply):
    model = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"Got 0.weight of lazy layers; run the model"):
        apply(model, r=1)
    assert apply(model, r=1, include="1") == ["1.weight"]
    assert not model[0].weight.requires_grad
    strip(model)
    model(torch.ones(1, 3)).sum().backward()
    assert model[0].weight.grad is not None


def test_seed_is_a_generator():
    first, second, third = network(), network(), network()
    apply_lora(first, r=2, generator=3)
    apply_lora(second, r=2, generator=torch.Generator().manual_seed(3))
    apply_lora(third, r=2, generator=4)
    states = [map_state_dict(model) for model in (first, second, third)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["0.weight.A"], states[2]["0.weight.A"])
    with pytest.raises(TypeError, match=r"'generator' of apply_lora must be a torch.G"):
        apply_lora(network(), r=2, generator="0")
    assert LowRank(3, 4, 2, generator=0, device="meta").A.is_meta


def test_weight_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"this LowRank must have shape \(4, 3\). Got"):
        LowRank(4, 3, 2)(torch.zeros(5, 3))
