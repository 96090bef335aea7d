"""MM-estimators: random starts moved together against deterministic starts in turn.

The S-estimates on which both rest are compared by one measure, the M-scale of their
residuals with n - p degrees of freedom, so that no time is gained by a worse minimum.
"""

from __future__ import annotations

import numpy as np
from statsmodels.robust.resistant_linear_model import RLMDetSMM

from _race import bar, finish, race
from statlearn.linear_model import ReweightedLinearRegression
from statlearn.linear_model._m_scale import m_scale

SEED = 0
SHARE = 0.2


def dirty_sample(n: int, p: int, kind: str):
    """Return X with an intercept among its p columns, and y; a fifth of rows is bad."""
    rng = np.random.default_rng(SEED)
    X = np.column_stack((np.ones(n), rng.standard_normal((n, p - 1))))
    y = X @ rng.standard_normal(p) + rng.standard_normal(n)
    bad = slice(0, int(SHARE * n))
    if kind == "vertical":
        y[bad] += 10.0
    else:
        X[bad, 1] = 10.0 + 0.1 * rng.standard_normal(int(SHARE * n))
        y[bad] = -30.0 + rng.standard_normal(int(SHARE * n))
    return X, y


def s_objective(X, y, coef) -> float:
    """Return the M-scale of the residuals with n - p degrees of freedom."""
    n, p = X.shape
    return m_scale(y - X @ coef, c=1.54764, b=0.5, degrees=n - p)


def compare(n: int, p: int, kind: str, *, at_most: float, repeats: int) -> list[bool]:
    X, y = dirty_sample(n, p, kind)

    def ours():
        model = ReweightedLinearRegression(weighting="mm", random_state=0)
        found["ours"] = model.fit(X[:, 1:], y)

    def peer():
        found["peer"] = RLMDetSMM(y, X).fit()

    found: dict = {}
    size = f"{n} x {p}, {SHARE:.0%} bad rows, {kind}"
    name, other = "statlearn mm", "statsmodels RLMDetSMM"
    contestants = {other: peer, name: ours}
    result = race("MM-estimate", contestants, size=size, repeats=repeats, warmup=0)
    # `init_coef_` and `results_dets` hold the S-estimates.
    scale = s_objective(X, y, found["ours"].init_coef_)
    peer_scale = s_objective(X, y, found["peer"].results_dets.params)
    print(f"  M-scale of the S-estimates: ours {scale:.9f}, peer {peer_scale:.9f}")
    return [
        bar("time of ours / peer", result.ratio(name, other), at_most=at_most),
        bar("M-scale of ours / peer - 1", scale / peer_scale - 1.0, at_most=1e-5),
    ]


if __name__ == "__main__":
    bars: list[bool] = []
    for kind in ("vertical", "leverage"):
        bars += compare(1000, 10, kind, at_most=0.3, repeats=5)
        bars += compare(10_000, 20, kind, at_most=0.1, repeats=2)
    finish(*bars)
