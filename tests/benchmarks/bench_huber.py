"""Huber's M-estimator against statsmodels' RLM and scikit-learn's HuberRegressor.

The peers solve neighbouring problems: RLM the same one at a looser tolerance;
HuberRegressor estimates the scale together with the coefficients, and gives no standard
errors. All run at their defaults.
"""

from __future__ import annotations

import numpy as np
import statsmodels.api as sm
from sklearn.linear_model import HuberRegressor

from _race import bar, finish, race
from _regression_data import dirty_sample
from statlearn.linear_model import ReweightedLinearRegression

SEED = 0


def main() -> None:
    bars = []
    X, y = dirty_sample(10_000, 20, seed=SEED)
    design = sm.add_constant(X)
    ours, rlm = "ReweightedLinearRegression", "statsmodels RLM"
    result = race(
        "Huber, MAD scale, standard errors",
        {
            ours: lambda: ReweightedLinearRegression().fit(X, y),
            rlm: lambda: sm.RLM(y, design).fit(),
        },
        size="10000x20",
    )
    bars.append(bar("ours / RLM", result.ratio(ours, rlm), at_most=0.2))
    peer = sm.RLM(y, design).fit(tol=1e-10).params
    own = ReweightedLinearRegression().fit(X, y)
    gap = np.abs(np.r_[own.intercept_, own.coef_] - peer).max()
    bars.append(bar("largest gap to RLM's coefficients", gap, at_most=1e-6))

    X, y = dirty_sample(100_000, 50, seed=SEED)
    huber = "sklearn HuberRegressor"
    result = race(
        "Huber, many rows",
        {
            ours: lambda: ReweightedLinearRegression().fit(X, y),
            huber: lambda: HuberRegressor(alpha=0.0, max_iter=1000).fit(X, y),
        },
        size="100000x50",
    )
    bars.append(bar("ours / HuberRegressor", result.ratio(ours, huber), at_most=1.0))
    finish(*bars)


if __name__ == "__main__":
    main()
