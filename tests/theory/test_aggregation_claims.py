"""What aggregation of quantile models gains on held-out rows of real tables.

Five-fold weights against the best base model *chosen in hindsight*, on seven tables,
for each of two ways to split them; raw and calibrated intervals; and a signal that is
too weak for exact weights.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from quantile_tables import TABLES, base_models, load_split
from statlearn.metrics import interval_coverage, pinball_loss
from statlearn.quantile import QuantileAggregator

pytestmark = pytest.mark.slow

LEVELS = np.arange(1, 20) / 20
COVERAGE = 0.8


def _predict(model, X):
    if hasattr(model, "predict_quantiles"):
        return model.predict_quantiles(X, LEVELS)
    return model.predict(X, LEVELS)


def _run(name, seed):
    """Losses relative to the best base model, and coverages, on one split."""
    split = load_split(name, seed)
    medium = QuantileAggregator(
        base_models(LEVELS), levels=LEVELS, shrinkage=0.0, random_state=0
    ).fit(split.X_train, split.y_train)
    models, Q = medium.estimators_, medium.oof_quantiles_
    P = np.stack([_predict(model, split.X_test) for model in models], axis=1)
    grids = {
        "average": np.sort(P.mean(axis=1), axis=1),
        "medium": medium.predict_quantiles(split.X_test),
    }
    for resolution in ("coarse", "fine"):
        given = QuantileAggregator(levels=LEVELS, resolution=resolution, shrinkage=0.0)
        grids[resolution] = given.fit_predictions(Q, split.y_train).combine(P)
    bases = [pinball_loss(split.y_test, grid, LEVELS) for grid in P.swapaxes(0, 1)]
    loss = {
        key: pinball_loss(split.y_test, grid, LEVELS) / min(bases)
        for key, grid in grids.items()
    }
    ends = P[:, medium.estimator_names_.index("boosting")][:, [1, -2]]
    medium.calibrate(split.X_calibration, split.y_calibration)
    honest = medium.predict_interval(split.X_test, COVERAGE)
    n_rows = len(split.y_test), len(split.y_calibration)
    return loss, {
        "boosting": interval_coverage(split.y_test, ends),
        "calibrated": interval_coverage(split.y_test, honest),
        "error": np.sqrt(COVERAGE * (1 - COVERAGE) * sum(1 / n for n in n_rows)),
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_learnt_weights_beat_the_best_model_in_hindsight_and_cover(seed):
    found = [_run(name, seed) for name in TABLES]
    losses, coverages = zip(*found, strict=True)
    mean = {
        key: np.exp(np.mean([np.log(loss[key]) for loss in losses]))
        for key in losses[0]
    }
    assert mean["medium"] <= 0.98
    assert mean["fine"] <= 0.97
    assert mean["fine"] < mean["medium"] < mean["coarse"] < mean["average"]
    better = sum(loss["medium"] < loss["average"] for loss in losses)
    assert better > len(TABLES) / 2
    missed = {
        name: [abs(each[name] - COVERAGE) / each["error"] for each in coverages]
        for name in ("boosting", "calibrated")
    }
    assert max(missed["boosting"]) > 2.5
    assert max(missed["calibrated"]) < 2.0


def test_shrinkage_saves_weights_that_exact_ones_lose():
    """Ten equally good noisy forecasters and few rows: the average is best."""
    levels = np.arange(1, 10) / 10
    loss = {"exact": [], "shrunk": [], "average": []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=1060)
        y = truth + rng.normal(size=1060)
        means = truth[:, None] + rng.normal(size=(1060, 10))
        P = means[:, :, None] + 1.1 * norm.ppf(levels)
        for name, share in (("exact", 0.0), ("shrunk", "cv"), ("average", 1.0)):
            model = QuantileAggregator(levels=levels, shrinkage=share)
            model.fit_predictions(P[:60], y[:60])
            grid = model.combine(P[60:])
            loss[name].append(pinball_loss(y[60:], grid, levels))
    mean = {name: np.mean(values) for name, values in loss.items()}
    assert mean["exact"] > 1.03 * mean["average"]
    assert mean["shrunk"] < 1.01 * mean["average"]
