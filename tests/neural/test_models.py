"""Small models: their start, their shapes, and attention against that of torch."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from statlearn.neural.losses import cross_entropy  # noqa: E402
from statlearn.neural.models import (  # noqa: E402
    MLP,
    Attention,
    CharLM,
    ConvNet,
    TinyViT,
)

assert_close = torch.testing.assert_close
DIGITS = torch.rand(6, 64, generator=torch.Generator().manual_seed(1))
TEXT = torch.randint(5, (6, 7), generator=torch.Generator().manual_seed(2))

# name: (make, input of six samples)
MODELS = {
    "mlp": (lambda **k: MLP(64, (8, 6), 3, **k), DIGITS),
    "mlp batch": (lambda **k: MLP(64, (8, 6), 3, norm="batch", **k), DIGITS),
    "mlp layer": (lambda **k: MLP(64, 8, norm="layer", activation="gelu", **k), DIGITS),
    "linear": (lambda **k: MLP(64, (), 3, bias=False, **k), DIGITS),
    "conv": (lambda **k: ConvNet(**k), DIGITS),
    "conv layer": (lambda **k: ConvNet(norm="layer", bias=False, **k), DIGITS),
    "conv plain": (lambda **k: ConvNet(norm=None, widths=(4, 5, 6), **k), DIGITS),
    "vit": (lambda **k: TinyViT(**k), DIGITS),
    "vit without bias": (lambda **k: TinyViT(qkv_bias=False, n_blocks=1, **k), DIGITS),
    "characters": (lambda **k: CharLM(5, context=9, **k), TEXT),
}
each_model = pytest.mark.parametrize("name", MODELS)


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(
        torch.equal(one[k], other[k]) for k in one
    )


# --- all models ----------------------------------------------------------------


@each_model
def test_seed_fixes_the_start_and_the_global_stream_stays(name):
    make, _ = MODELS[name]
    before = torch.get_rng_state()
    first, again = make(generator=3), make(generator=torch.Generator().manual_seed(3))
    assert same(first, again)
    assert not same(first, make(generator=4))
    assert torch.equal(torch.get_rng_state(), before)


@each_model
def test_without_generator_the_global_stream_decides_and_moves_on(name):
    make, _ = MODELS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first, second = make(), make()
        torch.manual_seed(3)
        assert same(make(), first)
    assert not same(first, second)
    assert same(first, make(generator=3))


@each_model
def test_generator_is_shared_by_models_one_after_the_other(name):
    make, _ = MODELS[name]
    source = torch.Generator().manual_seed(3)
    first, second = make(generator=source), make(generator=source)
    assert same(first, make(generator=3))
    assert not same(first, second)


@each_model
def test_copies_compute_the_same_and_share_nothing(name):
    make, x = MODELS[name]
    model = make(generator=0).eval()
    twin = copy.deepcopy(model)
    assert torch.equal(model(x), twin(x))
    with torch.no_grad():
        twin.head.weight.zero_()
    assert model.head.weight.any()


@each_model
def test_float64_agrees_with_float32(name):
    make, x = MODELS[name]
    model = make(generator=0).eval()
    single = model(x)
    model.to(torch.float64)
    x = x.double() if x.is_floating_point() else x
    assert model(x).dtype == torch.float64
    assert_close(model(x).float(), single, rtol=1e-4, atol=1e-5)


@each_model
def test_gradients_reach_every_parameter_and_agree_with_differences(name):
    make, x = MODELS[name]
    model = make(generator=0).to(torch.float64).eval()
    x = x.double() if x.is_floating_point() else x
    rng = torch.Generator().manual_seed(5)
    parameters = dict(model.named_parameters())
    way = {
        key: torch.randn(value.shape, generator=rng, dtype=torch.float64)
        for key, value in parameters.items()
    }

    def loss(step):
        moved = {key: value + step * way[key] for key, value in parameters.items()}
        return torch.func.functional_call(model, moved, (x,)).square().mean()

    gradient = torch.autograd.grad(loss(0.0), list(parameters.values()))
    for value, key in zip(gradient, parameters, strict=True):
        assert value.isfinite().all(), key
        assert value.any() or key.endswith("attention.k.bias"), key
    along = sum((g * w).sum() for g, w in zip(gradient, way.values(), strict=True))
    h = 1e-6
    with torch.no_grad():
        assert_close(along, (loss(h) - loss(-h)) / (2 * h), rtol=1e-5, atol=1e-8)


@each_model
@pytest.mark.slow
def test_model_runs_under_compile_without_a_break(name):
    make, x = MODELS[name]
    model = make(generator=0).eval()
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert_close(compiled(x), model(x))


@each_model
def test_layers_are_unshared_modules_of_torch_with_a_head(name):
    make, _ = MODELS[name]
    model = make(generator=0)
    assert type(model.head) is nn.Linear
    pointers = [parameter.data_ptr() for parameter in model.parameters()]
    assert len(set(pointers)) == len(pointers)
    for key, module in model.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            assert type(module).__module__.startswith("torch.nn"), key


@each_model
def test_start_lies_within_the_bounds_of_torch(name):
    make, _ = MODELS[name]
    for module in make(generator=0).modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            bound = module.weight[0].numel() ** -0.5
            assert module.weight.abs().max() <= bound
            assert module.weight.abs().max() > 0.8 * bound
            if module.bias is not None:
                assert 0 < module.bias.abs().max() <= bound
        elif isinstance(module, nn.Embedding):
            assert 0.01 < module.weight.std() < 0.03


@pytest.mark.parametrize(
    "make", [MLP, ConvNet, TinyViT, CharLM], ids=lambda m: m.__name__
)
def test_models_are_made_on_the_cpu_whatever_the_device_in_force(make):
    arguments = (5,) if make in (MLP, CharLM) else ()
    with torch.device("meta"):
        model = make(*arguments, generator=0)
    assert same(model, make(*arguments, generator=0))


def test_dropout_works_in_training_only():
    for model, x in [
        (MLP(64, 32, dropout=0.5, generator=0), DIGITS),
        (ConvNet(dropout=0.5, norm=None, generator=0), DIGITS),
        (TinyViT(dropout=0.5, generator=0), DIGITS),
        (CharLM(5, dropout=0.5, generator=0), TEXT),
    ]:
        assert not torch.equal(model(x), model(x))
        model.eval()
        assert torch.equal(model(x), model(x))


# --- sizes and names -------------------------------------------------------------


def test_parameter_counts_are_those_of_the_formulas():
    # sum of (inputs + 1) * outputs, and two for each normalised unit
    assert size(MLP(4, (8, 6), 3)) == 5 * 8 + 9 * 6 + 7 * 3
    assert size(MLP(4, (8, 6), 3, norm="layer")) == 5 * 8 + 9 * 6 + 7 * 3 + 2 * 14
    assert size(MLP(4, (8, 6), 3, bias=False)) == 4 * 8 + 8 * 6 + 6 * 3
    assert size(MLP(4, ())) == 5
    assert size(ConvNet()) == 12 * 16 + (9 * 16 + 3) * 32 + 33 * 10 == 5226
    P, T, D, B, M, K = 4, 16, 32, 2, 64, 10
    block = 4 * D * D + 2 * D * M + 9 * D + M
    assert size(TinyViT()) == (P + 1 + T) * D + B * block + 2 * D + (D + 1) * K
    assert size(TinyViT(qkv_bias=False)) == size(TinyViT()) - 3 * B * D
    V, C, M = 11, 20, 128
    block = 4 * D * D + 2 * D * M + 9 * D + M
    model = CharLM(V, context=C)
    assert size(model) == (2 * V + C) * D + V + B * block + 2 * D


def test_names_of_linear_layers_are_the_documented_ones():
    def linear(model):
        return [
            key
            for key, module in model.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding)
        ]

    block = ["attention.q", "attention.k", "attention.v", "attention.proj"]
    block += ["mlp.fc1", "mlp.fc2"]
    blocks = [f"blocks.{i}.{key}" for i in (0, 1) for key in block]
    assert linear(TinyViT()) == ["patches", "positions", *blocks, "head"]
    assert linear(CharLM(5)) == ["characters", "positions", *blocks, "head"]
    for norm in (None, "batch", "layer"):
        assert linear(MLP(4, norm=norm)) == ["layers.0", "layers.1", "head"]
        assert linear(ConvNet(norm=norm)) == ["convs.0", "convs.1", "head"]


def test_batch_norm_learns_running_statistics():
    model = MLP(64, 8, norm="batch", generator=0)
    assert model.norms[0].num_batches_tracked == 0
    model(DIGITS)
    assert model.norms[0].num_batches_tracked == 1


# --- forward against other routes ---------------------------------------------------


def test_mlp_is_the_chain_of_its_layers():
    model = MLP(64, (8, 6), 3, activation="tanh", generator=0)
    first, second = model.layers
    hidden = torch.tanh(second(torch.tanh(first(DIGITS))))
    assert_close(model(DIGITS), hidden @ model.head.weight.T + model.head.bias)


def test_convnet_is_the_chain_of_its_layers():
    model = ConvNet(generator=0).eval()
    chain = nn.Sequential(
        model.convs[0],
        model.norms[0],
        nn.ReLU(),
        nn.MaxPool2d(2),
        model.convs[1],
        model.norms[1],
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        model.head,
    ).eval()
    assert_close(model(DIGITS), chain(DIGITS.reshape(6, 1, 8, 8)))


@pytest.mark.parametrize("model", ["conv", "vit"])
def test_images_and_rows_of_their_pixels_are_the_same(model):
    model = MODELS[model][0](generator=0).eval()
    assert torch.equal(model(DIGITS), model(DIGITS.reshape(6, 1, 8, 8)))


def multihead(attention, width):
    """Return the attention of torch with the weights of ours."""
    theirs = nn.MultiheadAttention(width, attention.n_heads, batch_first=True)
    layers = attention.q, attention.k, attention.v
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in layers]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in layers]))
        theirs.out_proj.weight.copy_(attention.proj.weight)
        theirs.out_proj.bias.copy_(attention.proj.bias)
    return theirs


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n_heads", [1, 2, 4])
def test_attention_is_that_of_torch(n_heads, causal):
    torch.manual_seed(0)
    ours = Attention(8, n_heads, causal=causal).double()
    theirs = multihead(ours, 8).double()
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    expected, _ = theirs(x, x, x, attn_mask=mask)
    assert_close(ours(x), expected, rtol=1e-12, atol=1e-14)


def test_vit_is_the_encoder_of_torch_on_patches():
    model = TinyViT(generator=0).double().eval()
    encoder = []
    for block in model.blocks:
        layer = nn.TransformerEncoderLayer(
            32, 2, 64, 0.0, "gelu", batch_first=True, norm_first=True
        ).double()
        layer.self_attn = multihead(block.attention, 32).double()
        layer.linear1, layer.linear2 = block.mlp.fc1, block.mlp.fc2
        layer.norm1, layer.norm2 = block.norm1, block.norm2
        encoder.append(layer)
    images = DIGITS.double().reshape(6, 8, 8)
    patches = [
        images[:, i : i + 2, j : j + 2].reshape(6, 4)
        for i in range(0, 8, 2)
        for j in range(0, 8, 2)
    ]
    x = model.patches(torch.stack(patches, 1)) + model.positions.weight
    for layer in encoder:
        x = layer(x)
    expected = model.head(model.norm(x).mean(1))
    assert_close(model(DIGITS.double()), expected, rtol=1e-10, atol=1e-12)


def test_patches_keep_the_channels_of_an_image():
    model = TinyViT(4, 2, 3, 2, n_blocks=1, generator=0)
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    seen = []
    hook = model.patches.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    model(images)
    hook.remove()
    assert_close(seen[0][:, 1], images[:, :, :2, 2:].reshape(2, 12))


# --- characters ----------------------------------------------------------------------


def test_future_characters_do_not_change_the_past():
    model = CharLM(5, context=9, generator=0).double()
    logits = model(TEXT)
    for t in range(1, 7):
        changed = TEXT.clone()
        changed[:, t:] = (changed[:, t:] + 1) % 5
        found = model(changed)
        assert_close(found[:, :t], logits[:, :t], rtol=1e-12, atol=1e-14)
        assert not torch.allclose(found[:, t], logits[:, t])
        assert_close(model(TEXT[:, :t]), logits[:, :t], rtol=1e-12, atol=1e-14)


def test_past_characters_change_what_follows():
    model = CharLM(5, context=9, generator=0).double()
    changed = TEXT.clone()
    changed[:, 0] = (changed[:, 0] + 1) % 5
    assert not torch.allclose(model(changed)[:, -1], model(TEXT)[:, -1], rtol=1e-9)


def test_generated_text_starts_with_the_prompt_and_follows_the_seed():
    model = CharLM(5, context=4, dropout=0.5, generator=0)
    before = torch.get_rng_state()
    found = model.generate(TEXT, 12, generator=1)
    assert found.shape == (6, 19)
    assert torch.equal(found[:, :7], TEXT)
    assert torch.equal(found, model.generate(TEXT, 12, generator=1))
    assert not torch.equal(found, model.generate(TEXT, 12, generator=2))
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert not found.requires_grad


def test_temperature_zero_takes_the_most_probable_character():
    model = CharLM(5, context=4, generator=0)
    ids = TEXT[0]
    found = model.generate(ids, 6, temperature=0.0)
    for _ in range(6):
        ids = torch.cat([ids, model(ids[None, -4:])[0, -1].argmax()[None]])
    assert torch.equal(found, ids)
    cold = model.generate(TEXT[0], 6, temperature=1e-6, generator=0)
    assert torch.equal(cold, found)


def test_draws_have_the_probabilities_of_the_model():
    model = CharLM(3, context=2, generator=0)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([0.6, 0.3, 0.1]).log())
    drawn = model.generate(torch.zeros(4000, 1, dtype=torch.int64), 1, generator=0)
    counts = torch.bincount(drawn[:, 1], minlength=3).double()
    expected = 4000 * torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    # 13.8 is the quantile of chi-square at 0.999 with two degrees of freedom
    assert ((counts - expected) ** 2 / expected).sum() < 13.8


def test_characters_learn_a_cycle():
    model = CharLM(3, context=6, width=16, n_blocks=1, generator=0)
    text = torch.arange(40) % 3
    windows = text.unfold(0, 7, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        losses = cross_entropy(model(windows[:, :-1]), windows[:, 1:])
        losses.mean().backward()
        optimizer.step()
    found = model.generate(torch.tensor([1]), 8, temperature=0.0)
    assert found.tolist() == [1, 2, 0, 1, 2, 0, 1, 2, 0]


# --- bad input -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(
            lambda: MLP(0),
            r"'n_features' of MLP must be an integer >= 1. Got 0",
            id="0",
        ),
        pytest.param(
            lambda: MLP(4, (8, -1)), r"'hidden' of MLP .* Got -1", id="hidden"
        ),
        pytest.param(
            lambda: MLP(4, "8"),
            r"'hidden' of MLP must be an integer or a list",
            id="word",
        ),
        pytest.param(
            lambda: MLP(4, norm="instance"),
            r"'norm' of MLP must be one of \[None, 'batch', 'layer'\]. Got 'instance'",
            id="norm",
        ),
        pytest.param(
            lambda: MLP(4, activation=None),
            r"'activation' of MLP .* Got None",
            id="none",
        ),
        pytest.param(
            lambda: MLP(4, dropout=1.5),
            r"'dropout' of MLP must lie in \[0, 1\]. Got 1.5",
            id="dropout",
        ),
        pytest.param(
            lambda: ConvNet(widths=()),
            r"'widths' of ConvNet must be an integer or a list",
            id="no widths",
        ),
        pytest.param(
            lambda: ConvNet(2, widths=(4, 4, 4)),
            r"'image_size' of ConvNet must be at least 4 .* Got 2",
            id="small image",
        ),
        pytest.param(
            lambda: TinyViT(8, 3),
            r"'patch_size' of TinyViT must divide 'image_size'. Got 3 and 8",
            id="patch",
        ),
        pytest.param(
            lambda: CharLM(5, width=32, n_heads=3),
            r"'n_heads' of CharLM must divide 'width'. Got 3 and 32",
            id="heads",
        ),
        pytest.param(
            lambda: TinyViT()(torch.zeros(2, 63)),
            r"images of shape \(n, 1, 8, 8\) or rows of their 64 numbers. Got shape "
            r"\(2, 63\)",
            id="pixels",
        ),
        pytest.param(
            lambda: ConvNet()(torch.zeros(2, 3, 8, 8)),
            r"input of ConvNet must be images",
            id="channels",
        ),
        pytest.param(
            lambda: CharLM(5, context=4)(TEXT),
            r"'ids' of CharLM must have shape \(n, length\) with 1 to 4 characters",
            id="context",
        ),
        pytest.param(
            lambda: CharLM(5).generate(torch.tensor([5]), 2),
            r"'prompt' of CharLM.generate must hold one or more integers from 0 to 4",
            id="prompt",
        ),
        pytest.param(
            lambda: CharLM(5).generate(torch.tensor([]), 2),
            r"Got shape \(0,\) of torch.float32",
            id="empty prompt",
        ),
        pytest.param(
            lambda: CharLM(5).generate(TEXT, 2, temperature=-1.0),
            r"'temperature' of CharLM.generate must be a finite number >= 0",
            id="temperature",
        ),
        pytest.param(
            lambda: CharLM(5).generate(TEXT, 0),
            r"'n' of CharLM.generate must be an integer >= 1",
            id="n",
        ),
        pytest.param(
            lambda: Attention(8, 3),
            r"'n_heads' of Attention must divide 'width'. Got 3 and 8",
            id="heads alone",
        ),
        pytest.param(
            lambda: CharLM(5)(torch.tensor([[7]])),
            r"'ids' of CharLM must lie from 0 to 4. Got 7 to 7; encode",
            id="character",
        ),
        pytest.param(
            lambda: CharLM(5)(torch.zeros(1, 2)),
            r"must be of type int32 or int64. Got torch.float32",
            id="no integers",
        ),
    ],
)
def test_bad_values_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(lambda: MLP(4.0), r"'n_features' of MLP .* Got 4.0", id="float"),
        pytest.param(
            lambda: MLP(4, generator="0"),
            r"'generator' of MLP must be a torch.Generator, a seed >= 0 or None",
            id="generator",
        ),
        pytest.param(lambda: TinyViT(generator=True), r"Got True", id="boolean"),
        pytest.param(
            lambda: MLP(4, generator=2**64), r"pass a seed below 2\*\*64", id="seed"
        ),
        pytest.param(
            lambda: CharLM(5).generate([1, 2], 2),
            r"'prompt' of CharLM.generate must be a tensor .* Got list",
            id="prompt",
        ),
    ],
)
def test_bad_types_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_refused_model_draws_nothing():
    source = torch.Generator().manual_seed(0)
    before = source.get_state()
    with pytest.raises(ValueError, match="n_outputs"):
        MLP(4, n_outputs=0, generator=source)
    assert torch.equal(source.get_state(), before)


@pytest.mark.parametrize("temperature", [1e-40, 1e-300])
def test_lowest_temperatures_take_the_most_probable_character(temperature):
    model = CharLM(5, generator=0)
    wanted = model.generate(TEXT[:, :3], 4, temperature=0)
    drawn = model.generate(TEXT[:, :3], 4, temperature=temperature, generator=0)
    assert torch.equal(drawn, wanted)


def test_largest_seed_will_do():
    largest, same, other = (MLP(4, generator=2**64 - k) for k in (1, 1, 2))
    assert torch.equal(largest.head.weight, same.head.weight)
    assert not torch.equal(largest.head.weight, other.head.weight)
