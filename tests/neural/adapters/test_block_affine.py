"""The maps of blocks: worked cases, gradients, the two ways to compute a product."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.nn.utils import parametrize  # noqa: E402

from statlearn.neural.adapters import BlockAffine  # noqa: E402

VARIANTS = ["col", "row", "free", "ab", "additive", "mini"]

W = [
    [0.1, 0.2, 0.3, 0.4],
    [0.5, 0.6, 0.7, 0.8],
    [0.9, 1, 1.1, 1.2],
    [1.3, 1.4, 1.5, 1.6],
]
X, BIAS = [1, -1, 2, 0.5], [0.1, 0.2, 0.3, 0.4]
B = [[[0.1, 0.2], [0.3, -0.4]], [[-0.5, 0.1], [0, 0.2]]]
A = [[[0.2, 0], [0.1, 0.1]], [[0.3, -0.1], [0.2, 0.4]]]
D = [[0.1, 0.2, 0.3, 0.4], [-0.1, 0, 0.5, 0.25]]
MINI = [[0.1, 0.2], [-0.3, 0.4]]

# Worked by hand from the formulas: trained numbers, the weight, the output where given.
WORKED = {
    "col": (
        {"B": B},
        [
            [0.27, 0.34, 0.55, 0.5],
            [1.03, 0.06, 1.31, 0.22],
            [-0.05, 1.39, 0.05, 1.65],
            [0.65, 2.01, 0.75, 2.27],
        ],
        [1.38, 3.9, -0.215, 1.675],
    ),
    "row": (
        {"B": B},
        [
            [0.27, 0.34, -0.35, 0.61],
            [1.03, 0.06, 0.35, 1.23],
            [1.39, 0.98, 0.05, 1.65],
            [2.15, 0.7, 0.75, 2.27],
        ],
        [-0.365, 2.485, 1.635, 4.485],
    ),
    "ab": (
        {"A": A, "B": B},
        [
            [0.24, 0.42, -0.03, 0.63],
            [0.96, 0.26, 1.07, 1.25],
            [1.28, 1.3, 1.17, 1.67],
            [2, 1.14, 2.27, 2.29],
        ],
        None,
    ),
    "free": (
        {"B": B[:1]},
        [
            [0.27, 0.34, 0.55, 0.5],
            [1.03, 0.06, 1.31, 0.22],
            [1.39, 0.98, 1.67, 1.14],
            [2.15, 0.7, 2.43, 0.86],
        ],
        None,
    ),
    "additive": (
        {"D": D},
        [
            [0.2, 0.1, 0.4, 0.3],
            [0.7, 0.6, 0.9, 0.8],
            [1.2, 1.5, 1.4, 1.7],
            [1.7, 1.65, 1.9, 1.85],
        ],
        [1.15, 2.5, 3.65, 5.175],
    ),
    "mini": (
        {"D": MINI},
        [
            [0.2, -0.1, 0.4, 0.1],
            [0.7, 1, 0.9, 1.2],
            [1, 0.7, 1.2, 0.9],
            [1.5, 1.8, 1.7, 2],
        ],
        [1.25, 2.3, 3.45, 4.5],
    ),
}

both_types = pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32], ids=["float64", "float32"]
)
all_variants = pytest.mark.parametrize("variant", VARIANTS)


def tensor(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


def adapter(variant, shape=(4, 4), r=2, dtype=torch.float64, **trained):
    mini_r = 2 if variant == "mini" else None
    made = BlockAffine(*shape, r, variant=variant, mini_r=mini_r, dtype=dtype)
    with torch.no_grad():
        for name, values in trained.items():
            getattr(made, name).copy_(tensor(values, dtype))
    return made


def trained(variant, shape, r, dtype=torch.float64, seed=0):
    """Make an adapter whose numbers are no longer zero."""
    made = adapter(variant, shape, r, dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.5, generator=generator)
    return made


def normal(*shape, dtype=torch.float64, seed=1):
    return torch.randn(
        shape, dtype=dtype, generator=torch.Generator().manual_seed(seed)
    )


# --- worked cases ------------------------------------------------------------


@both_types
@all_variants
def test_weight_and_output_are_those_worked_by_hand(variant, dtype):
    numbers, weight, output = WORKED[variant]
    made = adapter(variant, dtype=dtype, **numbers)
    formed = made(tensor(W, dtype))
    torch.testing.assert_close(formed, tensor(weight, dtype))
    if output is None:
        output = (tensor(weight) @ tensor(X) + tensor(BIAS)).tolist()
    product = made.linear(tensor(W, dtype), tensor(BIAS, dtype), tensor(X, dtype))
    torch.testing.assert_close(product, tensor(output, dtype))


@both_types
def test_additive_blocks_go_on_beyond_the_last_full_one(dtype):
    weight = torch.arange(1, 16, dtype=dtype).reshape(3, 5) / 10
    made = adapter("additive", (3, 5), 2, dtype, D=[[0.1, 0.2, 0.3], [0.4, -0.5, 0.6]])
    wanted = [
        [0.2, 0.6, 0.4, 0.8, 0.6],
        [0.8, 0.2, 1, 0.4, 1.2],
        [1.4, 1.8, 1.6, 2, 1.8],
    ]
    torch.testing.assert_close(made(weight), tensor(wanted, dtype))
    y = made.linear(weight, None, tensor([1, 2, 3, 4, 5], dtype))
    torch.testing.assert_close(y, tensor([8.8, 11.8, 26.8], dtype))


@both_types
@pytest.mark.parametrize(
    ("start", "wanted"),
    [
        (
            B,
            [[[25.032, -2.412], [43.32, -5.46]], [[11.782, -1.477], [23.998, -3.513]]],
        ),
        (
            [[[0.0, 0.0]] * 2] * 2,
            [[[13.14, -1.29], [21.36, -2.66]], [[71.86, -9.61], [82.72, -11.42]]],
        ),
    ],
    ids=["trained", "fresh"],
)
def test_gradient_of_the_squared_output_is_that_worked_by_hand(dtype, start, wanted):
    made = adapter("col", dtype=dtype, B=start)
    weight, bias, x = (tensor(values, dtype) for values in (W, BIAS, X))
    for output in (made.linear(weight, bias, x), F.linear(x, made(weight), bias)):
        (gradient,) = torch.autograd.grad(output.square().sum(), made.B)
        torch.testing.assert_close(gradient, tensor(wanted, dtype))


# --- properties --------------------------------------------------------------


@all_variants
@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.bfloat16, torch.float16],
    ids=["float64", "float32", "bfloat16", "float16"],
)
def test_fresh_adapter_leaves_weight_and_output_to_the_bit(variant, dtype):
    weight, bias, x = normal(8, 12), normal(8, seed=2), normal(3, 12, seed=3)
    weight, bias, x = (t.to(dtype) for t in (weight, bias, x))
    made = adapter(variant, (8, 12), 4, dtype)
    assert torch.equal(made(weight), weight)
    assert made(weight).dtype == dtype
    wanted = F.linear(x, weight, bias)
    assert torch.equal(made.linear(weight, bias, x), wanted)


@given(
    variant=st.sampled_from(VARIANTS),
    blocks=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    r=st.integers(1, 5),
    batch=st.sampled_from([(), (1,), (2,), (40,), (2, 3), (0,)]),
    with_bias=st.booleans(),
    seed=st.integers(0, 100),
)
def test_product_without_forming_equals_the_formed_one(
    variant, blocks, r, batch, with_bias, seed
):
    height, width = 2 * r * blocks[0], r * blocks[1]
    made = trained(variant, (height, width), r, seed=seed)
    weight, x = normal(height, width, seed=seed), normal(*batch, width, seed=seed)
    bias = normal(height, seed=seed + 1) if with_bias else None
    wanted = F.linear(x, made(weight), bias)
    for context in (torch.enable_grad, torch.no_grad):
        with context():
            y = made.linear(weight, bias, x)
        torch.testing.assert_close(y, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("n_tokens", [1, 3])  # below and above r / 4
@all_variants
def test_gradients_agree_with_finite_differences(variant, n_tokens):
    made = trained(variant, (8, 12), 4)
    weight, bias = normal(8, 12), normal(8, seed=2)
    x = normal(n_tokens, 12, seed=3).requires_grad_()

    def product(x, *_):  # the parameters are changed in place
        return made.linear(weight, bias, x)

    assert torch.autograd.gradcheck(product, (x, *made.parameters()))


@all_variants
def test_gradient_of_a_formed_weight_agrees_with_finite_differences(variant):
    made = trained(variant, (8, 4), 4)
    weight = normal(8, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda w, *_: made(w), (weight, *made.parameters()))


@pytest.mark.parametrize("variant", ["additive", "mini"])
def test_additive_update_has_rank_r_at_most(variant):
    made = trained(variant, (16, 20), 3)
    update = made(torch.zeros(16, 20, dtype=torch.float64))
    assert torch.linalg.matrix_rank(update) <= 3


def test_column_blocks_follow_the_kronecker_form():
    made, weight = trained("col", (6, 9), 3), normal(6, 9)
    formed, eye = made(weight), torch.eye(3, dtype=torch.float64)
    for a in range(2):
        rows, block = slice(3 * a, 3 * a + 3), made.B[a].detach()
        wanted = weight[rows] @ torch.kron(eye, eye + block) + block.repeat(1, 3)
        torch.testing.assert_close(formed[rows], wanted)


def test_row_blocks_follow_the_block_diagonal_form():
    made, weight = trained("row", (6, 9), 3), normal(6, 9)
    blocks = made.B.detach()
    mixed = weight @ (torch.eye(9, dtype=torch.float64) + torch.block_diag(*blocks))
    wanted = mixed + torch.cat(list(blocks), dim=1).repeat(2, 1)
    torch.testing.assert_close(made(weight), wanted)


def test_fresh_blocks_get_a_gradient_at_once():
    weight, made = normal(6, 9), adapter("col", (6, 9), 3)
    upstream = normal(6, 9, seed=5)
    (gradient,) = torch.autograd.grad((made(weight) * upstream).sum(), made.B)
    blocks = weight.view(2, 3, 3, 3).transpose(1, 2)  # (a, b, r, r)
    pulled = upstream.view(2, 3, 3, 3).transpose(1, 2)
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(gradient, ((blocks.mT + eye) @ pulled).sum(1))


@all_variants
def test_number_of_trained_numbers_is_the_stated_one(variant):
    stated = {"col": 12, "row": 8, "free": 4, "ab": 16, "additive": 12, "mini": 4}
    made = adapter(variant, (6, 4), 2)
    assert sum(p.numel() for p in made.parameters()) == stated[variant]


@all_variants
def test_weight_of_half_precision_is_formed_in_single_precision(variant):
    made = trained(variant, (64, 64), 16, torch.bfloat16)
    weight = normal(64, 64).to(torch.bfloat16)
    formed = made(weight)
    assert formed.dtype == torch.bfloat16
    exact = trained(variant, (64, 64), 16, torch.float64)
    exact.load_state_dict(made.state_dict())
    # One rounding to eight bits at the end, as good as the type allows.
    torch.testing.assert_close(
        formed.double(), exact(weight.double()), rtol=2.0**-8, atol=1e-5
    )


@all_variants
def test_single_precision_adapter_works_on_a_weight_of_half_precision(variant):
    made = trained(variant, (16, 16), 4, torch.float32)
    weight, x = normal(16, 16).to(torch.bfloat16), normal(1, 16).to(torch.bfloat16)
    y = made.linear(weight, None, x)
    assert y.dtype == torch.bfloat16
    wanted = x.float() @ made(weight).float().T
    torch.testing.assert_close(y.float(), wanted, rtol=0.1, atol=0.1)


def test_input_is_never_changed():
    weight, x = normal(4, 5), normal(2, 5)
    before = weight.clone(), x.clone()
    made = trained("additive", (4, 5), 2)
    made(weight)
    made.linear(weight, None, x)
    assert torch.equal(weight, before[0])
    assert torch.equal(x, before[1])


def test_map_serves_as_a_plain_parametrization():
    layer = nn.Linear(4, 4, dtype=torch.float64)
    parametrize.register_parametrization(layer, "weight", adapter("row", B=B))
    stored = layer.parametrizations.weight.original
    wanted = adapter("row", B=B)(stored)
    torch.testing.assert_close(layer.weight, wanted)


def test_words_of_peft_name_the_variants():
    assert BlockAffine(4, 4, 2, variant="bat").variant == "col"
    assert BlockAffine(4, 4, 2, variant="miss").variant == "additive"


def test_printed_form_tells_sizes_and_variant():
    text = repr(BlockAffine(4, 8, 2, variant="mini", mini_r=2))
    assert text == "BlockAffine(4, 8, r=2, variant='mini', mini_r=2)"


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ValueError, r"'r' .* integer >= 1. Got 0; pass", {"r": 0}),
        (ValueError, r"'r' .* integer >= 1. Got -2", {"r": -2}),
        (TypeError, r"'r' .* integer >= 1. Got 2.0", {"r": 2.0}),
        (TypeError, r"'r' .* integer >= 1. Got True", {"r": True}),
        (ValueError, r"at most 'in_features'. Got r=9 .* \(12, 8\); choose", {"r": 9}),
        (
            ValueError,
            r"at most 'in_features'. Got r=9",
            {"r": 9, "variant": "additive"},
        ),
        (
            ValueError,
            r"divide both sides .* 'col'. Got r=8 .*; choose one of \[1, 2, 4\], or "
            r"variant='additive'",
            {"r": 8},
        ),
        (
            ValueError,
            r"divide both sides .* 'row'. Got r=3",
            {"r": 3, "variant": "row"},
        ),
        (ValueError, r"'variant' .* one of col, .* Got 'lora'", {"variant": "lora"}),
        (ValueError, r"'variant' .* Got None; choose", {"variant": None}),
        (ValueError, r"'mini_r' .* None unless .* Got 2 for 'col'", {"mini_r": 2}),
        (
            ValueError,
            r"'mini_r' .* divide 'out_features'. Got 5 for 12 outputs; choose",
            {"variant": "mini", "mini_r": 5},
        ),
        (TypeError, r"'mini_r' .* Got None; variant 'mini'", {"variant": "mini"}),
        (ValueError, r"'mini_r' .* Got 0;", {"variant": "mini", "mini_r": 0}),
    ],
)
def test_sizes_that_do_not_fit_are_refused(error, message, settings):
    with pytest.raises(error, match=message):
        BlockAffine(12, 8, **{"r": 2, **settings})


@pytest.mark.parametrize("size", [0, -1, 2.5, None], ids=str)
def test_sides_of_the_weight_must_be_counts(size):
    error = ValueError if isinstance(size, int) else TypeError
    with pytest.raises(error, match="'out_features' of BlockAffine"):
        BlockAffine(size, 8, 2)
    with pytest.raises(error, match="'in_features' of BlockAffine"):
        BlockAffine(8, size, 2)


def test_weight_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(4, 4\). Got \(4, 8\); make one"):
        BlockAffine(4, 4, 2)(torch.zeros(4, 8))


def test_inputs_of_another_width_are_refused_as_a_plain_layer_does():
    for variant in VARIANTS:
        with pytest.raises(RuntimeError):
            adapter(variant).linear(tensor(W), None, normal(3, 6))


def test_bound_of_in_features_is_itself_allowed():
    made = adapter("additive", (3, 5), 5)
    assert made.D.shape == (5, 3)
    assert math.prod(made.D.shape) == 15
