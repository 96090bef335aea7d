"""Time and memory of a path of PRESTO on a sparse, text-like table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from _ordinal_data import text_like_sample
from _race import race, resident_peak
from statlearn.ordinal import presto_path

SEED = 0
N_ALPHAS, EPS = 20, 1e-2
MEBIBYTE = 2**20


def main() -> None:
    data = text_like_sample(20_000, 20_000, 0.001, 200, seed=SEED)
    X, y = data.X, data.y
    Z = StandardScaler(with_mean=False).fit_transform(X)
    alpha_max = presto_path(X, y, n_alphas=1).alpha_max
    alphas = alpha_max * np.logspace(0.0, np.log10(EPS), N_ALPHAS)

    def ours() -> None:
        path = presto_path(X, y, alphas=alphas)
        slopes = np.count_nonzero(np.diff(path.coefs[-1], axis=0, prepend=0.0))
        print(
            f"  PRESTO: {path.n_iter.sum()} Newton steps; path ends with {slopes} of "
            f"{path.coefs[-1].size} differences; largest violation of the optimality "
            f"conditions {path.kkt.max():.1e}",
            flush=True,
        )

    def liblinear() -> None:
        for alpha in alphas:
            last = LogisticRegression(
                l1_ratio=1.0, C=1.0 / (len(y) * alpha), solver="liblinear"
            ).fit(Z, y > 0)
        slopes = np.count_nonzero(last.coef_)
        print(
            f"  liblinear: path ends with {slopes} of {Z.shape[1]} slopes", flush=True
        )

    peaks: dict[str, int] = {}

    def watched(name: str, function: Callable[[], None]) -> Callable[[], None]:
        # The call runs in a fork, whose CPU time counts once it has ended.
        def run() -> None:
            peaks[name] = resident_peak(function)

        return run

    race(
        f"Paths of {N_ALPHAS} penalties on a sparse table, run once",
        {
            name: watched(name, function)
            for name, function in (
                ("presto_path, all 4 boundaries", ours),
                ("liblinear, 1 boundary", liblinear),
            )
        },
        size=f"{data.size}, density 0.1 %",
        repeats=1,
        warmup=0,
    )
    stored = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    print(f"  X holds {stored / MEBIBYTE:.0f} MiB; peak memory above the input:")
    for name, peak in peaks.items():
        print(f"    {name}: {peak / MEBIBYTE:.0f} MiB")


if __name__ == "__main__":
    main()
