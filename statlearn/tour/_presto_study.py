"""Numbers of the PRESTO section: errors against a known truth, scores on a survey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.preprocessing import StandardScaler

from statlearn.datasets import load_marriage_rating, make_rare_ordinal
from statlearn.ordinal import OrdinalRegression, PrestoClassifierCV
from statlearn.tour._section import Progress
from statlearn.tour._timing import time_call
from statlearn.utils._optional import require

FloatArray = NDArray[np.float64]
Predict = Callable[[FloatArray], FloatArray]

PRESTO = "PRESTO"
LOGIT = "logistic regression"
ODDS = "proportional odds"
RIDGE = "ridge logistic regression"
SHARES = "no features"


@dataclass(frozen=True, slots=True)
class Simulation:
    """Squared errors of the probability of the rare class.

    Attributes
    ----------
    errors : dict of str to ndarray of shape (n_sets,)
        Mean squared error of each method on each data set.
    rare_share : float
        Mean true probability of the rare class.
    """

    errors: dict[str, FloatArray]
    rare_share: float

    @property
    def n_sets(self) -> int:
        """Number of data sets."""
        return len(self.errors[PRESTO])

    def ratios(self, method: str) -> FloatArray:
        """Error of PRESTO over that of another method, one a data set."""
        return self.errors[PRESTO] / self.errors[method]

    def medians(self) -> dict[str, float]:
        """Median error of each method."""
        return {name: float(np.median(values)) for name, values in self.errors.items()}

    def median_ratios(self) -> dict[str, float]:
        """Median of the ratios to each peer, the number that the paper gives."""
        return {name: float(np.median(self.ratios(name))) for name in (LOGIT, ODDS)}

    def interval(self, method: str) -> tuple[float, float]:
        """95 % interval of the median ratio, by resampling the data sets."""
        ratios, rng = self.ratios(method), np.random.default_rng(0)
        draws = rng.integers(0, self.n_sets, size=(2000, self.n_sets))
        low, high = np.quantile(np.median(ratios[draws], axis=1), [0.025, 0.975])
        return float(low), float(high)

    def wins(self, method: str) -> int:
        """Count the data sets on which PRESTO is closer than another method."""
        return int((self.ratios(method) < 1.0).sum())


@dataclass(frozen=True, slots=True)
class Agreement:
    """Log-likelihood and time of one model in two programs."""

    ours: float
    peers: float
    our_seconds: float
    peer_seconds: float


@dataclass(frozen=True, slots=True)
class Survey:
    """Scores on the rows of the survey that a split left out.

    Attributes
    ----------
    scores : dict of str to dict of str to ndarray of shape (n_splits,)
        Values by score and method.
    years : ndarray of shape (n_values,)
        Occurring values of the years of marriage.
    curves : dict of str to ndarray of shape (n_splits, n_values)
        Mean predicted probability of the rare answer at each value.
    observed : ndarray of shape (n_values, 3)
        Observed share, and both ends of its 95 % interval.
    model : PrestoClassifierCV
        The fit of the first split, on standardised features.
    agreement : Agreement
        Proportional odds in two programs.
    """

    SCORES: ClassVar[tuple[str, ...]] = (
        "event_log_loss",
        "event_brier",
        "class_log_loss",
    )

    scores: dict[str, dict[str, FloatArray]]
    years: FloatArray
    curves: dict[str, FloatArray]
    observed: FloatArray
    model: Any
    feature_names: tuple[str, ...]
    answers: tuple[str, ...]
    agreement: Agreement
    n_rows: int
    n_train: int
    rare_share: float

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return len(self.scores["event_log_loss"][PRESTO])

    def mean(self, score: str) -> dict[str, float]:
        """Mean of a score over the splits, by method."""
        return {name: float(v.mean()) for name, v in self.scores[score].items()}

    def wins(self, score: str) -> dict[str, int]:
        """Count the splits in which PRESTO is better, by method."""
        values = self.scores[score]
        return {name: int((values[PRESTO] < v).sum()) for name, v in values.items()}

    def paired_difference(self, score: str) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of the excess over PRESTO, by method."""
        values = self.scores[score]
        excess = {name: v - values[PRESTO] for name, v in values.items()}
        return {
            name: (float(v.mean()), float(v.std(ddof=min(1, len(v) - 1))))
            for name, v in excess.items()
            if name != PRESTO
        }


