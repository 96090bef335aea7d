"""What a path of PRESTO costs: against peers, and as the number of classes grows."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from statsmodels.miscmodels.ordinal_model import OrderedModel

from _ordinal_data import Sample, decreasing_shares, dense_sample
from _race import bar, race
from statlearn.ordinal import PrestoClassifierCV, presto_path

SEED = 0


def fit_liblinear(Z, y, alphas):
    """One L1 logistic regression for each boundary and penalty."""
    for boundary in range(y.max()):
        above = y > boundary
        for alpha in alphas:
            LogisticRegression(
                l1_ratio=1.0, C=1.0 / (len(y) * alpha), solver="liblinear"
            ).fit(Z, above)


def fit_statsmodels(data: Sample, **options: bool) -> None:
    model = OrderedModel(data.y, data.X, distr="logit")
    model.fit(method="bfgs", disp=False, **options)


def against_peers() -> None:
    data = dense_sample(5000, 20, seed=SEED)
    Z = StandardScaler().fit_transform(data.X)
    path = presto_path(data.X, data.y)
    boundaries = path.intercepts.shape[1]
    ours = "presto_path, 20 penalties"
    liblinear = f"liblinear, {boundaries} x 20 L1 fits"
    statsmodels = "statsmodels OrderedModel, one fit"
    without_errors = "the same without standard errors"
    result = race(
        "A path of PRESTO against peers",
        {
            ours: lambda: presto_path(data.X, data.y),
            liblinear: lambda: fit_liblinear(Z, data.y, path.alphas),
            statsmodels: lambda: fit_statsmodels(data),
            without_errors: lambda: fit_statsmodels(data, skip_hessian=True),
            "PrestoClassifierCV, 5 folds": lambda: PrestoClassifierCV().fit(
                data.X, data.y
            ),
        },
        size=data.size,
    )
    slopes = np.count_nonzero(np.diff(path.coefs[-1], axis=0, prepend=0.0))
    print(
        f"  path ends with {slopes} of {boundaries * data.X.shape[1]} differences; "
        f"largest violation of the optimality conditions {path.kkt.max():.1e}"
    )
    bar("CPU of one OrderedModel fit / path", cpu(result, statsmodels), at_least=10)
    bar("CPU of the liblinear fits / path", cpu(result, liblinear), at_least=4)


def with_many_classes() -> None:
    # How many steps a path takes depends on the data, so one seed would not do.
    for seed in range(4):
        few, many = (
            dense_sample(20_000, 30, seed=seed, shares=decreasing_shares(k))
            for k in (3, 20)
        )
        result = race(
            "A path of 20 penalties as the number of classes grows",
            {
                "K=3": partial(presto_path, few.X, few.y),
                "K=20": partial(presto_path, many.X, many.y),
            },
            size=f"n=20000, p=30, seed {seed}",
        )
        bar("CPU with K=20 / K=3", result.ratio("K=20", "K=3", "cpu"), at_most=3)


def cpu(result, peer):
    return result.ratio(peer, next(iter(result.cpu)), "cpu")


if __name__ == "__main__":
    against_peers()
    with_many_classes()
