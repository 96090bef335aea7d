from __future__ import annotations

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from statlearn.merging._state._model_kinds import compare_models, listed_models, thawed

X = np.arange(12.0).reshape(6, 2)
MODEL = LogisticRegression().fit(X, [0, 1] * 3)
OTHER = LogisticRegression().fit(X, [0, 2] * 3)


def test_frozen_models_are_thawed_to_the_last_layer():
    assert thawed(FrozenEstimator(FrozenEstimator(MODEL))) is MODEL
    assert thawed(MODEL) is MODEL


def test_what_differs_is_told_with_the_advice_of_the_caller():
    message = (
        r"^f needs .* list of classes\. Got \[0, 1\] and, in model 1, \[0, 2\]; x\."
    )
    with pytest.raises(ValueError, match=message):
        compare_models([MODEL, FrozenEstimator(OTHER)], "f", advice="x")
    with pytest.raises(ValueError, match=r"in the base, .*; tune them from one base"):
        compare_models([MODEL, {"coef_": 1.0}], "f", base=OTHER)


def test_state_dicts_do_not_say_what_they_mean():
    assert compare_models([{"w": 1.0}, MODEL, {"w": 2.0}], "f") is None
    with pytest.raises(ValueError, match=r"in model 2, \[0, 2\]"):
        compare_models([{"w": 1.0}, MODEL, OTHER], "f")


@pytest.mark.parametrize("models", [MODEL, {"a": MODEL}, 3], ids=["model", "dict", "3"])
def test_models_come_in_a_list(models):
    with pytest.raises(TypeError, match=r"'models' of f must be a list"):
        listed_models(models, "f")
