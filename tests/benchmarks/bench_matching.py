"""Matching of trained networks, against the assignments that it cannot do without.

Two perceptrons of two equal hidden layers are trained on digits from different seeds
and matched. The unit is what scipy's ``linear_sum_assignment`` takes inside of the same
run, on the matrices that the descent has to solve; what is above it are inner products,
checks and distances. The wide networks are trained for a few epochs only.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings

from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from _race import bar, finish
from statlearn.merging import match_weights, spec_for
from statlearn.merging._matching import _descent

SEED = 0
# Width of the layers, epochs of the training, runs.
SETTINGS = [(512, 60, 7), (2048, 8, 1)]


class Clock:
    """An assignment that adds up its CPU seconds and calls."""

    def __init__(self) -> None:
        self.seconds, self.calls = 0.0, 0

    def __call__(self, matrix, *, maximize):
        start = time.process_time()
        found = linear_sum_assignment(matrix, maximize=maximize)
        self.seconds += time.process_time() - start
        self.calls += 1
        return found


def trained(width: int, epochs: int) -> list[MLPClassifier]:
    """Return two networks of one shape from different seeds."""
    X, y = load_digits(return_X_y=True)
    return [
        MLPClassifier(
            (width, width), batch_size=64, max_iter=epochs, random_state=seed
        ).fit(X[:1000] / 16.0, y[:1000])
        for seed in (SEED, SEED + 1)
    ]


def compare(width: int, epochs: int, n_runs: int) -> bool:
    """Compare the whole time with that of the assignments at one width."""
    a, b = trained(width, epochs)
    spec, ratios = spec_for(a), []
    for _ in range(n_runs):
        clock = _descent.linear_sum_assignment = Clock()
        start = time.process_time()
        result = match_weights(spec, a, b, random_state=SEED)
        whole = time.process_time() - start
        _descent.linear_sum_assignment = linear_sum_assignment
        ratios.append(whole / clock.seconds)
    print(
        f"two layers of {width}: distance {result.distance_before:.2f} -> "
        f"{result.distance_after:.2f} in {result.n_sweeps} passes and {clock.calls} "
        f"assignments, cpu {whole:.2f} s, assignments {clock.seconds:.2f} s",
        flush=True,
    )
    ratio = statistics.median(ratios)
    return bar(f"width {width}: whole / assignments, cpu", ratio, at_most=1.3)


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    widths = [int(argument) for argument in sys.argv[1:]]
    chosen = [row for row in SETTINGS if not widths or row[0] in widths]
    with threadpool_limits(1):
        finish(*(compare(*row) for row in chosen))


if __name__ == "__main__":
    main()
