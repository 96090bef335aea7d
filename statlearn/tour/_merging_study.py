"""Numbers of the section on models as weights, all on images of digits.

Experts on four views of the images are merged; two networks from different starts are
lined up; one that has seen little contrast gives a patch to one that has not; a linear
classifier learns two new classes at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from statlearn.continual import IncrementalClassifier
from statlearn.merging import (
    BarrierCurve,
    SignaturePatchedClassifier,
    alignment,
    apply_permutation,
    apply_signature,
    corrupt,
    cosine_matrix,
    get_weights,
    interpolate,
    loss_barrier,
    match_weights,
    merge_weights,
    set_weights,
    spec_for,
    weight_signature,
)
from statlearn.tour._section import Progress

FloatArray = NDArray[np.float64]
Rows = tuple[FloatArray, NDArray[Any]]

# --- merging
VIEWS = ("turned", "inverted", "shifted", "mirrored")
BASE, EXPERT, MIXTURE = "base", "expert on its own view", "trained on the mixture"
RULES = {"average": "average", "TIES": "ties", "TSV-M": "tsvm", "R-TSVM": "r-tsvm"}
PEERS, OURS = ("average", "TIES", "TSV-M"), "R-TSVM"
SCALES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
#: Images that the base has seen in each view.
N_BASE = 60
#: Passes of an expert, and of the network that learns all views, over its images.
N_PASSES = 12

# --- matching
BEFORE, AFTER = "as trained", "matched"
#: Pairs of singular vectors that count, by the share of the largest singular value.
GAMMAS = (0.0, 0.3)
N_EPOCHS, N_POINTS = 30, 25

# --- a patch
CLEAN, ROBUST = "clean model", "model of grey images"
PATCHED, PLAIN = "patch on the first layer", "plain difference, first layer"
FULL = "patch on all layers"
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)

# --- new classes
ALIGNED, UNALIGNED, BALANCED = "aligned", "not aligned", "balanced in the fit"
CLASSIFIERS: dict[str, dict[str, bool]] = {
    UNALIGNED: {"align": False},
    ALIGNED: {"align": True},
    BALANCED: {"align": False, "balance_classes": True},
}
ALL_ROWS = "fit of scikit-learn to all rows"
MEMORY = 50

_WIDE, _NARROW = (128, 128), (64, 64)
_BATCH, _N_TRAIN = 64, 1000


@dataclass(frozen=True, slots=True)
class Study:
    """What came of all four, by the names above; the first axis is that of seeds.

    Attributes
    ----------
    merged : dict of str to ndarray of shape (n_seeds,)
        Mean accuracy on the views.
    scaled : dict of str to ndarray of shape (n_seeds, n_scales)
        The same along `SCALES`, by rule.
    cosines : ndarray of shape (n_views, n_views)
        Of the task vectors, mean of the seeds.
    curves : dict of str to list of BarrierCurve
        Losses between the two networks.
    apart : dict of str to ndarray of shape (n_seeds,)
        Distance of the two networks.
    middle : dict of str to ndarray of shape (n_seeds,)
        Accuracy of the mean of the two networks; `BASE` has that of one.
    agreement : dict of str to ndarray of shape (n_seeds, 2)
        Alignment of singular vectors, for each of `GAMMAS`.
    patched : dict of str to ndarray of shape (n_seeds, 2)
        Accuracy on grey images and on clean ones.
    strengths : ndarray of shape (n_seeds, n_strengths, 2)
        The same along `STRENGTHS`, patch on the first layer.
    steps : dict of str to ndarray of shape (n_seeds, n_steps)
        Accuracy on all classes so far; one step for `ALL_ROWS`.
    """

    merged: dict[str, FloatArray]
    scaled: dict[str, FloatArray]
    cosines: FloatArray
    curves: dict[str, list[BarrierCurve]]
    apart: dict[str, FloatArray]
    middle: dict[str, FloatArray]
    agreement: dict[str, FloatArray]
    patched: dict[str, FloatArray]
    strengths: FloatArray
    steps: dict[str, FloatArray]

    def barrier(self, name: str) -> float:
        """Mean barrier between the two networks."""
        return float(np.mean([curve.barrier for curve in self.curves[name]]))

    def recovered(self, name: str) -> float:
        """Share of the gap on grey images, of clean to robust model, that is closed."""
        grey = {each: values[:, 0].mean() for each, values in self.patched.items()}
        return float((grey[name] - grey[CLEAN]) / (grey[ROBUST] - grey[CLEAN]))

    def final(self, name: str) -> float:
        """Mean accuracy after the last step."""
        return float(self.steps[name][:, -1].mean())

    def claims(self) -> dict[str, bool]:
        """Which claims hold, in the order of the section."""
        merged = {name: values.mean() for name, values in self.merged.items()}
        agreement = {name: v.mean(axis=0) for name, v in self.agreement.items()}
        clean = {name: values[:, 1].mean() for name, values in self.patched.items()}
        closer = 1.0 - self.apart[AFTER].mean() / self.apart[BEFORE].mean()
        return {
            "R-TSVM is the best rule without tuning": bool(
                merged[OURS] > max(merged[name] for name in PEERS)
            ),
            "merging beats training on the mixture": bool(
                merged[OURS] > merged[MIXTURE]
            ),
            "matching removes the barrier, not the distance": bool(
                self.barrier(AFTER) < 0.2 * self.barrier(BEFORE) and closer < 0.4
            ),
            "it is large singular directions that matching aligns": bool(
                agreement[AFTER][1] > agreement[AFTER][0] > agreement[BEFORE][0]
            ),
            "a patch makes a clean model robust at little cost": bool(
                self.recovered(PATCHED) > 0.5
                and clean[CLEAN] - clean[PATCHED] < 0.5 * (clean[CLEAN] - clean[ROBUST])
            ),
            "aligned weights forget less": bool(
                self.final(ALIGNED) > self.final(UNALIGNED)
            ),
        }


def learn(progress: Progress, n_seeds: int) -> Study:
    """Run all four, once for each seed."""
    found: list[dict[str, Any]] = []
    # Products of small matrices: a second thread costs more than it brings.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # Networks are stopped on purpose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for seed in progress.track(range(n_seeds), "models as weights: digits"):
            train, test = split(seed)
            merged = merge(train, test, seed)
            found.append(
                merged
                | match(train, test, seed)
                | patch(train, test, seed)
                | add_classes(train, test, seed)
            )
    return Study(
        cosines=np.mean([trial.pop("cosines") for trial in found], axis=0),
        curves=_by_name([trial.pop("curves") for trial in found]),
        strengths=np.array([trial.pop("strengths") for trial in found]),
        **{
            key: {
                name: np.array(values)
                for name, values in _by_name([trial[key] for trial in found]).items()
            }
            for key in found[0]
        },
    )


def _by_name(trials: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [trial[name] for trial in trials] for name in trials[0]}


def split(seed: int) -> tuple[Rows, Rows]:
    """Return images and labels to learn from, and those left out."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[:_N_TRAIN], order[_N_TRAIN:]
    return (X[train] / 16.0, y[train]), (X[test] / 16.0, y[test])


