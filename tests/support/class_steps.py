"""Rows of six classes that come two by two, and a classifier that learns them."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

from aligning_cases import blobs
from statlearn.continual import IncrementalClassifier

X, Y = blobs(240, n_classes=6, n_features=6)
STEPS = [np.array([4, 1]), np.array([0, 5]), np.array([2, 3])]


def learnt(steps=STEPS, labels=Y, rows=X, **options):
    model = IncrementalClassifier(**{"memory_size": 30, "random_state": 0} | options)
    for classes in steps:
        where = np.isin(Y, classes)
        model.partial_fit(rows[where], labels[where])
    return model


def state_of(model):
    return [model.coef_, model.intercept_, model.memory_X_, model.memory_y_]


def assert_same(first, second):
    for one, other in zip(state_of(first), state_of(second), strict=True):
        assert_array_equal(one, other)
    assert first.gamma_ == second.gamma_
