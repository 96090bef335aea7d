"""Displays compute without matplotlib, and load it when they draw."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Code that makes one display or several, by name of the room.
MAKE = {
    "continual": """
from statlearn.continual import ForgettingDisplay
displays = [ForgettingDisplay.from_losses([[1.0]])]
""",
    "merging": """
from statlearn.merging import SingularAlignmentDisplay, TaskVectorDisplay
state = {"W": np.eye(2)}
displays = [
    SingularAlignmentDisplay.from_models(state, {"same": state}),
    TaskVectorDisplay.from_cosines([[1.0]]),
]
""",
    "ordinal": """
from statlearn.ordinal import OrdinalPathDisplay, OrdinalProbabilityDisplay
from statlearn.ordinal import PrestoClassifier, presto_path
X, y = np.arange(30.0).reshape(15, 2), np.arange(15) % 3
model = PrestoClassifier().fit(X, y)
displays = [
    OrdinalPathDisplay.from_path(presto_path(X, y, n_alphas=3)),
    OrdinalProbabilityDisplay.from_estimator(model, X, feature=0),
]
""",
    "quantile": """
from statlearn.quantile import QuantileCalibrationDisplay
make = QuantileCalibrationDisplay.from_predictions
displays = [make([1.0, 2.0], [[1.5], [1.5]], [0.5])]
""",
    "schedules": """
from statlearn.schedules import Constant, ScheduleDisplay
displays = [ScheduleDisplay.from_schedule(Constant(0.1), n_steps=5)]
""",
    "weights": """
from statlearn.weights import WeightDisplay
displays = [WeightDisplay.from_rule("linupper", [1.0, 2.0])]
""",
}
# Each room has a child of one interpreter, which has loaded what all of them need.
EACH_IN_A_CHILD = f"""
import os, sys
import numpy as np
import sklearn.linear_model
for room, code in {MAKE}.items():
    if os.fork() == 0:
        exec(code)
        before = "matplotlib" in sys.modules
        for display in displays:
            display.plot()
        print(room, before, "matplotlib" in sys.modules, flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def loaded():
    """Whether matplotlib was there before and after drawing, by room."""
    done = subprocess.run(
        [sys.executable, "-c", EACH_IN_A_CHILD],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return {room: seen for room, *seen in map(str.split, done.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.parametrize("room", MAKE)
def test_matplotlib_is_loaded_by_drawing_only(room, loaded):
    assert loaded[room] == ["False", "True"]
