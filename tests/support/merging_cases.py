"""Three updates of a 4 × 4 matrix with known merges, and small state dicts."""

from __future__ import annotations

import numpy as np

BASE = (4 * np.arange(4)[:, None] + np.arange(4)) / 20 - 0.3
UPDATES = np.array(
    [
        [
            [0.4, -0.1, 0.05, 0.2],
            [0, 0.3, -0.2, 0.1],
            [0.1, 0.125, -0.45, 0.025],
            [-0.3, 0.25, -0.075, 0.15],
        ],
        [
            [-0.2, 0.1, 0.11, 0.3],
            [0.2, -0.35, 0.05, 0.09],
            [0, 0.225, 0.4, -0.1],
            [0.12, -0.06, 0.21, -0.4],
        ],
        [
            [0.1, 0, -0.3, 0.22],
            [0.42, 0.07, 0.11, -0.2],
            [-0.13, 0.3, 0.03, 0.24],
            [0.055, -0.095, -0.23, 0.105],
        ],
    ]
)


def known(n_models, dtype=np.float64):
    """Return the base and the first models, as state dicts."""
    base = {"w": BASE.astype(dtype)}
    return base, [{"w": (BASE + u).astype(dtype)} for u in UPDATES[:n_models]]


def around(base, updates):
    """Return state dicts of one array: a base and models around it."""
    return {"w": base}, [{"w": base + update} for update in updates]
