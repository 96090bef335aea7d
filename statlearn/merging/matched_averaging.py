"""One network from several fitted ones, with their units lined up first."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from statlearn.merging._matching._activation_matching import match_activations
from statlearn.merging._matching._match_many import match_many
from statlearn.merging._matching._permute import apply_permutation
from statlearn.merging._matching._spec_builders import spec_for
from statlearn.merging._matching._weight_matching import match_weights
from statlearn.merging._rules._arithmetic import average
from statlearn.merging._state._fitted_models import get_weights, set_weights
from statlearn.merging._state._layouts import check_models
from statlearn.merging._state._model_kinds import compare_models, thawed
from statlearn.utils._delegate import Delegating
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import Interval, StrOptions, fit_context


class MatchedAveraging(Delegating):
    r"""Average fitted multilayer perceptrons after their units were lined up.

    For networks that were trained apart, from different seeds or on different rows, and
    that should become one of the same size. The average predicts about as well as each
    of them if they are wide; an average of their predictions is better, and as costly
    as all of them.

    Parameters
    ----------
    estimators : list of estimators
        Two or more fitted scikit-learn perceptrons with the same classes, hidden layers
        and activations. Wrapped in ``FrozenEstimator`` they survive
        :func:`sklearn.base.clone`.
    method : {"many", "first", "activation"}, default="many"
        Match each to the mean of the others by their weights, or each to the first one
        by its weights or by what its units compute on rows.
    signed : bool, default=False
        Whether units may also be flipped: for networks with activation "tanh" or
        "identity", where it brings them nearer.
    n_init : int, default=1
        Number of starts of each match by weights, the first from the orders as they are
        and the others from random ones; the nearest result is kept.
    weights : sequence of float of length n_models, default=None
        Weights of the average; equal ones for None.
    random_state : int, Generator, RandomState or None, default=None
        Randomness of the matching.

    Attributes
    ----------
    estimator_ : estimator
        The average.
    permutations_ : list of dict of str to ndarray of int
        For each network the old positions of its units.
    signs_ : list of dict of str to ndarray of int, or None
        For each network 1 or -1 for each unit; None unless `signed`.
    classes_ : ndarray of shape (n_classes,)
        Classes, if the networks are classifiers.
    n_features_in_ : int
        Columns of the rows.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if the networks know them.

    See Also
    --------
    match_many : The matching alone, for any networks.
    merge_weights : Other rules than the average.
    sklearn.ensemble.VotingClassifier : Averages predictions.

    References
    ----------
    S. K. Ainsworth, J. Hayase, S. Srinivasa. "Git Re-Basin: Merging Models modulo
    Permutation Symmetries". ICLR 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn.preprocessing import scale
    >>> from statlearn.merging import MatchedAveraging
    >>> X, y = load_wine(return_X_y=True)
    >>> X = scale(X)
    >>> networks = [
    ...     MLPClassifier((64,), tol=0.01, random_state=seed).fit(X, y)
    ...     for seed in range(3)
    ... ]
    >>> model = MatchedAveraging(networks, random_state=0).fit()
    >>> model.score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict = {
        "estimators": [list, tuple],
        "method": [StrOptions({"many", "first", "activation"})],
        "signed": ["boolean"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "weights": ["array-like", None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        estimators,
        *,
        method="many",
        signed=False,
        n_init=1,
        weights=None,
        random_state=None,
    ):
        self.estimators = estimators
        self.method = method
        self.signed = signed
        self.n_init = n_init
        self.weights = weights
        self.random_state = random_state

    @property
    def estimator(self) -> Any:
        """First network, which tells what this one can do.

        Returns
        -------
        estimator
            As it was passed.
        """
        return self.estimators[0]

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any = None, y: Any = None) -> MatchedAveraging:
        """Line the units up and average.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            Rows, for method "activation" only; no network is trained.
        y : None
            Ignored.

        Returns
        -------
        self : MatchedAveraging
            With the average.

        Raises
        ------
        TypeError
            If a model is no scikit-learn perceptron.
        ValueError
            If there are fewer than two, they differ in classes, layers or activations,
            rows are missing for activations, or units are signed whose activation is
            not odd.
        """
        networks = _read_networks(self.estimators)
        if self.method == "activation" and X is None:
            raise ValueError(
                "MatchedAveraging with method='activation' needs rows. Got X=None; "
                "pass rows that the networks are used on, or method='many'."
            )
        first = networks[0]
        states, self.permutations_, self.signs_ = self._lined_up(networks, X)
        merged = average(states[0], states, weights=self.weights)
        self.estimator_ = set_weights(first, merged)
        for name in ("classes_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(first, name):
                setattr(self, name, getattr(first, name))
        return self

    def _lined_up(
        self, networks: list[Any], X: Any
    ) -> tuple[list[Any], list[Any], list[Any] | None]:
        """Return state dicts in matching order, the permutations and the signs."""
        spec, signed = spec_for(networks[0]), self.signed
        rng = as_generator(self.random_state)
        by_weights = {"n_init": self.n_init, "signed": signed, "random_state": rng}
        if self.method == "many":
            many = match_many(networks, spec, **by_weights)
            states = [get_weights(model) for model in many.models]
            return states, many.permutations, many.signs
        first = networks[0]
        found = [
            match_weights(spec, first, network, **by_weights)
            if self.method == "first"
            else match_activations(spec, first, network, X, signed=signed)
            for network in networks
        ]
        states = [
            apply_permutation(
                spec, one.permutations, get_weights(network), signs=one.signs
            )
            for one, network in zip(found, networks, strict=True)
        ]
        signs = [one.signs for one in found] if signed else None
        return states, [one.permutations for one in found], signs


def _read_networks(estimators: Sequence[Any]) -> list[Any]:
    """Return fitted perceptrons that can be averaged."""
    caller = "MatchedAveraging"
    networks = [thawed(estimator) for estimator in estimators]
    if len(networks) < 2:
        raise ValueError(
            f"The 'estimators' of {caller} must be two networks or more. Got "
            f"{len(networks)}; add fitted networks."
        )
    for network in networks:
        if not hasattr(network, "hidden_layer_sizes"):
            raise TypeError(
                f"The 'estimators' of {caller} must be scikit-learn multilayer "
                f"perceptrons. Got {type(network).__name__}; use match_many and "
                "merge_weights for other networks."
            )
    first, *others = (get_weights(network) for network in networks)
    advice = "train them alike, on rows of all classes and with the same columns"
    compare_models(networks, caller, advice=advice)
    called = [f"model {position}" for position in range(len(networks))]
    check_models(first, others, caller, called=called)
    return networks
