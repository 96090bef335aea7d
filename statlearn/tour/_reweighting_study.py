"""Numbers of the loss reweighting section: a toy with a known truth, two real tables.

The toy is a linear regression trained by stochastic gradient descent. Its test loss is
that of fresh rows with independent standard normal features, without their noise: half
the squared distance of the coefficients from the truth.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.preprocessing import StandardScaler

from statlearn.compose import LossReweighted
from statlearn.linear_model import ReweightedLinearRegression
from statlearn.linear_model._sgd import sgd_steps
from statlearn.tour._section import Progress
from statlearn.weights import Extremes, LinUpper, Quadratic, Uniform

FloatArray = NDArray[np.float64]
Rows = tuple[FloatArray, FloatArray, FloatArray]

#: The temperature of the figure in the paper.
TEMPERATURE = 1.0

LINUPPER = "LinUpper"
QUADRATIC = "Quadratic"
UNIFORM = "uniform"
EXTREMES = "Extremes"
RULES: dict[str, Any] = {
    LINUPPER: LinUpper(TEMPERATURE),
    QUADRATIC: Quadratic(TEMPERATURE),
    UNIFORM: Uniform(),
    EXTREMES: Extremes(TEMPERATURE),
}

REDUNDANT = "redundant rows"
NOISY = "noisy rows, none redundant"
DIRTY = "redundant rows, 2 % outliers"

#: Test loss that counts as learnt.
GOAL = 0.01
#: Step length of the toy; the others ask how much of a lead it explains.
RATE = 0.05
RATES = (RATE, 0.2, 0.8, 1.2, 1.6, 2.0)
EPOCHS = (1, 2, 5, 10, 20)
DIGIT = 8
DIGIT_RATES = (0.02, 0.1)
DIGIT_EPOCHS = 3

_N_ROWS, _N_FEATURES, _BATCH = 2000, 20, 64
#: Steps in which every rule reaches the goal, or comes to its floor.
_N_STEPS = {REDUNDANT: 1100, NOISY: 400, DIRTY: 900}
#: Steps at the end over which a floor is averaged, and most steps at other lengths.
_TAIL = 200
_PATIENCE = 300


@dataclass(frozen=True, slots=True)
class Toy:
    """Test losses of the simulated regressions.

    Attributes
    ----------
    paths : dict of str to dict of str to ndarray of shape (n_seeds, n_steps)
        Test loss after each step, by kind of data and rule.
    by_rate : dict of str to ndarray of shape (n_rates,)
        Mean number of steps to the goal on redundant rows, by rule; infinite where a
        run diverges.
    """

    paths: dict[str, dict[str, FloatArray]]
    by_rate: dict[str, FloatArray]

    @property
    def n_seeds(self) -> int:
        """Number of simulated tables of each kind."""
        return len(self.paths[REDUNDANT][UNIFORM])

    def steps(self, rule: str) -> FloatArray:
        """Count the steps to the goal on redundant rows, table by table."""
        return first_below(self.paths[REDUNDANT][rule], GOAL)

    def mean_steps(self) -> dict[str, float]:
        """Mean number of steps to the goal on redundant rows."""
        return {rule: float(self.steps(rule).mean()) for rule in RULES}

    def best_rate(self, rule: str) -> tuple[float, float]:
        """Fewest steps to the goal over the step lengths, and the step length."""
        best = int(np.argmin(self.by_rate[rule]))
        return float(self.by_rate[rule][best]), RATES[best]

    def floor(self, kind: str, rule: str) -> float:
        """Test loss that a rule settles at: mean over the last steps and tables."""
        return float(self.paths[kind][rule][:, -_TAIL:].mean())

    def floor_ratio(self, kind: str, rule: str) -> float:
        """Floor of a rule over that of uniform weights."""
        return self.floor(kind, rule) / self.floor(kind, UNIFORM)


@dataclass(frozen=True, slots=True)
class Diabetes:
    """Half the mean squared error on rows left out; responses have variance one.

    Attributes
    ----------
    losses : dict of str to ndarray of shape (n_splits, n_epochs)
        By rule.
    limit : ndarray of shape (n_splits,)
        The same of least squares without descent.
    """

    losses: dict[str, FloatArray]
    limit: FloatArray
    n_rows: int

    def change(self, rule: str) -> FloatArray:
        """Mean loss after each epoch relative to uniform weights, less one."""
        return self.losses[rule].mean(axis=0) / self.losses[UNIFORM].mean(axis=0) - 1.0

    def wins(self, rule: str) -> NDArray[np.intp]:
        """Count the splits on which a rule is better, after each epoch."""
        return np.sum(self.losses[rule] < self.losses[UNIFORM], axis=0)


@dataclass(frozen=True, slots=True)
class Digits:
    """One handwritten digit against the others, on rows left out.

    Attributes
    ----------
    log_loss, error_rate : dict of str to ndarray of shape (n_splits, n_rates)
        By rule, after a few epochs at each step length.
    """

    log_loss: dict[str, FloatArray]
    error_rate: dict[str, FloatArray]
    n_rows: int

    def wins(self, rule: str) -> NDArray[np.intp]:
        """Count the splits on which a rule is better, at each step length."""
        return np.sum(self.log_loss[rule] < self.log_loss[UNIFORM], axis=0)


# -- the toy ------------------------------------------------------------------------


def simulate(progress: Progress, n_seeds: int) -> Toy:
    """Train under every rule on every kind of data."""
    tables = {
        kind: [make_table(kind, np.random.default_rng(seed)) for seed in range(n_seeds)]
        for kind in _N_STEPS
    }
    jobs = [(kind, rule) for kind in _N_STEPS for rule in RULES]
    paths: dict[str, dict[str, FloatArray]] = {kind: {} for kind in _N_STEPS}
    for kind, rule in progress.track(jobs, "loss reweighting: simulated tables"):
        paths[kind][rule] = np.array(
            [
                list(
                    islice(losses_on_the_way(*table, rule, RATE, seed), _N_STEPS[kind])
                )
                for seed, table in enumerate(tables[kind])
            ]
        )
    by_rate = {
        rule: np.r_[
            first_below(paths[REDUNDANT][rule], GOAL).mean(),
            [_mean_steps(tables[REDUNDANT], rule, rate) for rate in RATES[1:]],
        ]
        for rule in progress.track(RULES, "loss reweighting: step lengths")
    }
    return Toy(paths, by_rate)


def make_table(kind: str, rng: np.random.Generator) -> Rows:
    """Make rows, responses and true coefficients.

    Redundant rows, nine of ten, hardly vary but in the first three features, so that a
    plain gradient learns the other features from a tenth of the rows only.
    """
    X = rng.normal(size=(_N_ROWS, _N_FEATURES))
    if kind != NOISY:
        X[: int(0.9 * _N_ROWS), 3:] *= 0.05
    truth = rng.normal(size=_N_FEATURES)
    y = X @ truth
    if kind == NOISY:
        y += 0.5 * rng.normal(size=_N_ROWS)
    if kind == DIRTY:
        wrong = rng.choice(_N_ROWS, _N_ROWS // 50, replace=False)
        y[wrong] += 5.0 * rng.normal(size=len(wrong))
    return X, y, truth


def losses_on_the_way(
    X: FloatArray,
    y: FloatArray,
    truth: FloatArray,
    rule: str,
    rate: float,
    seed: int,
) -> Iterator[float]:
    """Test loss after each step of the descent; nan ends one that overflows."""
    steps = sgd_steps(
        X,
        y,
        None,
        RULES[rule],
        np.zeros(_N_FEATURES),
        penalty=np.zeros(_N_FEATURES),
        batch_size=_BATCH,
        learning_rate=rate,
        warmup=0,
        generator=np.random.default_rng(seed),
    )
    for coef, _, _ in steps:
        gap = coef - truth
        yield 0.5 * float(gap @ gap)


def first_below(paths: FloatArray, goal: float) -> FloatArray:
    """Count the steps until a path is below a loss; infinite if it never is."""
    below = paths < goal
    return np.where(below.any(axis=1), below.argmax(axis=1) + 1.0, np.inf)


def _mean_steps(tables: list[Rows], rule: str, rate: float) -> float:
    """Mean number of steps to the goal; infinite as soon as one run misses it."""
    counts = []
    with np.errstate(over="ignore", invalid="ignore"):
        for seed, table in enumerate(tables):
            losses = islice(losses_on_the_way(*table, rule, rate, seed), _PATIENCE)
            hits = (step for step, loss in enumerate(losses, start=1) if loss < GOAL)
            counts.append(next(hits, np.inf))
            if not np.isfinite(counts[-1]):
                break
    return float(np.mean(counts))


# -- real tables --------------------------------------------------------------------


def fit_diabetes(progress: Progress, n_splits: int) -> Diabetes:
    """Train on three quarters of the rows for some epochs, and predict the others."""
    X, y = load_diabetes(return_X_y=True)
    splits = list(ShuffleSplit(n_splits, test_size=0.25, random_state=0).split(X))
    losses: dict[str, list[list[float]]] = {rule: [] for rule in RULES}
    limit = []
    for train, test in progress.track(splits, "loss reweighting: diabetes"):
        scaler = StandardScaler().fit(X[train])
        rows, fresh = scaler.transform(X[train]), scaler.transform(X[test])
        centre, spread = y[train].mean(), y[train].std()
        known, wanted = (y[train] - centre) / spread, (y[test] - centre) / spread
        for rule in RULES:
            models = (_descent(rule, epochs).fit(rows, known) for epochs in EPOCHS)
            with warnings.catch_warnings():
                # The descent is stopped on purpose, long before it stands still.
                warnings.simplefilter("ignore", ConvergenceWarning)
                losses[rule].append([_half_mse(m, fresh, wanted) for m in models])
        limit.append(_half_mse(LinearRegression().fit(rows, known), fresh, wanted))
    return Diabetes(
        {rule: np.array(values) for rule, values in losses.items()},
        np.array(limit),
        len(y),
    )


def _descent(rule: str, epochs: int) -> ReweightedLinearRegression:
    return ReweightedLinearRegression(
        RULES[rule],
        solver="sgd",
        max_iter=epochs,
        tol=0.0,
        learning_rate=RATE,
        cov_type=None,
        random_state=0,
    )


def _half_mse(model: Any, X: FloatArray, y: FloatArray) -> float:
    return 0.5 * float(np.mean((y - model.predict(X)) ** 2))


def fit_digits(progress: Progress, n_splits: int) -> Digits:
    """Tell one digit from the others by scikit-learn's descent under three rules."""
    X, digit = load_digits(return_X_y=True)
    X, y = X / 16.0, (digit == DIGIT).astype(int)
    splits = StratifiedShuffleSplit(n_splits, test_size=0.25, random_state=0)
    rules = (LINUPPER, QUADRATIC, UNIFORM)
    scores = {rule: np.empty((n_splits, len(DIGIT_RATES), 2)) for rule in rules}
    jobs = [
        (number, train, test, column)
        for number, (train, test) in enumerate(splits.split(X, y))
        for column in range(len(DIGIT_RATES))
    ]
    for number, train, test, column in progress.track(
        jobs, "loss reweighting: handwritten digits"
    ):
        for rule in rules:
            model = _classifier(rule, DIGIT_RATES[column]).fit(X[train], y[train])
            proba = model.predict_proba(X[test])
            wrong = np.mean(proba.argmax(axis=1) != y[test])
            scores[rule][number, column] = log_loss(y[test], proba), wrong
    return Digits(
        {rule: values[..., 0] for rule, values in scores.items()},
        {rule: values[..., 1] for rule, values in scores.items()},
        len(y),
    )


def _classifier(rule: str, rate: float) -> LossReweighted:
    """Logistic regression by descent; uniform weights leave it to scikit-learn."""
    return LossReweighted(
        SGDClassifier(
            loss="log_loss",
            learning_rate="constant",
            eta0=rate,
            alpha=1e-5,
            random_state=0,
        ),
        weighting=RULES[rule],
        mode="minibatch",
        batch_size=128,
        max_iter=DIGIT_EPOCHS,
        warmup_iter=0,
        random_state=0,
    )
