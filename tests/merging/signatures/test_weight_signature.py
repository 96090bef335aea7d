from __future__ import annotations

import pickle
from collections import UserDict
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from statlearn.merging import (
    WeightSignature,
    apply_signature,
    get_weights,
    patched,
    weight_signature,
)

BASE = {"w": np.zeros(4), "b": np.zeros(1)}
CLEAN = {"w": np.array([0.2, 0.3, 0.4, 0.5]), "b": np.array([0.1])}
ROBUST = {"w": np.array([0.7, 1.4, 0.9, 1.0]), "b": np.array([0.3])}
RESIDUAL = [0.1740740741, 0.6111111111, -0.1518518519, -0.3148148148]

thousandths = st.integers(-99999, 99999).map(lambda n: n / 1000)
vectors = hnp.arrays(np.float64, 5, elements=thousandths)


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ([2, 1, 0, 1], [1.28, -0.44, 0.72, 0.64]),
        ([0, -1, 3, 2], [0.64, 0.28, 2.36, 2.32]),
    ],
    ids=["first", "second"],
)
def test_residual_is_that_of_the_published_code(update, expected):
    clean = {"w": np.array([1.0, 2.0, -1.0, 0.5])}
    signature = weight_signature(
        {"w": np.array(update, float)}, clean, {"w": np.zeros(4)}
    )
    np.testing.assert_allclose(signature["w"], expected, rtol=1e-12)


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


@given(clean=vectors, robust=vectors, scale=st.floats(1e-3, 1e3))
def test_signature_is_orthogonal_to_what_clean_training_does(clean, robust, scale):
    base = {"w": np.zeros(5)}
    signature = weight_signature({"w": robust}, {"w": clean}, base)["w"]
    size = np.linalg.norm(clean) * np.linalg.norm(robust)
    assert abs(signature @ clean) <= 1e-12 * size
    # How far clean training went along its direction does not matter.
    farther = weight_signature({"w": robust}, {"w": scale * clean}, base)["w"]
    np.testing.assert_allclose(farther, signature, atol=1e-10 * (1 + size))


def test_tiny_clean_updates_are_projected_too():
    clean = {"w": np.array([1e-200, 0.0])}
    robust = {"w": np.array([3.0, 4.0])}
    signature = weight_signature(robust, clean, {"w": np.zeros(2)})
    np.testing.assert_array_equal(signature["w"], [0.0, 4.0])


def test_model_that_clean_training_left_alone_keeps_the_whole_update():
    signature = weight_signature(ROBUST, BASE, BASE)
    np.testing.assert_array_equal(signature["w"], ROBUST["w"])
    np.testing.assert_array_equal(signature["b"], ROBUST["b"])


def test_robust_model_that_is_the_clean_one_has_no_signature():
    assert weight_signature(CLEAN, CLEAN, BASE).norm() < 1e-15


def test_without_a_base_or_projection_it_is_the_difference():
    expected = ROBUST["w"] - CLEAN["w"]
    for signature in (
        weight_signature(ROBUST, CLEAN),
        weight_signature(ROBUST, CLEAN, BASE, projection=False),
    ):
        np.testing.assert_array_equal(signature["w"], expected)


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


def test_signature_of_some_layers_leaves_the_others_alone():
    state = {f"conv{i}.{part}": np.zeros(2) for i in range(4) for part in ("w", "b")}
    moved = {name: array + 1.0 for name, array in state.items()}

    def names(layers):
        return list(weight_signature(moved, state, layers=layers))

    assert names(1) == ["conv0.w", "conv0.b"]
    assert names(0.5) == ["conv0.w", "conv0.b", "conv1.w", "conv1.b"]
    assert names(0.01) == names(1)
    assert names(["conv3", "conv1.b"]) == ["conv1.b", "conv3.w", "conv3.b"]
    assert names("conv*") == names(None) == names(4) == names(1.0) == list(state)


def test_layers_of_a_perceptron_are_matrix_and_bias():
    state = {"W0": np.zeros(2), "b0": np.zeros(2), "W1": np.zeros(2), "b1": np.zeros(2)}
    assert list(weight_signature(state, state, layers=1)) == ["W0", "b0"]


