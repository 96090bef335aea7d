from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import Ridge

from statlearn.merging import TaskVector, WeightSignature, cosine_matrix, task_vector

BASE = {"w": np.array([[1.0, 2.0]]), "b": np.array([0.5]), "n": np.array(3)}
TUNED = {"w": np.array([[4.0, 6.0]]), "b": np.array([0.5]), "n": np.array(9)}

sizes = st.floats(0.0009765625, 1024.0, width=32)
numbers = hnp.arrays(np.float32, 4, elements=sizes | sizes.map(lambda x: -x))


def test_differences_of_floating_arrays_only():
    vector = task_vector(TUNED, BASE)
    assert vector.names == ("w", "b")
    np.testing.assert_array_equal(vector["w"], [[3.0, 4.0]])


@given(base=numbers, tuned=numbers)
def test_applied_to_its_base_gives_the_tuned_model_to_the_bit(base, tuned):
    moved = task_vector({"w": tuned}, {"w": base}).apply({"w": base})
    assert moved["w"].dtype == np.float32
    np.testing.assert_array_equal(moved["w"], tuned)


def test_algebra_is_that_of_a_vector():
    a, b = TaskVector({"w": [1.0, 2.0]}), TaskVector({"w": [3.0, -1.0]})
    np.testing.assert_array_equal((a + b)["w"], [4.0, 1.0])
    np.testing.assert_array_equal((a - b)["w"], [-2.0, 3.0])
    np.testing.assert_array_equal((2 * a)["w"], (a * 2)["w"])
    np.testing.assert_array_equal((a / 2)["w"], [0.5, 1.0])
    assert a - a == 0 * a
    assert a != b
    assert a + b == b + a


@pytest.mark.parametrize("kind", [TaskVector, WeightSignature])
def test_numbers_of_numpy_scale_from_both_sides(kind):
    vector = kind({"w": [1.0, 2.0]})
    for factor in (np.float64(3.0), np.float32(3.0), np.int64(3)):
        assert factor * vector == vector * factor == kind({"w": [3.0, 6.0]})
        assert type(factor * vector) is kind


@pytest.mark.parametrize("kind", [TaskVector, WeightSignature])
def test_builtin_sum_adds_vectors(kind):
    vectors = [kind({"w": [1.0]}), kind({"w": [2.0]}), kind({"v": [5.0]})]
    assert sum(vectors) == kind({"w": [3.0], "v": [5.0]})
    with pytest.raises(TypeError):
        1 + vectors[0]


def test_name_that_one_side_lacks_counts_as_zero():
    total = TaskVector({"w": [1.0]}) + TaskVector({"v": [2.0]})
    assert total == TaskVector({"v": [2.0], "w": [1.0]})


def test_forgetting_a_task_moves_the_other_way():
    forgotten = task_vector(TUNED, BASE).apply(BASE, scale=-1.0)
    np.testing.assert_array_equal(forgotten["w"], [[-2.0, -2.0]])
    assert forgotten["n"] == 3


def test_norms_and_angles_follow_from_a_right_triangle():
    vector = task_vector(TUNED, BASE)
    assert vector.norm() == 5.0
    assert vector.norms() == {"w": 5.0, "b": 0.0}
    relative = vector.norms(relative_to=BASE)
    assert relative == pytest.approx({"w": np.sqrt(5.0), "b": 0.0})
    turned = TaskVector({"w": [[-4.0, 3.0]], "b": [1.0]})
    assert vector.cosine(turned) == {"w": 0.0, "b": 0.0}
    assert vector.cosine(-vector)["w"] == -1.0


