"""Time and memory of a path of PRESTO on a large dense table."""

from __future__ import annotations

import numpy as np

from _ordinal_data import dense_sample
from _race import bar, race, resident_peak
from statlearn.ordinal import presto_path

SEED = 0


def main() -> None:
    data = dense_sample(100_000, 100, seed=SEED)

    def fit():
        return presto_path(data.X, data.y, n_alphas=50, tol=1e-6)

    # Before anything else is fitted: freed memory that a fit can use again would not
    # count as growth.
    peak = resident_peak(fit)
    name = "presto_path, 50 penalties, tol 1e-6"
    result = race(
        "A path of PRESTO on a large table", {name: fit}, size=data.size, warmup=0
    )
    path = fit()
    slopes = np.count_nonzero(np.diff(path.coefs[-1], axis=0, prepend=0.0))
    print(
        f"  {path.n_iter.sum()} Newton steps; path ends with {slopes} of "
        f"{path.coefs[-1].size} differences; largest violation of the optimality "
        f"conditions {path.kkt.max():.1e}; X holds {data.X.nbytes / 2**20:.0f} MiB"
    )
    bar("CPU seconds", result.median(name, "cpu"), at_most=10)
    bar("peak memory above the input / size of X", peak / data.X.nbytes, at_most=3)


if __name__ == "__main__":
    main()
