"""Proportional odds by maximum likelihood: Newton steps against L-BFGS and BFGS.

Times are compared at an accuracy that a third party measures: the gradient of the mean
log-likelihood is computed here, from the parameters that each package returns.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit
from skordinal.classifiers import POM
from statsmodels.miscmodels.ordinal_model import OrderedModel

from _ordinal_data import Sample, dense_sample
from _race import bar, race
from statlearn.ordinal import OrdinalRegression

SEED = 0
# How much smaller our gradient has to be than that of the peer.
TIGHTER = 100.0


def gradient_norm(data: Sample, thresholds, slopes) -> float:
    """Largest gradient entry of the mean log-likelihood, for standardised columns.

    The model is ``P(y <= k) = expit(thresholds[k] - x @ slopes)``.
    """
    X, y, n = data.X, data.y, len(data.y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    below = np.ones((n, len(thresholds) + 2))
    below[:, 0] = 0.0
    below[:, 1:-1] = expit(thresholds - (X @ slopes)[:, None])
    density = below * (1.0 - below)
    rows = np.arange(n)
    proba = below[rows, y + 1] - below[rows, y]
    upper, lower = density[rows, y + 1] / proba, density[rows, y] / proba
    by_threshold = [
        upper[y == k].sum() - lower[y == k + 1].sum() for k in range(len(thresholds))
    ]
    gradient = np.concatenate((Z.T @ (upper - lower), by_threshold)) / n
    return float(np.abs(gradient).max())


def null_gradient_norm(data: Sample) -> float:
    """Return the same for the model of intercepts alone."""
    shares = np.bincount(data.y) / len(data.y)
    return gradient_norm(data, logit(np.cumsum(shares)[:-1]), np.zeros(data.X.shape[1]))


def parameters(model):
    """Return thresholds and slopes, both in the sign of `gradient_norm`."""
    if isinstance(model, OrdinalRegression):
        return model.intercept_, -model.coef_[0]
    if isinstance(model, POM):
        return model.thresholds_, model.coef_
    n_slopes = model.model.exog.shape[1]
    thresholds = model.model.transform_threshold_params(model.params)
    return thresholds[1:-1], model.params[:n_slopes]


def compare(n: int, p: int, *, with_statsmodels: bool) -> None:
    data = dense_sample(n, p, seed=SEED)
    X, y = data.X, data.y
    loose = gradient_norm(data, *parameters(POM().fit(X, y)))
    # Our tolerance is relative to the gradient of the model without slopes, and bounds
    # sums over thresholds, whose differences are at most twice as large.
    tol = loose / TIGHTER / 2.0 / null_gradient_norm(data)
    ours, peer = f"OrdinalRegression, tol={tol:.1e}", "skordinal POM, defaults"
    contestants = {
        ours: lambda: OrdinalRegression(tol=tol).fit(X, y),
        peer: lambda: POM().fit(X, y),
        "OrdinalRegression, defaults": lambda: OrdinalRegression().fit(X, y),
        "skordinal POM, tol=1e-11": lambda: POM(tol=1e-11).fit(X, y),
    }
    if with_statsmodels:
        contestants["statsmodels OrderedModel, bfgs"] = lambda: OrderedModel(
            y, X, distr="logit"
        ).fit(method="bfgs", disp=False)
    norms = {
        name: gradient_norm(data, *parameters(fit()))
        for name, fit in contestants.items()
    }
    result = race("Proportional odds", contestants, size=data.size)
    print("  gradient of the mean log-likelihood, largest entry:")
    for name, norm in norms.items():
        print(f"    {name}: {norm:.1e}")
    bar("gradient of POM / ours", norms[peer] / norms[ours], at_least=TIGHTER)
    bar("CPU of ours / POM", result.ratio(ours, peer, "cpu"), at_most=2)


if __name__ == "__main__":
    compare(5000, 20, with_statsmodels=True)
    compare(100_000, 100, with_statsmodels=False)