def simulate(progress: Progress, n_sets: int) -> Simulation:
    """Fit the three methods to data whose true probabilities are known."""
    errors: dict[str, list[float]] = {PRESTO: [], LOGIT: [], ODDS: []}
    shares = []
    for seed in progress.track(range(n_sets), "simulated data sets"):
        X, y, proba, _ = make_rare_ordinal(return_proba=True, random_state=seed)
        truth, rare = proba[:, -1], y == proba.shape[1]
        estimates = {
            PRESTO: PrestoClassifierCV(cv=5).fit(X, y).predict_proba(X)[:, -1],
            LOGIT: _plain_logit().fit(X, rare).predict_proba(X)[:, 1],
            ODDS: OrdinalRegression().fit(X, y).predict_proba(X)[:, -1],
        }
        for name, estimate in estimates.items():
            errors[name].append(float(np.mean((estimate - truth) ** 2)))
        shares.append(truth.mean())
    return Simulation(
        {name: np.array(values) for name, values in errors.items()},
        float(np.mean(shares)),
    )


def split_survey(progress: Progress, n_splits: int, n_train: int) -> Survey:
    """Learn from a few rows of the survey, predict the others, several times."""
    data = load_marriage_rating()
    X, y, order = data.data, data.target, data.categories
    rows = StratifiedShuffleSplit(n_splits, train_size=n_train, random_state=0)
    column = data.feature_names.index("yrs_married")
    years = np.unique(X[:, column])
    splits = [
        _learn_and_predict(data, train, test, years)
        for train, test in progress.track(list(rows.split(X, y)), "survey splits")
    ]
    with progress.step("statsmodels OrderedModel"):
        agreement = _agree(splits[0].X, splits[0].y, order)
    return Survey(
        scores={
            score: {
                name: np.array([split.scores[score][name] for split in splits])
                for name in splits[0].scores[score]
            }
            for score in Survey.SCORES
        },
        years=years,
        curves={
            name: np.array([split.curves[name] for split in splits])
            for name in splits[0].curves
        },
        observed=_observed(X[:, column], y == order[-1], years),
        model=splits[0].model,
        feature_names=tuple(data.feature_names),
        answers=tuple(data.target_names),
        agreement=agreement,
        n_rows=len(y),
        n_train=n_train,
        rare_share=float((y == order[-1]).mean()),
    )


@dataclass(frozen=True, slots=True)
class _Split:
    """One split: rows learned from (standardised), the PRESTO fit, what came out."""

    X: FloatArray
    y: NDArray[np.int64]
    model: PrestoClassifierCV
    scores: dict[str, dict[str, float]]
    curves: dict[str, FloatArray]


def _learn_and_predict(
    data: Any, train: NDArray[np.intp], test: NDArray[np.intp], years: FloatArray
) -> _Split:
    """Fit every method to the training rows and score it on the others."""
    X, y, order = data.data, data.target, data.categories
    scaler = StandardScaler().fit(X[train])
    X_train, X_test = scaler.transform(X[train]), scaler.transform(X[test])
    fitted = _fit_all(X_train, y[train], order)
    predicted = {name: p(X_test) for name, p in _predictors(fitted).items()}
    married = X[test, data.feature_names.index("yrs_married")]
    return _Split(
        X=X_train,
        y=y[train],
        model=fitted[PRESTO],
        scores=_scores(predicted, y[test], order),
        curves={
            name: _mean_by(married, _rare(predicted[name]), years)
            for name in (PRESTO, ODDS, LOGIT)
        },
    )


