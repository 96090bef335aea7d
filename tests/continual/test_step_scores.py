"""Scores by step tell old classes from new ones."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.continual._step_scores import step_scores

CLASSES = np.array(list("abcde"))
STEPS = [np.array(["b", "d"]), np.array([], dtype=str), np.array(["a", "c", "e"])]


def scores():
    # Steps of a to e: 2, 0, 2, 0, 2.
    own = np.array([1, 1, 1, 3, 0, 0, 2, 4])
    taken = np.array([1, 3, 0, 3, 0, 1, 2, 4])
    return step_scores(STEPS, CLASSES, own, taken)


def test_accuracies_and_confusion_have_the_values_by_hand():
    found = scores()
    assert_array_equal(found.n_rows, [4, 0, 4])
    assert_allclose(found.accuracy, [0.5, np.nan, 0.75])
    assert_allclose(
        found.confusion, [[0.75, 0.0, 0.25], [np.nan] * 3, [0.25, 0.0, 0.75]]
    )
    assert (found.old, found.new, found.overall) == (0.5, 0.75, 0.625)


def test_summary_has_a_line_for_each_step_and_three_more():
    lines = [line.split() for line in scores().summary().splitlines()]
    assert " ".join(lines[0]) == "step classes rows accuracy taken for step 2"
    assert lines[2] == ["0", "b", "d", "4", "0.5000", "0.2500"]
    assert lines[3] == ["1", "0", "-", "-"]
    assert lines[4] == ["2", "a", "c", "e", "4", "0.7500", "0.7500"]
    assert lines[5:] == [["old", "0.5000"], ["new", "0.7500"], ["all", "0.6250"]]


def test_many_classes_of_a_step_are_shortened():
    found = step_scores([CLASSES], CLASSES, np.arange(5), np.arange(5))
    assert "a b c d ..." in found.summary()
    assert np.isnan(found.old)
    assert found.new == found.overall == pytest.approx(1.0)
