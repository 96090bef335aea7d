from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor

from matching_cases import A
from statlearn.merging import (
    PermutationSpec,
    apply_permutation,
    check_function_preserved,
    match_weights,
    mlp_spec,
    residual_spec,
    sequential_spec,
    spec_for,
)

ROWS = np.random.default_rng(0).normal(size=(40, 3))
NETWORK = MLPRegressor(
    hidden_layer_sizes=(5, 4), max_iter=5000, tol=1e-2, random_state=0
)
NETWORK.fit(ROWS, ROWS.sum(axis=1))


def zeros(**shapes):
    return {name.replace("_", "."): np.zeros(shape) for name, shape in shapes.items()}


def test_perceptron_and_its_state_dict_have_the_spec_of_a_perceptron():
    assert spec_for(NETWORK) == mlp_spec(3)
    assert spec_for(A) == mlp_spec(3)
    assert check_function_preserved(spec_for(NETWORK), NETWORK, predict) < 1e-12


def predict(model):
    return model.predict(ROWS)


def test_state_dict_may_lack_biases():
    assert spec_for({"W0": np.ones((2, 3)), "W1": np.ones((3, 1))}) == PermutationSpec(
        {"W0": (None, "P0"), "W1": ("P0", None)}
    )


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (Ridge().fit(ROWS, ROWS[:, 0]), TypeError, "Got Ridge; name the layers"),
        ({"a": np.ones(2)}, TypeError, "Got dict; name the layers"),
        ({"W0": np.ones((2, 3)), "V": np.ones(3)}, TypeError, "Got dict"),
        ({"W0": np.ones((2, 3)), "b0": np.ones(3)}, ValueError, "for one hidden layer"),
        ({"W0": np.ones((2, 3)), "W1": np.ones((4, 1))}, ValueError, "4 numbers"),
        (3.0, TypeError, "Got float"),
    ],
    ids=["linear", "names", "more names", "one layer", "shapes", "number"],
)
def test_models_without_a_known_order_of_layers_are_refused(model, error, message):
    with pytest.raises(error, match=message):
        spec_for(model)


def test_module_without_a_known_order_of_layers_is_refused(torch):
    with pytest.raises(TypeError, match="Got LSTM; name the layers"):
        spec_for(torch.nn.LSTM(2, 3))


# --- from names --------------------------------------------------------------


def test_arrays_of_a_layer_follow_its_kernel():
    state = zeros(c_weight=(4, 1, 3, 3), n_weight=4, n_bias=4, n_steps=(), c_bias=4)
    state |= zeros(d_weight=(6, 4), d_bias=6, slope=1, o_weight=(2, 6), o_bias=2)
    spec = sequential_spec(state, ["c", "n", "slope", "d", "o"])
    assert spec == PermutationSpec(
        {
            "c.weight": ("P0", None, None, None),
            "c.bias": ("P0",),
            "n.weight": ("P0",),
            "n.bias": ("P0",),
            "d.weight": ("P1", "P0"),
            "d.bias": ("P1",),
            "o.weight": (None, "P1"),
            "o.bias": (None,),
        }
    )


def test_bare_arrays_in_the_layout_of_scikit_learn_give_the_spec_of_a_perceptron():
    names = ["W0", "b0", "W1", "b1", "W2", "b2"]
    assert sequential_spec(A, names, layout="sklearn") == mlp_spec(3)


def test_kernels_with_one_input_a_channel_keep_the_channels():
    state = zeros(a_weight=(4, 3, 3, 3), b_weight=(4, 1, 3, 3), b_bias=4)
    spec = sequential_spec(state | zeros(c_weight=(2, 4, 1, 1)), ["a", "b", "c"])
    assert spec.permutations == {
        "P0": (
            *(("a.weight", 0, 1), ("b.weight", 0, 1), ("b.bias", 0, 1)),
            ("c.weight", 1, 1),
        )
    }


FLAT = zeros(a_weight=(4, 3), b_weight=(2, 8))
IMAGE = zeros(a_weight=(4, 1, 3, 3), b_weight=(6, 36), c_weight=(2, 6))


