from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from signature_cases import BASE, CLEAN, ROBUST
from statlearn.merging import (
    WeightSignature,
    apply_signature,
    weight_signature,
)

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


def test_place_that_cannot_be_written_to_is_told(tmp_path):
    signature = WeightSignature({"w": [1.0]})
    message = r"'path' of WeightSignature\.save must lie in a folder.*Got .*; make '"
    with pytest.raises(FileNotFoundError, match=message):
        signature.save(tmp_path / "no" / "s.npz")
    (tmp_path / "s.npz").mkdir()
    with pytest.raises(FileExistsError, match=r"of WeightSignature\.save .*, a folder"):
        signature.save(tmp_path / "s.npz")
    assert [place.name for place in tmp_path.iterdir()] == ["s.npz"]


def test_models_of_different_architectures_have_no_signature():
    with pytest.raises(ValueError, match="for 'w' in the robust model and"):
        weight_signature({"w": np.zeros(3)}, {"w": np.zeros(2)})
    with pytest.raises(ValueError, match=r"clean model\. Got the base without"):
        weight_signature({"w": np.zeros(2)}, {"w": np.zeros(2)}, {"v": np.zeros(2)})


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
