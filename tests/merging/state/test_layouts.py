from __future__ import annotations

import numpy as np
import pytest

from statlearn.merging._state._layouts import check_models, listed
from statlearn.merging._state._merge_states import blockwise, merge_states

add = blockwise(lambda start, updates: start + updates.sum(axis=0))


def merge(base, *models, kernel=add):
    return merge_states(base, list(models), kernel, rule="the rule")


def test_missing_and_unknown_names_are_listed():
    base = {"a": np.zeros(1), "b": np.zeros(1)}
    message = r"model 1 without \['b'\] and with the unknown \['c'\]; rename"
    with pytest.raises(ValueError, match=message):
        merge(base, base, {"a": np.zeros(1), "c": np.zeros(1)})


def test_wrong_shape_names_the_key():
    with pytest.raises(ValueError, match=r"Got \(3,\) for 'a' in model 0 and \(2,\)"):
        merge({"a": np.zeros(2)}, {"a": np.zeros(3)})


def test_integers_in_place_of_numbers_name_the_key():
    with pytest.raises(TypeError, match="Got 'a' of another kind in model 0"):
        merge({"a": np.zeros(2)}, {"a": np.zeros(2, dtype=int)})


@pytest.mark.parametrize("name", [3, None, b"w"])
def test_names_are_words(name):
    state = {name: np.zeros(1), "b": np.zeros(1)}
    with pytest.raises(TypeError, match=r"must be words. Got .* in the base; rename"):
        merge(state, state)


def test_models_are_called_by_the_words_of_the_caller():
    base, model = {"a": np.zeros(2)}, {"a": np.zeros(3)}
    called = ("the clean model", "the robust model")
    message = r"Got \(3,\) for 'a' in the robust model and \(2,\) in the clean model"
    with pytest.raises(ValueError, match=message):
        check_models(base, [model], "f", called=called)
    with pytest.raises(ValueError, match=r"The clean model of f must hold at least"):
        check_models({}, [{}], "f", called=called)


def test_names_that_are_not_kept_are_not_looked_at():
    base = {"a": np.zeros(2), "x": np.zeros(2)}
    models = [{"a": np.ones(2), "x": "words"}, {"a": np.ones(2), "y": np.ones(1)}]
    check_models(base, models, "f", keep=lambda name: name == "a")
    with pytest.raises(ValueError, match=r"\['x'\] and with the unknown \['y'\]"):
        check_models(base, models[1:], "f")


def test_names_are_checked_before_any_work():
    def fail(entry):
        raise AssertionError(entry)

    with pytest.raises(ValueError, match="'z'"):
        merge({"a": np.zeros(1)}, {"a": np.zeros(1), "z": np.zeros(1)}, kernel=fail)


def test_empty_state_dict_is_refused():
    with pytest.raises(ValueError, match=r"one array. Got an empty state dict"):
        merge({}, {})


def test_no_models_are_refused():
    with pytest.raises(ValueError, match=r"at least 1 model. Got 0; add"):
        merge({"a": np.zeros(1)})


def test_one_model_in_place_of_a_list_is_refused():
    with pytest.raises(TypeError, match=r"must be a list of state dicts. Got dict"):
        merge_states({"a": np.zeros(1)}, {"a": np.zeros(1)}, add, rule="the rule")


def test_words_and_complex_numbers_are_refused():
    for values in (np.array(["x"]), np.array([1j])):
        with pytest.raises(TypeError, match="'a' of the base must hold real numbers"):
            merge({"a": values}, {"a": values})


def test_object_that_is_no_mapping_is_refused():
    with pytest.raises(TypeError, match="expected model 0 as a state dict"):
        merge({"a": np.zeros(1)}, [1.0])


def test_long_lists_of_names_are_cut():
    assert listed(list("abcdefg")) == "['a', 'b', 'c', 'd', 'e'] and 2 more"
