from __future__ import annotations

from collections import UserDict
from types import MappingProxyType

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from signature_cases import BASE, CLEAN, RESIDUAL, ROBUST
from statlearn.merging import (
    WeightSignature,
    apply_signature,
    get_weights,
    patched,
    weight_signature,
)


def test_patch_acts_with_alpha_itself_and_not_with_its_square():
    signature = weight_signature(ROBUST, CLEAN, BASE)
    np.testing.assert_allclose(signature["w"], RESIDUAL, rtol=1e-9)
    whole = apply_signature(CLEAN, signature)
    half = apply_signature(CLEAN, signature, alpha=0.5)
    np.testing.assert_allclose(
        whole["w"], [0.3740740741, 0.9111111111, 0.2481481481, 0.1851851852], rtol=1e-9
    )
    np.testing.assert_allclose(
        half["w"], [0.2870370370, 0.6055555556, 0.3240740741, 0.3425925926], rtol=1e-9
    )
    np.testing.assert_array_equal(whole["b"], CLEAN["b"])  # one number has no residual


def test_several_signatures_share_the_strength_by_default():
    a, b = WeightSignature({"w": [1.0]}), WeightSignature({"w": [3.0]})
    model = {"w": np.zeros(1)}
    np.testing.assert_array_equal(apply_signature(model, a, b)["w"], 2.0)
    np.testing.assert_array_equal(apply_signature(model, b, a)["w"], 2.0)
    np.testing.assert_array_equal(apply_signature(model, a, b, alpha=1.0)["w"], 4.0)
    np.testing.assert_array_equal(apply_signature(model, a, b, alpha=[1, 0])["w"], 1.0)


def test_no_strength_is_no_patch():
    signature = weight_signature(ROBUST, CLEAN, BASE)
    np.testing.assert_array_equal(
        apply_signature(CLEAN, signature, alpha=0.0)["w"], CLEAN["w"]
    )


# --- patching for a while ----------------------------------------------------

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


def network():
    return MLPClassifier((4,), max_iter=500, tol=1e-2, random_state=0).fit(X, Y)


@pytest.mark.parametrize(
    "model",
    [network(), LogisticRegression().fit(X, Y), {"w": X.astype(np.float32)}],
    ids=["perceptron", "linear", "dict"],
)
def test_patch_is_there_within_the_block_and_gone_to_the_bit_after(model):
    before = {name: array.copy() for name, array in get_weights(model).items()}
    signature = WeightSignature(
        {name: np.full(a.shape, 1 / 3) for name, a in before.items()}
    )
    with patched(model, signature, alpha=0.7) as inside:
        assert inside is model
        for name, array in get_weights(model).items():
            expected = (before[name] + 0.7 / 3).astype(array.dtype)
            np.testing.assert_allclose(array, expected, rtol=1e-6)
    for name, array in get_weights(model).items():
        np.testing.assert_array_equal(array, before[name])
        assert array.dtype == before[name].dtype


def test_patch_is_gone_after_an_error_in_the_block():
    model = {"w": np.array([0.1])}
    with pytest.raises(KeyError), patched(model, WeightSignature({"w": [0.2]})):
        raise KeyError("something else")
    np.testing.assert_array_equal(model["w"], [0.1])


def test_module_is_patched_in_place_and_restored_to_the_bit(torch):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    parameter = module[0].weight
    with patched(module, WeightSignature({"0.weight": np.ones((2, 3))})):
        assert torch.equal(parameter, before["0.weight"] + 1.0)
    assert module[0].weight is parameter
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


def test_applying_leaves_model_and_signature_alone():
    signature = weight_signature(ROBUST, CLEAN, BASE)
    result = apply_signature(CLEAN, signature)
    result["w"][:] = 0.0
    result["b"][:] = 9.0
    np.testing.assert_array_equal(CLEAN["b"], 0.1)
    np.testing.assert_allclose(signature["w"], RESIDUAL, rtol=1e-9)


# --- refusals ----------------------------------------------------------------


def test_signature_of_another_architecture_is_refused():
    with pytest.raises(ValueError, match=r"without \['w'\]"):
        apply_signature({"v": np.zeros(1)}, WeightSignature({"w": [1.0]}))
    with (
        pytest.raises(ValueError, match=r"\(1,\) and \(2,\) for 'w'"),
        patched({"w": np.zeros(2)}, WeightSignature({"w": [1.0]})),
    ):
        pass


def test_nothing_and_other_things_are_refused():
    with pytest.raises(ValueError, match=r"at least one signature. Got none"):
        apply_signature(CLEAN)
    with pytest.raises(TypeError, match=r"of class WeightSignature. Got dict"):
        apply_signature(CLEAN, {"w": np.zeros(4)})


def test_numbers_of_strengths_that_do_not_fit_are_refused():
    signature = WeightSignature({"w": np.zeros(4)})
    with pytest.raises(ValueError, match=r"here 1. Got 2; pass as many"):
        apply_signature(CLEAN, signature, alpha=[1.0, 2.0])
    with pytest.raises(TypeError, match="'alpha' of apply_signature must be a real"):
        apply_signature(CLEAN, signature, alpha="strong")


def test_mapping_that_can_change_is_patched_and_restored():
    model = UserDict({"w": np.zeros(4)})
    before = model["w"]
    with patched(model, WeightSignature({"w": np.ones(4)})) as found:
        assert found is model
        np.testing.assert_array_equal(model["w"], 1.0)
    assert model["w"] is before


def test_mapping_that_cannot_change_is_not_patched():
    model = MappingProxyType({"w": np.zeros(4)})
    with (
        pytest.raises(TypeError, match=r"Got mappingproxy, which cannot change; use"),
        patched(model, WeightSignature({"w": np.ones(4)})),
    ):
        pass
