"""Put the units of networks in the order of a reference."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from statlearn.merging._matching._activation_matching import match_activations
from statlearn.merging._matching._permute import apply_permutation
from statlearn.merging._matching._spec_builders import spec_for
from statlearn.merging._matching._weight_matching import MatchResult, match_weights
from statlearn.merging._state._fitted_models import get_weights, set_weights
from statlearn.merging.permutation_spec import PermutationSpec
from statlearn.utils._sklearn import Interval, StrOptions, fit_context


class WeightMatcher(BaseEstimator):
    """Match a network to a reference, and put its units in the order found.

    :func:`match_weights` and :func:`match_activations` with ``fit`` and ``transform``.

    Parameters
    ----------
    spec : PermutationSpec or "auto", default="auto"
        Axes that move together; "auto" reads them from the reference with
        :func:`spec_for`.
    method : {"weight", "activation"}, default="weight"
        What is compared.
    order : {"random", "forward", "backward"}, default="random"
        Order of the permutations within a pass.
    n_init : int, default=1
        Number of starts. Residual networks need several.
    max_iter : int, default=100
        Limit on the passes of a start.
    tol : float, default=1e-12
        Gain, relative to the norms of the units that would move, below which a
        permutation is left as it is.
    include_bias : bool, default=True
        Whether arrays with one axis count.
    correlation : bool, default=False
        Whether activations are matched by correlations.
    signed : bool or list of str, default=False
        Whether units may also be flipped, or those of the permutations named: right for
        odd activations, such as tanh.
    warm_start : bool, default=False
        Whether `fit` starts from the permutations and signs of the last one.
    random_state : int, Generator, RandomState or None, default=None
        Randomness of orders and starts.

    Attributes
    ----------
    permutations_ : dict of str to ndarray of int
        For each permutation the old positions of the units.
    signs_ : dict of str to ndarray of int, or None
        For each permutation whose units may flip 1 or -1 for each; None if no units
        may.
    spec_ : PermutationSpec
        The spec that was used.
    distance_before_, distance_after_ : float
        Euclidean distance of the networks, without running statistics.
    n_sweeps_ : int
        Passes over all permutations.
    gains_ : ndarray of shape (n_sweeps_,)
        What each pass added to the inner product of the networks.

    See Also
    --------
    match_weights : The function behind it, with what the parameters mean.
    match_many : For three and more networks.
    MatchedAveraging : Averages what was matched.

    References
    ----------
    S. K. Ainsworth, J. Hayase, S. Srinivasa. "Git Re-Basin: Merging Models modulo
    Permutation Symmetries". ICLR 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from statlearn.merging import WeightMatcher
    >>> X, y = load_iris(return_X_y=True)
    >>> a, b = (
    ...     MLPClassifier((16,), max_iter=50, tol=0.1, random_state=seed).fit(X, y)
    ...     for seed in range(2)
    ... )
    >>> matcher = WeightMatcher(random_state=0)
    >>> matched = matcher.fit_transform(a, b)
    >>> bool((matched.predict(X) == b.predict(X)).all())
    True
    >>> matcher.distance_after_ < matcher.distance_before_
    True
    """

    _parameter_constraints: dict = {
        "spec": [PermutationSpec, StrOptions({"auto"})],
        "method": [StrOptions({"weight", "activation"})],
        "order": [StrOptions({"random", "forward", "backward"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "include_bias": ["boolean"],
        "correlation": ["boolean"],
        "signed": ["boolean", list, tuple],
        "warm_start": ["boolean"],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        spec="auto",
        method="weight",
        *,
        order="random",
        n_init=1,
        max_iter=100,
        tol=1e-12,
        include_bias=True,
        correlation=False,
        signed=False,
        warm_start=False,
        random_state=None,
    ):
        self.spec = spec
        self.method = method
        self.order = order
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.include_bias = include_bias
        self.correlation = correlation
        self.signed = signed
        self.warm_start = warm_start
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, reference: Any, model: Any, X: Any = None) -> WeightMatcher:
        """Find the order of units that brings a network near the reference.

        Parameters
        ----------
        reference, model : estimator, torch module or mapping
            Network that stays, and the one whose units are put in order.
        X : array-like of shape (n_samples, n_features), default=None
            Rows, for method "activation" only.

        Returns
        -------
        self : WeightMatcher
            With the permutations and signs.

        Raises
        ------
        TypeError
            If a model has no weights, or its layers are unknown with spec="auto".
        ValueError
            If spec and networks do not fit, a number is not finite, rows are missing
            for activations, or units are signed whose activation is known not to be
            odd.
        """
        self.spec_ = spec_for(reference) if self.spec == "auto" else self.spec
        result = self._match(reference, model, X)
        self.permutations_ = result.permutations
        self.signs_ = result.signs
        self.distance_before_ = result.distance_before
        self.distance_after_ = result.distance_after
        self.n_sweeps_ = result.n_sweeps
        self.gains_ = result.gains
        return self

    def _match(self, reference: Any, model: Any, X: Any) -> MatchResult:
        if self.method == "activation":
            if X is None:
                raise ValueError(
                    "WeightMatcher with method='activation' needs rows. Got X=None; "
                    "pass rows that the networks are used on, or method='weight'."
                )
            return match_activations(
                *(self.spec_, reference, model, X),
                correlation=self.correlation,
                signed=self.signed,
            )
        known = getattr(self, "permutations_", None)
        return match_weights(
            self.spec_,
            reference,
            model,
            order=self.order,
            n_init=self.n_init,
            max_iter=self.max_iter,
            tol=self.tol,
            include_bias=self.include_bias,
            signed=self.signed,
            init=known if self.warm_start else None,
            init_signs=self._known_signs() if self.warm_start else None,
            random_state=self.random_state,
        )

    def _known_signs(self) -> dict[str, NDArray[np.int8]]:
        """Return the signs of the last fit, of units that still may flip."""
        known = getattr(self, "signs_", None) or {}
        all_or_none = isinstance(self.signed, (bool, np.bool_))
        names = (known if self.signed else ()) if all_or_none else self.signed
        return {name: signs for name, signs in known.items() if name in names}

    def transform(self, model: Any) -> Any:
        """Put the units of a network in the order found, with the signs found.

        Parameters
        ----------
        model : estimator, torch module or mapping
            The network of `fit`, or a later version of it.

        Returns
        -------
        estimator, torch module or dict
            A copy that computes the same.
        """
        check_is_fitted(self)
        weights = get_weights(model)
        return set_weights(
            model,
            apply_permutation(
                self.spec_, self.permutations_, weights, signs=self.signs_
            ),
        )

    def fit_transform(self, reference: Any, model: Any, X: Any = None) -> Any:
        """Match a network to the reference and put its units in order.

        Parameters
        ----------
        reference, model : estimator, torch module or mapping
            Network that stays, and the one whose units are put in order.
        X : array-like of shape (n_samples, n_features), default=None
            Rows, for method "activation" only.

        Returns
        -------
        estimator, torch module or dict
            A copy of `model` that computes the same.
        """
        return self.fit(reference, model, X).transform(model)
