"""Golden intervals of conformal calibration, made with MAPIE and crepes.

Run ``python tests/reference/make_conformal.py`` with ``mapie`` and ``crepes``
installed: it writes ``conformal_peers.json`` beside it.

The base models are scikit-learn's ``QuantileRegressor``; their predictions are written
too, so that calibration alone is compared. MAPIE clips ranks to the sample unless it is
told to allow infinite bounds, and its cross-conformal score is the larger of both ends.
crepes takes ranks by ``int((1 - c) * (n + 1))``, one too far in for products such as
(1 - 0.8) * 30 = 5.999...: the groups have sizes without such products.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from crepes import ConformalPredictiveSystem, ConformalRegressor
from mapie.regression import (
    ConformalizedQuantileRegressor,
    CrossConformalizedQuantileRegressor,
)
from sklearn.linear_model import QuantileRegressor
from sklearn.model_selection import KFold

HERE = Path(__file__).parent
COVERAGES = (0.8, 0.9)
LEVELS = (0.1, 0.3, 0.7, 0.9)
N_FIT, N, N_FOLDS = 40, 97, 5


def pair(coverage):
    """Levels of the lower and upper end, and of the median."""
    return (1.0 - coverage) / 2.0, (1.0 + coverage) / 2.0, 0.5


def models(X, y, coverage):
    return [QuantileRegressor(quantile=q, alpha=0.0).fit(X, y) for q in pair(coverage)]


def split(X, y, new, coverage):
    """Split calibration by MAPIE, given fitted models."""
    base = models(X[:N_FIT], y[:N_FIT], coverage)
    mapie = ConformalizedQuantileRegressor(base, confidence_level=coverage, prefit=True)
    mapie.conformalize(X[N_FIT:], y[N_FIT:])
    found = {
        name: mapie.predict_interval(
            new, symmetric_correction=symmetric, allow_infinite_bounds=True
        )[1][:, :, 0].tolist()
        for name, symmetric in (("symmetric", True), ("asymmetric", False))
    }
    ends = {
        name: [base[0].predict(rows).tolist(), base[1].predict(rows).tolist()]
        for name, rows in (("ends", X[N_FIT:]), ("ends_new", new))
    }
    return {"coverage": coverage, "y": y[N_FIT:].tolist(), **ends, **found}


def cross(X, y, new, coverage):
    """CV+ and jackknife-minmax by MAPIE, and the fold models that it fits."""
    ends, folds, ends_new = np.empty((2, N)), np.empty(N, int), [[], []]
    for k, (train, test) in enumerate(KFold(N_FOLDS).split(X)):
        base = models(X[train], y[train], coverage)
        folds[test] = k
        for end in (0, 1):
            ends[end, test] = base[end].predict(X[test])
            ends_new[end].append(base[end].predict(new).tolist())
    found = {}
    for method in ("plus", "minmax"):
        mapie = CrossConformalizedQuantileRegressor(
            QuantileRegressor(alpha=0.0),
            confidence_level=coverage,
            method=method,
            cv=KFold(N_FOLDS),
        ).fit_conformalize(X, y)
        interval = mapie.predict_interval(new, allow_infinite_bounds=True)[1]
        found[method] = interval[:, :, 0].tolist()
    return {
        "coverage": coverage,
        "y": y.tolist(),
        "folds": folds.tolist(),
        "ends": ends.tolist(),
        "ends_new": ends_new,
        **found,
    }


def by_crepes(X, y, new):
    """Intervals around the median, with and without groups, and single levels."""
    base = QuantileRegressor(quantile=0.5, alpha=0.0).fit(X[:N_FIT], y[:N_FIT])
    known, at_new = base.predict(X[N_FIT:]), base.predict(new)
    residuals = y[N_FIT:] - known
    groups, groups_new = np.repeat([0, 1], [25, 32]), np.array([0, 1, 0, 1, 1])
    plain = ConformalRegressor().fit(residuals=residuals)
    grouped = ConformalRegressor().fit(residuals=residuals, bins=groups)
    system = ConformalPredictiveSystem().fit(residuals=residuals)
    levels = []
    for level in LEVELS:
        side = "lower_percentiles" if level < 0.5 else "higher_percentiles"
        column = system.predict_percentiles(at_new, **{side: 100.0 * level})
        levels.append(np.ravel(column).tolist())
    return {
        "y": y[N_FIT:].tolist(),
        "median": known.tolist(),
        "median_new": at_new.tolist(),
        "groups": groups.tolist(),
        "groups_new": groups_new.tolist(),
        "levels": LEVELS,
        "quantiles": levels,
        "intervals": [
            {
                "coverage": coverage,
                "plain": plain.predict_int(at_new, confidence=coverage).tolist(),
                "grouped": grouped.predict_int(
                    at_new, bins=groups_new, confidence=coverage
                ).tolist(),
            }
            for coverage in COVERAGES
        ],
    }


def main():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 2))
    y = X.sum(axis=1) + rng.exponential(size=N)
    new = rng.normal(size=(5, 2))
    record = {
        "made_by": {name: version(name) for name in ("mapie", "crepes")},
        "split": [split(X, y, new, coverage) for coverage in COVERAGES],
        "cross": [cross(X, y, new, coverage) for coverage in COVERAGES],
        "crepes": by_crepes(X, y, new),
    }
    (HERE / "conformal_peers.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
