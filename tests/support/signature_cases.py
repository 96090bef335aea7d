"""A base, a clean and a robust model, and the signature worked out by hand."""

from __future__ import annotations

import numpy as np

BASE = {"w": np.zeros(4), "b": np.zeros(1)}
CLEAN = {"w": np.array([0.2, 0.3, 0.4, 0.5]), "b": np.array([0.1])}
ROBUST = {"w": np.array([0.7, 1.4, 0.9, 1.0]), "b": np.array([0.3])}
RESIDUAL = [0.1740740741, 0.6111111111, -0.1518518519, -0.3148148148]
