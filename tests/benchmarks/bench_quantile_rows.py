"""Work on rows of quantiles: projections of a million, scores of a million.

The loop over SciPy runs on a sample of rows, and its seconds are scaled to all of them:
it treats each row alone. scoringrules is left out where it is not installed.
"""

from __future__ import annotations

import importlib.util

import numpy as np
from scipy.optimize import isotonic_regression

from _race import bar, finish, race, traced_peak
from statlearn.metrics import crps_from_quantiles, pinball_loss, weighted_interval_score
from statlearn.quantile import (
    isotonic_quantiles,
    linear_pool,
    minmax_quantiles,
    sort_quantiles,
    vincentize,
)

N, SEED = 1_000_000, 0
# Levels of forecast hubs, and every fifth per cent.
HUB = np.array([0.01, 0.025, *np.arange(1, 20) / 20, 0.975, 0.99])
FIFTHS = np.arange(1, 20) / 20
# One row in so many goes through the loop over SciPy.
SAMPLE = 50
BARS = {"isotonic": 12.0, "wis": 2.0}


def loop_over_scipy(grid):
    return np.array([isotonic_regression(row).x for row in grid])


def projections(rng):
    """Rows of noise about a line: all but a few cross."""
    grid = np.linspace(-2.0, 2.0, len(FIFTHS)) + rng.normal(size=(N, len(FIFTHS)))
    sample = np.ascontiguousarray(grid[::SAMPLE])
    found, wanted = isotonic_quantiles(sample), loop_over_scipy(sample)
    print(f"largest difference from SciPy {np.abs(found - wanted).max():.2g}")
    result = race(
        f"Projection of all rows, and a loop over 1 row in {SAMPLE}",
        {
            "isotonic_quantiles": lambda: isotonic_quantiles(grid),
            "loop, 1 in 50 rows": lambda: loop_over_scipy(sample),
            "sort_quantiles": lambda: sort_quantiles(grid),
            "minmax_quantiles": lambda: minmax_quantiles(grid),
        },
        size=f"{N} x {len(FIFTHS)}",
        repeats=3,
    )
    peak = traced_peak(lambda: isotonic_quantiles(grid)) / grid.nbytes
    print(f"  isotonic_quantiles: peak memory {peak:.2f} x its input")
    ratio = SAMPLE * result.ratio("loop, 1 in 50 rows", "isotonic_quantiles", "cpu")
    return bar("loop over SciPy / isotonic_quantiles", ratio, at_least=BARS["isotonic"])


def scores(rng):
    """Return the bar against scoringrules, none if it is not there."""
    y = rng.normal(size=N)
    grid = np.sort(rng.normal(size=(N, len(HUB))), axis=1)
    contestants = {
        "weighted_interval_score": lambda: weighted_interval_score(
            y, grid, HUB, average=False
        ),
        "pinball_loss": lambda: pinball_loss(y, grid, HUB),
        "crps_from_quantiles": lambda: crps_from_quantiles(y, grid, HUB, average=False),
    }
    peer = importlib.util.find_spec("scoringrules") is not None
    if peer:
        import scoringrules

        half = len(HUB) // 2
        lower, median, upper = grid[:, :half], grid[:, half], grid[:, :half:-1]
        miss = 2.0 * HUB[:half]

        def wis_of_peer():
            return scoringrules.weighted_interval_score(y, median, lower, upper, miss)

        # Release 0.10 adds the median where the definition has its distance from y.
        mended = wis_of_peer() + 0.5 * (np.abs(y - median) - median) / (half + 0.5)
        difference = np.abs(mended - contestants["weighted_interval_score"]()).max()
        print(f"largest difference from scoringrules, mended, {difference:.2g}")
        contestants["scoringrules"] = wis_of_peer
    result = race("Scores of rows", contestants, size=f"{N} x {len(HUB)}", repeats=3)
    peak = traced_peak(contestants["weighted_interval_score"]) / grid.nbytes
    print(f"  weighted_interval_score: peak memory {peak:.2f} x its input")
    if not peer:
        print("scoringrules is not installed: its bar is skipped")
        return []
    ratio = result.ratio("scoringrules", "weighted_interval_score", "cpu")
    return [bar("scoringrules / weighted_interval_score", ratio, at_least=BARS["wis"])]


def averages(rng):
    levels = np.arange(1, 100) / 100
    stack = np.sort(rng.normal(size=(10_000, 6, 99)), axis=2)
    race(
        "Averages of models, no bar",
        {
            "vincentize": lambda: vincentize(stack),
            "linear_pool": lambda: linear_pool(stack, levels),
        },
        size="10000 x 6 x 99",
        repeats=3,
    )
    peak = traced_peak(lambda: linear_pool(stack, levels)) / stack.nbytes
    print(f"  linear_pool: peak memory {peak:.2f} x its input")


def main() -> None:
    rng = np.random.default_rng(SEED)
    bars = [projections(rng), *scores(rng)]
    averages(rng)
    finish(*bars)


if __name__ == "__main__":
    main()
