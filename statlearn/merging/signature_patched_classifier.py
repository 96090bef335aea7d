"""A classifier with one removable patch for each corruption it may meet."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.neural_network import MLPClassifier
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from statlearn.merging._signatures._corruptions import corrupt
from statlearn.merging._signatures._patching import apply_signature
from statlearn.merging._signatures._weight_signature import weight_signature
from statlearn.utils._delegate import estimator_has
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import HasMethods, Interval, fit_context


class SignaturePatchedClassifier(ClassifierMixin, BaseEstimator):
    """Train a classifier, and signatures that make it robust to corruptions.

    A base is trained on clean rows. Copies of it go on training, on clean rows and on
    rows with each corruption, with the same batches. What a corruption adds beyond
    clean training is its signature, a patch that :meth:`patch` puts on the clean model
    and :meth:`unpatch` takes away. Use it when corruptions come and go, and one model
    that is robust to all of them would lose too much on clean rows.

    Parameters
    ----------
    estimator : estimator with ``partial_fit``, default=None
        Classifier whose weights :func:`get_weights` reads. None is
        ``MLPClassifier(random_state=random_state)``.
    corruptions : sequence of str, or mapping of str to callable
        Names of :func:`corrupt`, or functions ``corruption(X, rng)`` on rows by name.
    n_epochs : int, default=20
        Passes over the rows after the base, ``partial_fit`` calls, of each copy.
    layers : int, float or sequence of str, default=None
        Layers that get signatures, see :func:`weight_signature`.
    alpha : float, default=1.0
        Strength of a patch, shared equally when several are on.
    active : sequence of str, default=()
        Patches that are on after `fit`.
    random_state : int, Generator, RandomState or None, default=None
        Randomness of corruptions and of the default estimator.

    Attributes
    ----------
    estimator_ : estimator
        The clean model with the patches that are on.
    base_estimator_, clean_estimator_ : estimator
        The common start, and the model that was trained on with clean rows.
    robust_estimators_ : dict of str to estimator
        Models that were trained on with corrupted rows.
    signatures_ : dict of str to WeightSignature
        Signature of each corruption.
    active_ : tuple of str
        Patches that are on.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Columns of the rows.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if the rows had string names.

    See Also
    --------
    weight_signature : The step that extracts a signature, for any models.
    patched : Put a patch on any model for a while.
    sklearn.neural_network.MLPClassifier : The classifier inside by default.

    Notes
    -----
    With c corruptions `fit` costs one fit of the estimator and (1 + c) `n_epochs`
    passes; a patch costs one pass over the weights. The arithmetic needs models that
    stay close to one another: small steps from a base that has learnt the task.

    References
    ----------
    R. Cai, Z. Zhang, Z. Wang. "Robust Weight Signatures: Gaining Robustness as Easy as
    Patching Weights?". ICML 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neural_network import MLPClassifier
    >>> from statlearn.merging import SignaturePatchedClassifier, corrupt
    >>> X, y = load_digits(return_X_y=True)
    >>> network = MLPClassifier((32,), max_iter=50, tol=0.01, random_state=0)
    >>> model = SignaturePatchedClassifier(network, ["contrast"], random_state=0)
    >>> model = model.fit(X / 16, y)
    >>> grey = corrupt(X / 16, "contrast")
    >>> clean, patched = model.score(grey, y), model.patch("contrast").score(grey, y)
    >>> bool(clean < patched)
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "partial_fit", "predict"]), None],
        "corruptions": ["array-like", Mapping],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "layers": [Interval(Real, 0, None, closed="neither"), "array-like", str, None],
        "alpha": [Interval(Real, None, None, closed="neither")],
        "active": ["array-like"],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        estimator=None,
        corruptions=("gaussian_noise",),
        *,
        n_epochs=20,
        layers=None,
        alpha=1.0,
        active=(),
        random_state=None,
    ):
        self.estimator = estimator
        self.corruptions = corruptions
        self.n_epochs = n_epochs
        self.layers = layers
        self.alpha = alpha
        self.active = active
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any) -> SignaturePatchedClassifier:
        """Train the base, the clean and the robust models, and take signatures.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Clean rows.
        y : array-like of shape (n_samples,)
            Class labels.

        Returns
        -------
        self : SignaturePatchedClassifier
            The fitted classifier, with the `active` patches on.

        Raises
        ------
        ValueError
            If there are no corruptions, or names of corruptions are unknown.
        """
        corruptions = self._functions()
        self._check_names(self.active, corruptions)
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        rng = as_generator(self.random_state)
        estimator = self.estimator
        if estimator is None:
            estimator = MLPClassifier(random_state=int(rng.integers(2**31)))
        self.base_estimator_ = clone(estimator).fit(X, y)
        self.classes_ = self.base_estimator_.classes_
        self.clean_estimator_ = self._train_on(X, y)
        self.robust_estimators_ = {
            name: self._train_on(corruption(X, rng), y)
            for name, corruption in corruptions.items()
        }
        self.signatures_ = {
            name: weight_signature(
                robust, self.clean_estimator_, self.base_estimator_, layers=self.layers
            )
            for name, robust in self.robust_estimators_.items()
        }
        return self.patch(*self.active) if len(self.active) else self.unpatch()

    def patch(
        self, *names: str, alpha: float | Sequence[float] | None = None
    ) -> SignaturePatchedClassifier:
        """Put patches on the clean model, in place of those that were on.

        Parameters
        ----------
        *names : str
            Corruptions to be robust to; none means all.
        alpha : float or sequence of float, default=None
            Strength of all or of each; None is the classifier's own `alpha`, divided by
            the number of patches.

        Returns
        -------
        self : SignaturePatchedClassifier
            The classifier with these patches.

        Raises
        ------
        ValueError
            If a corruption is unknown.
        """
        check_is_fitted(self)
        self._check_names(names, self.signatures_)
        chosen = names or tuple(self.signatures_)
        strength = self.alpha / len(chosen) if alpha is None else alpha
        self.estimator_ = apply_signature(
            self.clean_estimator_,
            *(self.signatures_[name] for name in chosen),
            alpha=strength,
        )
        self.active_ = tuple(chosen)
        return self

    def unpatch(self) -> SignaturePatchedClassifier:
        """Take all patches away, which leaves the clean model to the bit.

        Returns
        -------
        self : SignaturePatchedClassifier
            The classifier without patches.
        """
        check_is_fitted(self, "clean_estimator_")
        self.estimator_, self.active_ = self.clean_estimator_, ()
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the classes that the model with its patches predicts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        rows = self._read(X)
        return np.asarray(self.estimator_.predict(rows))

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probabilities that the model with its patches predicts.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`.
        """
        rows = self._read(X)
        return np.asarray(self.estimator_.predict_proba(rows))

    def _read(self, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return np.asarray(rows)

    def _train_on(self, X: NDArray[Any], y: NDArray[Any]) -> Any:
        """Return a copy of the base after more epochs, all copies in one row order."""
        model = copy.deepcopy(self.base_estimator_)
        for _ in range(self.n_epochs):
            model.partial_fit(X, y)
        return model

    def _functions(self) -> dict[str, Callable[..., NDArray[Any]]]:
        """Return the corruptions by name, as functions of rows and a generator."""
        if isinstance(self.corruptions, Mapping):
            functions = dict(self.corruptions)
        else:
            functions = {name: _named(name) for name in self.corruptions}
        if not functions:
            raise ValueError(
                "The 'corruptions' of SignaturePatchedClassifier must be at least one. "
                "Got none; pass for example ['gaussian_noise']."
            )
        return functions

    def _check_names(self, names: Sequence[str], known: Mapping[str, Any]) -> None:
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(
                "Patches of SignaturePatchedClassifier go by the names of its "
                f"corruptions, {', '.join(known)}. Got {unknown[0]!r}; pass some of "
                "these names."
            )


def _named(kind: str) -> Callable[..., NDArray[Any]]:
    return lambda X, rng: corrupt(X, kind, random_state=rng)