def network(widths: Iterable[int], seed: int, n_epochs: int) -> MLPClassifier:
    """Return a network that is not trained yet."""
    return MLPClassifier(
        tuple(widths), batch_size=_BATCH, max_iter=n_epochs, random_state=seed
    )


# --- experts on four views ---------------------------------------------------


def views_of(X: FloatArray) -> dict[str, FloatArray]:
    """Return the images turned by 90 degrees, inverted, shifted and mirrored."""
    images = X.reshape(-1, 8, 8)
    changed = (
        np.rot90(images, axes=(1, 2)),
        1.0 - images,
        np.roll(images, (3, 3), axis=(1, 2)),
        images[:, :, ::-1],
    )
    return {
        name: view.reshape(len(X), -1)
        for name, view in zip(VIEWS, changed, strict=True)
    }


def trained_on(base: MLPClassifier, X: FloatArray, y: NDArray[Any]) -> MLPClassifier:
    """Return a copy of the base after more passes."""
    model = deepcopy(base)
    for _ in range(N_PASSES):
        model.partial_fit(X, y)
    return model


def merge(train: Rows, test: Rows, seed: int) -> dict[str, Any]:
    """Tune a base for each view, and merge what comes out."""
    X, y = train
    few = X[:N_BASE]
    start = np.vstack([few, *views_of(few).values()])
    base = network(_WIDE, seed, 40).fit(start, np.tile(y[:N_BASE], len(VIEWS) + 1))
    views, unseen = views_of(X), views_of(test[0])
    experts = [trained_on(base, view, y) for view in views.values()]
    mixed = np.vstack(list(views.values())), np.tile(y, len(VIEWS))

    def accuracy(*models: Any) -> float:
        """Mean over the views, each with a model of its own or all with one."""
        chosen = models if len(models) > 1 else models * len(VIEWS)
        pairs = zip(chosen, unseen.values(), strict=True)
        return float(np.mean([model.score(view, test[1]) for model, view in pairs]))

    merged = {BASE: accuracy(base), EXPERT: accuracy(*experts)}
    scaled = {}
    for name, rule in RULES.items():
        whole = set_weights(base, merge_weights(base, experts, rule))
        scaled[name] = [accuracy(interpolate(base, whole, scale)) for scale in SCALES]
        merged[name] = scaled[name][SCALES.index(1.0)]
    merged[MIXTURE] = accuracy(trained_on(base, *mixed))
    cosines = cosine_matrix(experts, base)
    return {"merged": merged, "scaled": scaled, "cosines": cosines}