def test_matrix_of_cosines_is_over_all_arrays_together():
    base = {"a": np.zeros(1), "b": np.zeros(2)}
    models = [
        {"a": np.array([1.0]), "b": np.array([0.0, 0.0])},
        {"a": np.array([3.0]), "b": np.array([0.0, 4.0])},
        base,
    ]
    expected = [[1.0, 0.6, 0.0], [0.6, 1.0, 0.0], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(cosine_matrix(models, base), expected, atol=1e-15)


def test_estimators_come_back_as_estimators():
    first = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    second = Ridge().fit([[0.0], [1.0]], [0.0, 3.0])
    moved = task_vector(second, first).apply(first)
    np.testing.assert_allclose(moved.predict([[2.0]]), second.predict([[2.0]]))


def test_modules_come_back_as_modules(torch):
    module = torch.nn.Linear(2, 1)
    same = (0.0 * task_vector(module, module)).apply(module)
    assert torch.equal(same.weight, module.weight)


def test_arrays_cannot_be_written_and_pickle():
    vector = TaskVector({"w": [1.0]})
    with pytest.raises(ValueError, match="read-only"):
        vector["w"][0] = 2.0
    assert pickle.loads(pickle.dumps(vector)) == vector
    assert repr(vector) == "TaskVector(1 arrays, 1 numbers, norm 1)"
    assert vector.nbytes == 8


def test_vector_of_another_model_is_refused():
    vector = TaskVector({"w": [1.0]})
    with pytest.raises(ValueError, match=r"without \['w'\]; pass a model"):
        vector.apply({"v": np.zeros(1)})
    with pytest.raises(ValueError, match=r"\(1,\) and \(2,\) for 'w'"):
        vector.apply({"w": np.zeros(2)})
    with pytest.raises(ValueError, match=r"\(1,\) and \(2,\) for 'w'"):
        vector + TaskVector({"w": [1.0, 2.0]})


def test_only_numbers_scale_and_only_vectors_add():
    vector = TaskVector({"w": [1.0]})
    with pytest.raises(TypeError):
        vector * vector
    with pytest.raises(TypeError):
        vector + 1.0
    with pytest.raises(TypeError, match=r"The 'scale' of TaskVector.apply"):
        vector.apply({"w": np.zeros(1)}, scale="2")


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="'w' must hold finite numbers"):
        task_vector({"w": np.array([np.nan])}, {"w": np.zeros(1)})


@pytest.mark.parametrize(
    "compute",
    [
        lambda vector: vector + vector,
        lambda vector: 2.0 * vector,
        lambda vector: np.inf * vector,
        lambda vector: np.nan * vector,
    ],
    ids=["sum", "product", "infinity", "nan"],
)
def test_results_that_are_not_finite_are_refused_by_name(compute):
    with pytest.raises(ValueError, match="'w' must hold finite numbers"):
        compute(TaskVector({"w": [1e308, 0.0]}))


def test_moved_weights_out_of_range_are_refused_by_name():
    model = {"v": np.zeros(1, np.float16), "w": np.ones(1, np.float16)}
    vector = TaskVector({"v": [0.0], "w": [1e6]})
    message = r"TaskVector.apply must fit .* Got 1e\+06 for 'w' of type float16"
    with pytest.raises(ValueError, match=message):
        vector.apply(model)
    with pytest.raises(ValueError, match=r"'w' must .* result of TaskVector.apply"):
        vector.apply(
            {name: array.astype(float) for name, array in model.items()}, 1e305
        )
    largest = vector.apply(model, 65503 / 1e6)
    assert largest["w"] == np.float16(65504)


@pytest.mark.parametrize(("kind", "number"), [("float16", 1e6), ("bfloat16", 3.4e38)])
def test_moved_tensors_out_of_range_are_refused_by_name(torch, kind, number):
    model = {"w": torch.ones(1, dtype=getattr(torch, kind))}
    with pytest.raises(ValueError, match=rf"for 'w' of type torch.{kind}, where"):
        WeightSignature({"w": [number]}).apply(model)


def test_model_that_is_not_finite_is_told_apart():
    with pytest.raises(ValueError, match=r"'w' must .* infinity in the model"):
        TaskVector({"w": [1.0]}).apply({"w": np.array([np.inf])})


def test_running_variances_do_not_become_negative():
    base = {name: np.ones(1) for name in ("n.running_var", "n.running_mean", "w")}
    moved = TaskVector({name: [-1.0] for name in base}).apply(base, 3.0)
    found = {name: float(array[0]) for name, array in moved.items()}
    assert found == {"n.running_var": 0.0, "n.running_mean": -2.0, "w": -2.0}


@pytest.mark.parametrize("kind", [int, bool])
def test_integers_are_not_moved(kind):
    with pytest.raises(TypeError, match=r"Got integers for 'w' in the model; convert"):
        TaskVector({"w": [0.6, 0.6]}).apply({"w": np.array([1, 0], kind)})


def test_no_models_have_no_matrix_of_cosines():
    with pytest.raises(ValueError, match=r"at least one model. Got none"):
        cosine_matrix([], BASE)
