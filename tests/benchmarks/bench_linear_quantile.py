"""Linear quantile regression against scikit-learn's and statsmodels'.

scikit-learn solves one level at a time by HiGHS; statsmodels reweights least squares
and stops at coefficients that change by 1e-6, with standard errors as ours.
"""

from __future__ import annotations

import numpy as np
import statsmodels.api as sm
from sklearn.linear_model import QuantileRegressor

from _race import bar, finish, race, resident_peak
from _regression_data import dirty_sample
from statlearn.quantile import LinearQuantileRegression

SEED = 0
LEVELS = np.arange(1, 10) / 10


def losses(X, y, fit):
    """Mean pinball loss at each level of coefficients (q, p) and intercepts (q,)."""
    coef, intercept = fit
    e = y[:, None] - X @ coef.T - intercept
    return np.maximum(LEVELS * e, (LEVELS - 1.0) * e).mean(axis=0)


def ours(X, y, cov_type="kernel"):
    fit = LinearQuantileRegression(LEVELS, cov_type=cov_type).fit(X, y)
    return fit.coef_, fit.intercept_


def scikit_learn(X, y):
    fits = [QuantileRegressor(quantile=level, alpha=0.0).fit(X, y) for level in LEVELS]
    return np.array([fit.coef_ for fit in fits]), np.array([f.intercept_ for f in fits])


def statsmodels(X, y):
    model = sm.QuantReg(y, sm.add_constant(X))
    params = np.array([model.fit(level).params for level in LEVELS])
    return params[:, 1:], params[:, 0]


def compare(title, X, y, peer, fit_peer, **options):
    """Race both once, and return the result and the losses of both."""
    own, fits = "LinearQuantileRegression", {}
    result = race(
        title,
        {
            own: lambda: fits.update({own: ours(X, y, **options)}),
            peer: lambda: fits.update({peer: fit_peer(X, y)}),
        },
        size=f"{X.shape[0]}x{X.shape[1]}",
        repeats=1,
        warmup=0,
    )
    peak = resident_peak(lambda: ours(X, y))
    print(f"  peak memory {peak / 2**20:.0f} MiB for {X.nbytes / 2**20:.1f} MiB of X")
    ratio = result.ratio(peer, own, "cpu")
    return ratio, losses(X, y, fits[own]), losses(X, y, fits[peer])


def main() -> None:
    bars = []
    X, y = dirty_sample(10_000, 20, seed=SEED)
    ratio, own, theirs = compare(
        "Nine levels, exact", X, y, "nine QuantileRegressor", scikit_learn
    )
    bars.append(bar("QuantileRegressor / ours, CPU", ratio, at_least=20))
    gap = np.abs(own / theirs - 1.0).max()
    bars.append(bar("relative gap of the objectives", gap, at_most=1e-8))

    X, y = dirty_sample(100_000, 20, seed=SEED)
    title = "Nine levels, many rows, standard errors"
    ratio, own, theirs = compare(
        title, X, y, "nine QuantReg", statsmodels, cov_type="robust"
    )
    bars.append(bar("QuantReg / ours, CPU", ratio, at_least=1))
    excess = (theirs / own - 1.0).max()
    print(f"  what QuantReg loses at the worst level: {excess:.1e} of the objective")
    finish(*bars)


if __name__ == "__main__":
    main()