@pytest.mark.parametrize(
    ("state", "layers", "layout", "error", "message"),
    [
        (FLAT, ["a", "b"], "torch", ValueError, "4 units and 8 numbers on axis 1"),
        (IMAGE, ["b", "a", "c"], "torch", ValueError, "6 units and 1 numbers"),
        (IMAGE, ["a", "x"], "torch", ValueError, "Got 'x', which has no arrays"),
        (IMAGE, ["a", "a"], "torch", ValueError, "Got 'a', which comes twice"),
        (IMAGE, ["a"], "torch", ValueError, "nothing to permute"),
        (IMAGE, [], "torch", ValueError, "nothing to permute"),
        (IMAGE, "a", "torch", TypeError, "must be a list of names of layers"),
        (IMAGE, None, "torch", TypeError, "must be a list of names of layers"),
        (IMAGE, ["a", "b"], "flax", ValueError, "'torch' or 'sklearn'"),
        (zeros(l_a_w=(2, 3), l_b_w=(3, 2)), ["l"], "torch", ValueError, "one by one"),
        ({}, ["a"], "torch", ValueError, "at least one array"),
        (3, ["a"], "torch", TypeError, "as a state dict"),
    ],
    ids=[
        *("flat block", "order", "unknown", "twice", "one layer", "none", "string"),
        *("missing", "layout", "several kernels", "empty", "no state dict"),
    ],
)
def test_layers_that_do_not_follow_one_another_are_refused(
    state, layers, layout, error, message
):
    with pytest.raises(error, match=message):
        sequential_spec(state, layers, layout=layout)


def test_channels_last_are_not_flattened_by_channel():
    state = zeros(a_weight=(3, 3, 1, 4), b_weight=(36, 2))
    with pytest.raises(ValueError, match="4 units and 36 numbers"):
        sequential_spec(state, ["a", "b"], layout="sklearn")


# --- residual networks -------------------------------------------------------


BLOCKS = [["up", "down"], (["wide", "batch", "back"], ["shortcut"])]


@pytest.fixture
def residual(torch):
    """The file of a residual network, which needs torch."""
    import residual_network

    return residual_network


def test_residual_network_computes_the_same_in_any_order(residual):
    network = residual.Residual(0)
    network.batch.running_mean.normal_()
    spec = residual_spec(network.state_dict(), ["stem", "norm"], BLOCKS, ["head"])
    assert spec.sizes(network.state_dict()) == {"S0": 4, "P0": 6, "S1": 8, "P1": 8}
    gap = check_function_preserved(spec, network, residual.scores, random_state=0)
    assert gap < 1e-9
    assert spec.axes["batch.running_mean"] == (("P1", 1),)


def test_spec_that_forgets_the_shortcut_is_found_out(residual):
    network = residual.Residual(0)
    spec = residual_spec(network.state_dict(), ["stem", "norm"], BLOCKS, ["head"])
    axes = {name: axis for name, axis in spec.axes.items() if "shortcut" not in name}
    with pytest.raises(ValueError, match="when 'S0' moved axis 0 of 'stem"):
        check_function_preserved(PermutationSpec(axes), network, residual.scores)


def test_blocks_on_the_inputs_have_no_stream():
    state = zeros(u_weight=(5, 3), d_weight=(3, 5), h_weight=(2, 3))
    spec = residual_spec(state, [], [["u", "d"]], ["h"])
    assert spec == PermutationSpec(
        {"u.weight": ("P0", None), "d.weight": (None, "P0"), "h.weight": (None, None)}
    )


@pytest.mark.parametrize(
    ("blocks", "error", "message"),
    [
        ([["u"]], ValueError, "Got 'S0' twice for 'u.weight'"),
        (["u"], TypeError, "'blocks' of residual_spec must be a list of names"),
        ([["u", "w"]], ValueError, "4 units and 5 numbers on axis 0 of 'w.weight'"),
    ],
    ids=["one layer", "string", "stream"],
)
def test_blocks_that_cannot_be_are_refused(blocks, error, message):
    state = zeros(s_weight=(4, 2), u_weight=(4, 4), w_weight=(5, 4), h_weight=(2, 4))
    with pytest.raises(error, match=message):
        residual_spec(state, ["s"], blocks, ["h"])


def closed_block(seed):
    """Residual perceptron of a stream of 30 and 50 units inside."""
    rng = np.random.default_rng(seed)
    shapes = {"s.w": (30, 4), "u.w": (50, 30), "d.w": (30, 50), "h.w": (3, 30)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def test_residual_block_needs_several_starts_for_a_planted_order():
    network = closed_block(0)
    spec = residual_spec(network, ["s"], [["u", "d"]], ["h"])
    rng = np.random.default_rng(1)
    orders = {"S0": rng.permutation(30), "P0": rng.permutation(50)}
    moved = apply_permutation(spec, orders, network)
    result = match_weights(spec, network, moved, n_init=20, random_state=0)
    assert result.distance_after == 0.0
