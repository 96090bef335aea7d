"""How the network of an estimator is made."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from statlearn.neural import NeuralRegressor  # noqa: E402


def slow_linear(n_features, n_outputs):
    before = torch.nn.Linear(n_features, n_outputs)
    time.sleep(0.005)  # for another thread to make one in between
    after = torch.nn.Linear(n_outputs, n_outputs)
    return torch.nn.Sequential(before, torch.nn.Dropout(0.5), after)


def fitted(_=None):
    X = np.linspace(-1.0, 1.0, 60).reshape(20, 3)
    model = NeuralRegressor(slow_linear, max_epochs=2, random_state=0)
    return model.fit(X, X[:, 0]).state_


def test_fits_in_threads_are_those_alone_and_leave_the_default_type():
    alone = fitted()
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with ThreadPoolExecutor(4) as pool:
            states = list(pool.map(fitted, range(8)))
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(usual)
    for state in states:
        for name, part in alone.items():
            np.testing.assert_array_equal(state[name], part)