def test_counters_and_running_statistics_have_no_signature(torch):
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    signature = weight_signature(module, module, module)
    assert list(signature) == ["0.weight", "0.bias", "1.weight", "1.bias"]


@pytest.mark.parametrize("layers", [0, 3, -1, 0.0, 1.5, np.nan])
def test_numbers_of_layers_that_cannot_be_are_refused(layers):
    with pytest.raises(ValueError, match="a whole number from 1 to 2, a share"):
        weight_signature(ROBUST, CLEAN, layers=layers)


def test_unknown_layer_is_refused():
    with pytest.raises(ValueError, match=r"Got 'conv9' and arrays \['w', 'b'\]"):
        weight_signature(ROBUST, CLEAN, layers=["w", "conv9"])


def test_quantised_signature_is_small_and_survives_its_file(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"a/b.w": rng.normal(size=(40, 25)), "zero": np.zeros(1000)}
    signature = WeightSignature(arrays).quantize(16)
    assert signature.nbytes == 40 * 25 // 2 + 1000 // 8 + 2 * 32
    path = tmp_path / "noise.npz"
    signature.save(path)
    again = WeightSignature.load(path)
    assert again == signature
    assert again.nbytes == signature.nbytes
    assert path.stat().st_size < 4000  # 16000 bytes as float64
    assert [file.name for file in tmp_path.iterdir()] == ["noise.npz"]


def test_plain_signature_survives_its_file_to_the_bit(tmp_path):
    signature = weight_signature(ROBUST, CLEAN, BASE)
    signature.save(tmp_path / "s.npz")
    again = WeightSignature.load(tmp_path / "s.npz")
    assert again == signature
    assert list(again) == list(signature)
    assert pickle.loads(pickle.dumps(again)) == signature


def test_file_with_code_in_it_is_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return exec, ("raise SystemExit('the file was run')",)

    np.savez(tmp_path / "trap.npz", head=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match=r"Got 'trap.npz', which is none"):
        WeightSignature.load(tmp_path / "trap.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + b"\0" * 18])
def test_file_that_is_no_signature_is_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"that WeightSignature.save wrote"):
        WeightSignature.load(tmp_path / "x.npz")


def test_file_of_other_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", w=np.zeros(2))
    with pytest.raises(ValueError, match=r"that WeightSignature.save wrote"):
        WeightSignature.load(tmp_path / "x.npz")


def test_suffix_and_absent_file_are_told(tmp_path):
    with pytest.raises(ValueError, match=r"must end in .npz. Got 's.bin'"):
        WeightSignature({"w": [1.0]}).save(tmp_path / "s.bin")
    with pytest.raises(FileNotFoundError):
        WeightSignature.load(tmp_path / "absent.npz")


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


def test_models_of_different_architectures_have_no_signature():
    with pytest.raises(ValueError, match="for 'w' in the robust model and"):
        weight_signature({"w": np.zeros(3)}, {"w": np.zeros(2)})
    with pytest.raises(ValueError, match=r"clean model\. Got the base without"):
        weight_signature({"w": np.zeros(2)}, {"w": np.zeros(2)}, {"v": np.zeros(2)})


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


@pytest.mark.parametrize("who", ["robust", "clean", "base"])
def test_number_that_is_not_finite_tells_whose_it_is(who):
    models = {"robust": ROBUST, "clean": CLEAN, "base": BASE}
    models[who] = {**models[who], "w": np.array([1.0, np.nan, 0.0, 0.0])}
    with pytest.raises(ValueError, match=rf"'w' .* in the {who} model"):
        weight_signature(**models)


def test_layers_without_a_signature_need_not_fit():
    base = {**BASE, "head": np.zeros((2, 3))}
    clean = {**CLEAN, "head": np.zeros((5, 3))}
    robust = {**ROBUST, "head": np.zeros((7, 3)), "more": np.zeros(1)}
    signature = weight_signature(robust, clean, base, layers=["w", "b"])
    assert signature == weight_signature(ROBUST, CLEAN, BASE)
    np.testing.assert_array_equal(apply_signature(clean, signature)["head"], 0.0)
    with pytest.raises(ValueError, match="unknown \\['more'\\]"):
        weight_signature(robust, clean, base)


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
