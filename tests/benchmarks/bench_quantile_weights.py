"""Weights of quantile models against HiGHS, which solves the same linear programs.

SciPy's `linprog` gets the primal form (two parts of every residual) and the dual form
(a bounded variable for each row). It takes seconds for one level, so that its time for
all of them is extrapolated from a few. Ratios are of CPU seconds, one thread each.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from _quantile_stacks import expert_stack, highs_optimum
from _race import bar, finish, race, resident_peak, traced_peak
from statlearn.quantile import fit_quantile_weights

SEED = 0


def highs_primal(X, y, level):
    """Smallest pinball loss of convex weights, from the primal linear program."""
    n, c = X.shape
    eye = sparse.eye_array(n)
    rows = sparse.hstack([sparse.csr_array(X), eye, -eye])
    total = sparse.csr_array(np.r_[np.ones(c), np.zeros(2 * n)][None])
    result = linprog(
        np.r_[np.zeros(c), np.full(n, level), np.full(n, 1.0 - level)],
        A_eq=sparse.vstack([rows, total], format="csc"),
        b_eq=np.r_[y, 1.0],
        method="highs",
    )
    return result.fun


def highs_dual(X, y, level):
    """Smallest pinball loss of convex weights, from the dual linear program."""
    ones = np.ones(len(y))
    return highs_optimum(X, y, level, ones, nonneg=True, sum_to_one=True)


def medium() -> list[bool]:
    """Compare all levels of ours with some of HiGHS."""
    stack, y, levels = expert_stack(10_000, 20, 99, seed=SEED)
    few, one = [9, 49, 89], [49]
    ours, dual, primal = "ours, 99 levels", "dual, 3 levels", "primal, 1 level"

    def peer(solve, picked):
        return [solve(stack[:, :, k], y, levels[k]) for k in picked]

    result = race(
        "medium weights",
        {
            ours: lambda: fit_quantile_weights(stack, y, levels),
            dual: lambda: peer(highs_dual, few),
            primal: lambda: peer(highs_primal, one),
        },
        size="10000 rows, 20 models, 99 levels",
        repeats=1,
        warmup=0,
    )
    fit = fit_quantile_weights(stack[:, :, few], y, levels[few])
    best = np.mean(peer(highs_dual, few)) / len(y)
    to_dual = result.ratio(dual, ours, "cpu") * 99 / len(few)
    to_primal = result.ratio(primal, ours, "cpu") * 99 / len(one)
    peak = traced_peak(lambda: fit_quantile_weights(stack, y, levels))
    print(f"  peak memory {peak / 1e6:.0f} MB beside {stack.nbytes / 1e6:.0f} of input")
    return [
        bar("HiGHS dual form / ours, extrapolated", to_dual, at_least=2.0),
        bar("HiGHS primal form / ours, extrapolated", to_primal, at_least=10.0),
        bar("relative distance", abs(fit.objective / best - 1.0), at_most=1e-8),
    ]


def coarse() -> list[bool]:
    """A million pairs of row and level, and what HiGHS can finish."""
    stack, y, levels = expert_stack(10_102, 6, 99, seed=SEED)

    def fit(n):
        return fit_quantile_weights(stack[:n], y[:n], levels, resolution="coarse")

    def dual(n):
        X = stack[:n].transpose(2, 0, 1).reshape(-1, 6)
        return highs_dual(X, np.tile(y[:n], 99), np.repeat(levels, n))

    large, small, peer = "ours, 1000098 pairs", "ours, 49500", "HiGHS dual, 49500"
    result = race(
        "coarse weights",
        {
            large: lambda: fit(len(y)),
            small: lambda: fit(500),
            peer: lambda: dual(500),
        },
        size="6 models, 99 levels",
        repeats=3,
        warmup=0,
    )
    distance = abs(fit(500).objective / (dual(500) / 49_500) - 1.0)
    seconds = result.median(large, "cpu")
    peak = traced_peak(lambda: fit(len(y)))
    print(f"  peak memory {peak / 1e6:.0f} MB beside {stack.nbytes / 1e6:.0f} of input")
    return [
        bar("CPU seconds for a million pairs", seconds, at_most=6.0),
        bar("HiGHS / ours at 49500", result.ratio(peer, small, "cpu"), at_least=2.0),
        bar("relative distance", distance, at_most=1e-8),
    ]


def fine() -> list[bool]:
    """All levels of ours, of 594 weights each."""
    stack, y, levels = expert_stack(10_000, 6, 99, seed=SEED)
    found = []
    result = race(
        "fine weights",
        {
            "ours": lambda: found.append(
                fit_quantile_weights(stack, y, levels, resolution="fine")
            )
        },
        size="10000 rows, 6 models, 99 levels",
        repeats=1,
        warmup=0,
    )
    peak = resident_peak(
        lambda: fit_quantile_weights(
            stack[:, :, ::9], y, levels[::9], resolution="fine"
        )
    )
    print(f"  peak memory at 11 levels {peak / 1e6:.0f} MB")
    gap = found[0].duality_gap / found[0].objective
    return [
        bar("CPU seconds", result.median("ours", "cpu"), at_most=60.0),
        bar("relative duality gap", gap, at_most=1e-8),
    ]


if __name__ == "__main__":
    finish(*medium(), *coarse(), *fine())
