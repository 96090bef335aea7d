"""LossReweighted against the bare refits that it makes, with the same weights.

What it adds is a prediction, the losses and the rule in each round.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression

from _race import bar, finish, race
from _regression_data import dirty_sample
from statlearn.compose import LossReweighted
from statlearn.weights import LinUpper

SEED, ROUNDS = 0, 10
BAR = 1.1


def compare(label: str, estimator, X, y, *, size: str) -> bool:
    # Weights of the rule itself, since the time of a fit may depend on them.
    seen = []

    def record(losses, **options):
        seen.append(LinUpper()(losses, **options))
        return seen[-1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LossReweighted(estimator, weighting=record, max_iter=ROUNDS).fit(X, y)
        used, weight = [None], np.ones(len(y))
        for new in seen[: model.n_iter_ - 1]:
            weight = 0.5 * (weight + new)
            used.append(weight)
        assert len(used) == model.n_iter_, (len(used), model.n_iter_)

        def bare():
            for given in used:
                clone(estimator).fit(X, y, sample_weight=given)

        def ours():
            LossReweighted(estimator, max_iter=ROUNDS).fit(X, y)

        result = race(
            f"{label}, {model.n_iter_} rounds",
            {"bare refits": bare, "LossReweighted": ours},
            size=size,
        )
    return bar(
        "LossReweighted / bare refits",
        result.ratio("LossReweighted", "bare refits", "cpu"),
        at_most=BAR,
    )


def main() -> None:
    X, y = dirty_sample(100_000, 20, seed=SEED)
    label = (y > np.median(y)).astype(int)
    finish(
        compare("LinearRegression", LinearRegression(), X, y, size="100000x20"),
        compare("LogisticRegression", LogisticRegression(), X, label, size="100000x20"),
        compare(
            "HistGradientBoostingRegressor",
            HistGradientBoostingRegressor(max_iter=10, random_state=0),
            X[:10_000],
            y[:10_000],
            size="10000x20",
        ),
    )


if __name__ == "__main__":
    main()
