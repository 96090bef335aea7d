"""Warnings point at the line of the user."""

from __future__ import annotations

import numpy as np
import pytest

from statlearn.exceptions import DroppedRowsWarning
from statlearn.utils._warn import warn
from statlearn.weights import Chain, LinUpper, lin_upper_weights

LOSSES = [1.0, 2.0, np.nan]


@pytest.mark.parametrize(
    "call",
    [
        lambda: warn("a message", DroppedRowsWarning),
        lambda: lin_upper_weights(LOSSES, nonfinite="drop"),
        lambda: LinUpper(nonfinite="drop")(LOSSES),
        lambda: Chain(Chain(LinUpper(nonfinite="drop")))(LOSSES),
    ],
    ids=["itself", "function", "rule", "chain"],
)
def test_a_warning_points_at_the_caller_however_deep(call):
    with pytest.warns(DroppedRowsWarning) as caught:
        call()
    assert caught[0].filename == __file__


def test_scikit_learn_in_between_is_passed_over():
    namespace = {"__name__": "sklearn.pipeline", "warn": warn}
    exec("def fit(): warn('a message', UserWarning)", namespace)
    with pytest.warns(UserWarning, match="a message") as caught:
        namespace["fit"]()
    assert caught[0].filename == __file__
