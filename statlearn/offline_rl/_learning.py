"""What learners have in common: rows of a data set, and the weights of these rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from statlearn.offline_rl._weighting_base import TrajectoryWeighting
from statlearn.offline_rl.trajectory_dataset import TrajectoryDataset
from statlearn.sampling import WeightedSampler
from statlearn.utils._delegate import weight_keyword

Array = NDArray[np.float64]


def feature_rows(
    observations: Any, caller: str, shape: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """Return observations (m, ...) as rows of features (m, d).

    Parameters
    ----------
    observations : (m, ...) array-like
    caller : str
        For messages.
    shape : tuple of int, default=None
        Shape of one observation, where it is known; rows that are flat already will do.
    """
    values = np.asarray(observations)
    known = values.ndim > 0 and len(values) > 0
    if known and shape is not None:
        flat = (int(np.prod(shape)),)
        known = values.shape[1:] in (shape, flat)
    if not known or values.dtype.kind not in "fiub":
        wanted = "(m, ...)" if shape is None else f"(m, {', '.join(map(str, shape))})"
        raise ValueError(
            f"The observations of {caller} must be numbers of shape {wanted}, m >= 1. "
            f"Got shape {values.shape} of {values.dtype}; pass observation[None] for a "
            f"single one, flattened if it has parts."
        )
    return values.reshape(len(values), -1)


def reached_observations(
    dataset: TrajectoryDataset, index: NDArray[np.int64]
) -> NDArray[Any]:
    """Return what follows rows (m,): where nothing does, what was before, as a copy.

    After a termination there may be anything, such as NaN, and nobody may use it.
    """
    following = dataset.next_observations[index]
    ended = dataset.terminations[index]
    following[ended] = dataset.observations[index[ended]]
    return following


def discrete_actions(dataset: TrajectoryDataset, caller: str) -> NDArray[Any]:
    """Return actions (n,) that are one integer each, or say that they are not."""
    actions = dataset.actions
    if actions.ndim == 2 and actions.shape[1] == 1:
        actions = actions[:, 0]
    if actions.ndim != 1 or actions.dtype.kind not in "iub":
        raise ValueError(
            f"{caller} expected discrete actions, integers of shape (n_transitions,). "
            f"Got {dataset.actions.dtype} of shape {dataset.actions.shape}; number "
            f"them, with astype(int) if they are whole, or clone a policy with a "
            f"regressor."
        )
    return actions


def default_behavior(observations: NDArray[Any]) -> Any:
    """Return an unfitted classifier of the actions at observations (n, ...).

    Linear, as many policies nearly are: trees blur the borders between actions, and an
    action that is allowed by mistake is what a constraint is there to prevent.
    """
    numbered = is_numbered(observations)
    features = OneHotEncoder(handle_unknown="ignore") if numbered else StandardScaler()
    model = LogisticRegression(max_iter=1000)
    if get_config()["enable_metadata_routing"]:
        model.set_fit_request(sample_weight=True)
        if not numbered:
            features.set_fit_request(sample_weight=False)
    return make_pipeline(features, model)


def is_numbered(observations: NDArray[Any]) -> bool:
    """Tell whether observations (n, ...) are numbers of states."""
    return observations.ndim == 1 and observations.dtype.kind in "iu"


@dataclass(frozen=True, slots=True)
class WeightedRows:
    """Rows of a data set to learn from.

    Attributes
    ----------
    index : ndarray of shape (m,)
        Rows of the data set; drawn ones repeatedly.
    weight : ndarray of shape (m,) or None
        Their weights, of mean one over all rows of the data set; None if all are equal.
    """

    index: NDArray[np.int64]
    weight: Array | None

    def weights_for(self, estimator: Any, which: Any = slice(None)) -> dict[str, Array]:
        """Return what to add to the keywords of the ``fit`` of an estimator."""
        keyword = None if self.weight is None else weight_keyword(estimator)
        if self.weight is None or keyword is None:
            return {}
        return {keyword: self.weight[which]}


def weighted_rows(
    dataset: TrajectoryDataset,
    weighting: TrajectoryWeighting | None,
    estimators: list[Any],
    n_samples: int | None,
    generator: np.random.Generator,
) -> tuple[WeightedRows, TrajectoryWeighting | None]:
    """Return the rows to learn from, and the fitted weighting.

    Rows without weight are left out. Rows are drawn in proportion to their weights if
    a number of them is asked for, or if an estimator takes no weights.

    Parameters
    ----------
    dataset : TrajectoryDataset
    weighting : TrajectoryWeighting or None
    estimators : list of estimator
        What will be fitted to the rows.
    n_samples : int or None
    generator : Generator
    """
    fitted = None if weighting is None else clone(weighting).fit(dataset)
    n = dataset.n_transitions
    if fitted is None:
        if n_samples is None:
            return WeightedRows(np.arange(n), None), None
        return WeightedRows(generator.integers(n, size=n_samples), None), None
    weight = fitted.sample_weight()
    index = np.flatnonzero(weight)
    weight = weight[index]
    takes = all(weight_keyword(each) is not None for each in estimators)
    if n_samples is None and takes:
        return WeightedRows(index, weight), fitted
    size = len(index) if n_samples is None else n_samples
    drawn = WeightedSampler(weight, random_state=generator).sample(size)
    return WeightedRows(index[drawn], None), fitted


def fitted_classifier(
    estimator: Any, X: NDArray[Any], y: NDArray[Any], extra: dict[str, Array]
) -> Any:
    """Return a fitted clone of a classifier; a single class is one that it can learn.

    Parameters
    ----------
    estimator : classifier
    X : (m, d) array
    y : (m,) array
    extra : dict
        Further arguments of its ``fit``.
    """
    if np.all(y == y[0]):
        return DummyClassifier(strategy="most_frequent").fit(X, y)
    return clone(estimator).fit(X, y, **extra)


def draw_classes(
    probability: Array, classes: NDArray[Any], generator: np.random.Generator
) -> NDArray[Any]:
    """Return a class (m,) for each row of probabilities (m, n_classes)."""
    cumulative = np.cumsum(probability, axis=1)
    target = generator.random((len(cumulative), 1)) * cumulative[:, -1:]
    position = np.sum(cumulative <= target, axis=1)
    return classes[np.minimum(position, len(classes) - 1)]
