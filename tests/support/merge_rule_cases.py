"""Models to merge, and what each rule cannot do without."""

from __future__ import annotations

import numpy as np

from statlearn.merging import MERGE_METHODS

METHODS = sorted(MERGE_METHODS)
ARRAYS = {"W0": (6, 9), "b0": (9,), "W1": (9, 4), "b1": (4,), "conv": (3, 2, 3, 3)}
# What normalisation layers count; no rule merges them as weights.
STATISTICS = {"bn.running_mean": (4,), "bn.running_var": (4,)}

# Settings in which a rule with something to drop drops nothing.
NEUTRAL = {
    "ties": {"density": 1.0},
    "dare": {"drop": 0.0},
    "dare-ties": {"drop": 0.0},
    "della": {"density": 1.0, "eps": 0.0},
    "della-linear": {"density": 1.0, "eps": 0.0},
    "breadcrumbs": {"density": 1.0, "gamma": 0.0},
    "breadcrumbs-ties": {"density": 1.0, "gamma": 0.0},
    "sce": {"topk": 1.0},
    "consensus": {"k": 1, "lam_mask": 0.0},
    "r-tsvm": {"c": np.inf, "eps": 0.0},
}


def state(seed, size=0.1, dtype=np.float64):
    rng = np.random.default_rng(seed)
    arrays = {name: size * rng.normal(size=shape) for name, shape in ARRAYS.items()}
    for name, shape in STATISTICS.items():
        arrays[name] = size * rng.uniform(0.5, 2.0, size=shape)
    return {name: array.astype(dtype) for name, array in arrays.items()}


def weights_of(state):
    return {key: array for key, array in state.items() if key not in STATISTICS}


def case(name, n_models=2, dtype=np.float64, size=0.1):
    """Return base, models and what a rule cannot do without."""
    base = state(0, 1.0, dtype)
    models = []
    for seed in range(1, n_models + 1):
        change = state(seed, size, dtype)
        models.append({key: base[key] + change[key] for key in base})
    return base, models, needs(name, n_models)


def needs(name, n_models):
    options = {}
    if "grams" in MERGE_METHODS[name].needs:
        rng = np.random.default_rng(9)
        inputs = {"W0": 6, "W1": 9}
        options["layout"] = "sklearn"
        options["grams"] = [
            {key: np.cov(rng.normal(size=(d, 50))) for key, d in inputs.items()}
            for _ in range(n_models)
        ]
    if "fishers" in MERGE_METHODS[name].needs:
        options["fishers"] = [
            {key: array**2 for key, array in weights_of(state(20 + i)).items()}
            for i in range(n_models)
        ]
    return options


def assert_equal_states(found, expected, **tolerance):
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], **tolerance)
