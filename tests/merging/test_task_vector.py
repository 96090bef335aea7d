from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import Ridge

from statlearn.merging import TaskVector, cosine_matrix, task_vector

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


def test_no_models_have_no_matrix_of_cosines():
    with pytest.raises(ValueError, match=r"at least one model. Got none"):
        cosine_matrix([], BASE)