def _plain_logit() -> Any:
    """Logistic regression without a penalty, by Newton steps."""
    return LogisticRegression(C=np.inf, solver="newton-cholesky", max_iter=200)


def _fit_all(
    X: FloatArray, y: NDArray[np.int64], order: tuple[int, ...]
) -> dict[str, Any]:
    """Fit every method to the same rows."""
    rare = y == order[-1]
    ridge = LogisticRegressionCV(
        Cs=np.logspace(-3, 2, 11),
        cv=5,
        scoring="neg_log_loss",
        solver="newton-cholesky",
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    return {
        PRESTO: PrestoClassifierCV(cv=5, categories=order).fit(X, y),
        ODDS: OrdinalRegression(categories=order).fit(X, y),
        LOGIT: _plain_logit().fit(X, rare),
        RIDGE: ridge.fit(X, rare),
        SHARES: np.array([(y == label).mean() for label in order]),
    }


def _predictors(fitted: dict[str, Any]) -> dict[str, Predict]:
    """Probabilities of all classes (n, K), or of the rare one (n,), by method."""
    shares = fitted[SHARES]
    return {
        PRESTO: fitted[PRESTO].predict_proba,
        ODDS: fitted[ODDS].predict_proba,
        LOGIT: lambda X: fitted[LOGIT].predict_proba(X)[:, 1],
        RIDGE: lambda X: fitted[RIDGE].predict_proba(X)[:, 1],
        SHARES: lambda X: np.tile(shares, (len(X), 1)),
    }


def _rare(proba: FloatArray) -> FloatArray:
    """Probability of the rare class, (n,)."""
    return proba if proba.ndim == 1 else proba[:, -1]


def _scores(
    predicted: dict[str, FloatArray], y: NDArray[np.int64], order: tuple[int, ...]
) -> dict[str, dict[str, float]]:
    """Scores by name and method; the last one only where all classes are predicted."""
    rare = y == order[-1]
    codes = _codes(y, order)
    everything = {name: p for name, p in predicted.items() if p.ndim == 2}
    return {
        "event_log_loss": {
            name: log_loss(rare, _rare(p), labels=[False, True])
            for name, p in predicted.items()
        },
        "event_brier": {
            name: brier_score_loss(rare, _rare(p)) for name, p in predicted.items()
        },
        "class_log_loss": {
            name: log_loss(codes, p, labels=np.arange(len(order)))
            for name, p in everything.items()
        },
    }


def _codes(y: NDArray[np.int64], order: tuple[int, ...]) -> NDArray[np.intp]:
    """Place of each answer in the order of the classes."""
    return np.argmax(y[:, None] == np.array(order), axis=1)


def _mean_by(keys: FloatArray, values: FloatArray, levels: FloatArray) -> FloatArray:
    """Mean of the values at each level of the keys."""
    return np.array([values[keys == level].mean() for level in levels])


def _observed(keys: FloatArray, event: NDArray[np.bool_], levels: FloatArray) -> Any:
    """Share of the event at each level with its 95 % interval (Jeffreys)."""
    from scipy.stats import beta

    rows = []
    for level in levels:
        hits, size = int(event[keys == level].sum()), int((keys == level).sum())
        low, high = beta.ppf([0.025, 0.975], hits + 0.5, size - hits + 0.5)
        rows.append((hits / size, low, high))
    return np.array(rows)


def _agree(X: FloatArray, y: NDArray[np.int64], order: tuple[int, ...]) -> Agreement:
    """Fit proportional odds here and with statsmodels, on one thread each."""
    ordered = require("statsmodels.miscmodels.ordinal_model", None, "the tour")
    codes = _codes(y, order)
    ours, our_seconds = time_call(
        lambda: OrdinalRegression(categories=order).fit(X, y), repeats=3
    )
    peer, peer_seconds = time_call(
        lambda: ordered.OrderedModel(codes, X, distr="logit").fit(
            method="bfgs", maxiter=500, disp=False
        ),
        repeats=3,
    )
    return Agreement(ours.loglik_, float(peer.llf), our_seconds, peer_seconds)