# --- two networks from different starts --------------------------------------


def match(train: Rows, test: Rows, seed: int) -> dict[str, Any]:
    """Put the units of one network in the order of another."""
    first, second = (
        network(_WIDE, 2 * seed + start, N_EPOCHS).fit(*train) for start in (0, 1)
    )
    spec = spec_for(first)
    result = match_weights(spec, first, second, random_state=seed)
    ordered = apply_permutation(spec, result.permutations, get_weights(second))
    pairs = {BEFORE: second, AFTER: set_weights(second, ordered)}

    def loss(model: Any) -> float:
        return float(log_loss(test[1], model.predict_proba(test[0])))

    curves, middle, agreement = {}, {BASE: first.score(*test)}, {}
    for name, other in pairs.items():
        curves[name] = loss_barrier(loss, first, other, N_POINTS, return_curve=True)
        middle[name] = interpolate(first, other, 0.5).score(*test)
        agreement[name] = [alignment(first, other, gamma=share) for share in GAMMAS]
    return {
        "curves": curves,
        "apart": {BEFORE: result.distance_before, AFTER: result.distance_after},
        "middle": middle,
        "agreement": agreement,
    }


# --- a patch against little contrast -----------------------------------------


def _grey(X: FloatArray, rng: Any = None) -> FloatArray:
    return corrupt(X, "contrast", 3)


def patch(train: Rows, test: Rows, seed: int) -> dict[str, Any]:
    """Take what training on grey images adds, and put it on a clean model."""
    model = SignaturePatchedClassifier(
        network(_NARROW, seed, 20), {"grey": _grey}, n_epochs=10, random_state=seed
    ).fit(*train)
    clean, robust = model.clean_estimator_, model.robust_estimators_["grey"]
    first = weight_signature(robust, clean, model.base_estimator_, layers=1)
    plain = weight_signature(robust, clean, layers=1, projection=False)
    images = (_grey(test[0]), test[0])

    def scores(classifier: Any) -> list[float]:
        return [classifier.score(X, test[1]) for X in images]

    strengths = [scores(apply_signature(clean, first, alpha=a)) for a in STRENGTHS]
    return {
        "patched": {
            CLEAN: strengths[0],
            PATCHED: strengths[-1],
            PLAIN: scores(apply_signature(clean, plain)),
            FULL: scores(model.patch("grey")),
            ROBUST: scores(robust),
        },
        "strengths": strengths,
    }


# --- classes that come two by two --------------------------------------------


def add_classes(train: Rows, test: Rows, seed: int) -> dict[str, Any]:
    """Learn two new classes a step, with and without aligned weights."""
    order = np.random.default_rng(seed).permutation(10)
    steps = {name: _steps(train, test, order, o) for name, o in CLASSIFIERS.items()}
    whole = LogisticRegression(C=100.0, fit_intercept=False, max_iter=1000).fit(*train)
    return {"steps": {**steps, ALL_ROWS: [whole.score(*test)]}}


def _steps(
    train: Rows, test: Rows, order: NDArray[Any], options: dict[str, bool]
) -> list[float]:
    """Return the accuracy on the classes so far, after each step."""
    model = IncrementalClassifier(memory_size=MEMORY, **options)
    found = []
    for end in range(2, len(order) + 1, 2):
        new, seen = (
            np.isin(labels, order[start:end])
            for labels, start in ((train[1], end - 2), (test[1], 0))
        )
        model.partial_fit(train[0][new], train[1][new])
        found.append(model.score(test[0][seen], test[1][seen]))
    return found
