"""A scikit-learn classifier that trains a torch module."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets

from statlearn.neural._estimators._estimator import NeuralEstimator
from statlearn.neural._estimators._fit_checks import check_labels
from statlearn.neural._estimators._fit_rows import FitRows
from statlearn.utils._losses import positions
from statlearn.utils._sklearn import StrOptions, fit_context
from statlearn.utils._validation import apply_class_weight, require_two_classes

# Kinds of labels that JSON can hold.
_STORED = "biufU"
# Bytes of a label, beyond which a file would claim memory that its labels do not need.
_LONGEST = 2**16


class NeuralClassifier(ClassifierMixin, NeuralEstimator):
    r"""Classify rows with a torch module that is trained on weighted losses.

    For a module of your own, or an MLP, inside pipelines and searches, with what the
    training of networks here can do: rules that weigh rows by their losses, maps on
    weights, schedules, early stopping. Rows must be numbers of one scale: put a scaler
    before it.

    Parameters
    ----------
    module : callable, torch.nn.Module or None, default=None
        What is trained. A callable gets the keywords `n_features` and `n_outputs`, the
        number of classes, if it takes them, and returns a module with logits of shape
        (n, n_outputs). A module is copied with its weights, which is for tuning a model
        that you have. None stands for :class:`~statlearn.neural.models.MLP`. Rows are
        flat: flatten images, and let the module begin with ``torch.nn.Unflatten``.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Widths of the hidden layers of the MLP.
    loss : str or callable, default="auto"
        ``loss(logits, codes)`` with one loss for each row. By name there is
        "cross_entropy", which is also "auto"; options are given by
        :func:`functools.partial` of :func:`~statlearn.neural.losses.cross_entropy`.
    weighting : str, WeightingRule, callable or None, default=None
        A rule that weighs the rows of each batch by their losses, or by their labels.
    optimizer : {"adamw", "adamp", "sgd", "sgdp"}, class or callable, default="adamw"
        A class of torch optimizers gets `learning_rate` and `weight_decay`, any other
        callable only the parameters. The descents "sgd" and "sgdp" have momentum 0.9.
    learning_rate : float, default=1e-3
        Largest step of an update.
    weight_decay : float, default=0.0
        What the optimizer calls so.
    schedule : {"linear", "cosine"}, callable or None, default=None
        Learning rate of each update, ``step -> float``, step from 0, for example of
        :mod:`statlearn.schedules`. Names warm up to `learning_rate` and decay to a
        tenth of it. None keeps `learning_rate`.
    weight_map : callable or None, default=None
        ``weight_map(module)`` puts a map on weights before training, for example
        ``functools.partial(apply_bone, r=8)``.
    batch_size : int, default=128
        Rows of a batch; one or a few more where a single row would be left over, which
        has no variance for a batch normalisation.
    max_epochs : int, default=100
        Times that `fit` goes through the rows; a budget, without a warning at its end.
    early_stopping : bool, default=False
        Whether rows are held out, training ends when their accuracy no longer grows,
        and the weights of the best epoch are kept.
    validation_fraction : float, default=0.1
        Share of rows to hold out, in (0, 1), of every class.
    n_iter_no_change : int, default=10
        Epochs in a row without progress that end training.
    tol : float, default=1e-4
        Growth of the accuracy that is progress.
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights by class. "balanced" gives all classes the same
        total weight.
    warm_start : bool, default=False
        Whether `fit` begins with the weights of the fit before.
    accumulate : int, default=1
        Batches of an update.
    clip_norm : float or None, default=None
        Largest norm of the gradient.
    device : str, torch.device or None, default=None
        Where to compute; None is the CPU.
    dtype : {"float32", "float64"}, default="float32"
        Type of rows, weights and computations.
    precision : {"bf16", "fp16"} or None, default=None
        Half precision where training can do with it.
    checkpoint : path-like or None, default=None
        File that an interrupted `fit` goes on from when it is called again with the
        same rows and parameters; others are refused while it is there. It is removed
        when a fit is complete. Needs an integer `random_state`. Leave it out in
        searches, where all candidates would share one name.
    random_state : int, Generator, RandomState or None, default=None
        First weights, rows that are held out, and their order.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    state_ : dict of str to ndarray
        The whole state of the module, that of maps included. To change a part, put
        another array under its name: these cannot be written into.
    history_ : dict of str to list
        Columns "epoch", "loss" and "learning_rate", and "validation_score" of a fit
        with early stopping; one entry an epoch.
    n_iter_ : int
        Epochs.
    n_outputs_ : int
        Outputs of the module, one a class.
    best_validation_score_ : float or None
        Largest accuracy on rows held out.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if the rows had any.

    See Also
    --------
    NeuralRegressor : For values.
    statlearn.compose.LossReweighted : The same rules around other estimators.
    sklearn.neural_network.MLPClassifier : An MLP without torch.

    Notes
    -----
    With base weights :math:`s_i` of mean one, `sample_weight` times `class_weight`, an
    update descends along the mean of :math:`s_i \ell_i(\theta)` over the rows of a
    batch, so that the expected direction is that of the weighted loss of all rows. Rows
    without weight are left out. Integer weights lead to where repeated rows lead as
    steps become small, not to the same fit. A rule weighs the rows within each batch:
    base weights then act within batches too, and not between them.

    `state_` holds plain arrays, and the module is made again from the parameters when
    it is needed: so estimators can be pickled although modules with maps cannot, and
    `module` and `weight_map` must be functions that pickle finds by name. The module
    of a fit stays the same until the next one, whatever parameters are set meanwhile.
    ``partial_fit`` keeps the state of the optimizer, also over a pickle; changes of
    parameters reach it with the next ``fit``, and that of `dtype` predictions as well.
    After a call that fails the weights are those before it, but the optimizer begins
    anew, and so does the count of epochs. Results are the same for the same
    `random_state`, and the random numbers of torch outside are left alone; fits in
    several threads therefore wait for each other.

    An epoch costs a forward and a backward pass for each row; memory is that of the
    module, two or three times over, and of a dense batch of rows.

    References
    ----------
    Ilya Loshchilov, Frank Hutter. Decoupled Weight Decay Regularization. ICLR, 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from statlearn.neural import NeuralClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> network = NeuralClassifier(weighting="linupper", max_epochs=10, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network).fit(X[:1200], y[:1200])
    >>> model.score(X[1200:], y[1200:]) > 0.85
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **NeuralEstimator._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    _losses = ("cross_entropy",)

    def __init__(
        self,
        module=None,
        *,
        hidden_layer_sizes=(100,),
        loss="auto",
        weighting=None,
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.0,
        schedule=None,
        weight_map=None,
        batch_size=128,
        max_epochs=100,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        class_weight=None,
        warm_start=False,
        accumulate=1,
        clip_norm=None,
        device=None,
        dtype="float32",
        precision=None,
        checkpoint=None,
        random_state=None,
    ):
        super().__init__(
            module=module,
            hidden_layer_sizes=hidden_layer_sizes,
            loss=loss,
            weighting=weighting,
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            schedule=schedule,
            weight_map=weight_map,
            batch_size=batch_size,
            max_epochs=max_epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            class_weight=class_weight,
            warm_start=warm_start,
            accumulate=accumulate,
            clip_norm=clip_norm,
            device=device,
            dtype=dtype,
            precision=precision,
            checkpoint=checkpoint,
            random_state=random_state,
        )

    class_weight: Any
    classes_: NDArray[Any]

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> NeuralClassifier:
        """Go through rows once, with the optimizer as the last call left it.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Their labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed at the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position. Their mean is one in
            each call.

        Returns
        -------
        self : NeuralClassifier
            The estimator after the epoch.

        Raises
        ------
        ValueError
            For bad rows, labels or weights, no or other classes, "balanced" classes,
            or a schedule that needs to know its end.
        """
        first = not hasattr(self, "state_")
        self._check_parameters()
        self._check_call(classes, first)
        dtype = self.dtype if first else self._dtype
        rows = self._read(X, y, sample_weight, dtype, first=first, classes=classes)
        self._step(rows, first)
        return self

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return the logits of rows.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes)
            One for each class; for two classes the second minus the first, of shape
            (n_samples,).
        """
        logits = self._outputs(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Softmax of the logits, in the order of `classes_`.
        """
        return softmax(self._outputs(X), axis=1)

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return log_softmax(self._outputs(X), axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable classes.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Labels out of `classes_`.
        """
        best = self._outputs(X).argmax(axis=1)
        return self.classes_[best]

    # -- parts of a fit ---------------------------------------------------------

    def _check_call(self, classes: Any, first: bool) -> None:
        """Refuse what a call of partial_fit cannot do."""
        caller = f"{type(self).__name__}.partial_fit"
        if first and classes is None:
            raise ValueError(
                f"{caller} expected the 'classes' at its first call. Got None; pass "
                f"all labels that will ever come, for example np.unique(y)."
            )
        if classes is not None and not first:
            given = np.unique(np.asarray(classes))
            if not np.array_equal(given, self.classes_):
                raise ValueError(
                    f"The 'classes' of {caller} must be those of the first call, "
                    f"{self.classes_.tolist()}. Got {given.tolist()}; leave them out."
                )
        if self.class_weight == "balanced":
            raise ValueError(
                f"The 'class_weight' of {caller} must be a dict or None. Got "
                f"'balanced', which needs the rows of all calls; pass a dict."
            )

    def _check_targets(self, y: NDArray[Any]) -> None:
        check_labels(y, type(self).__name__)
        check_classification_targets(y)

    def _encode(self, rows: FitRows, first: bool, classes: Any) -> FitRows:
        caller, labels = type(self).__name__, rows.target
        if first:
            known = np.unique(labels if classes is None else np.asarray(classes))
            require_two_classes(
                known, np.arange(len(known)), np.ones(len(known)), caller
            )
            self.classes_, self.n_outputs_ = known, len(known)
        codes = positions(self.classes_, labels)
        weight = rows.weight
        if self.class_weight is not None:
            weight = apply_class_weight(
                self.class_weight,
                self.classes_,
                codes,
                np.ones(len(codes)) if weight is None else weight,
                caller,
            )
            if not weight.any():
                raise ValueError(
                    f"The 'class_weight' of {caller} must leave rows with a weight. "
                    f"Got {self.class_weight!r}, which is 0 for all classes of these "
                    f"rows; leave such rows out."
                )
        return FitRows(rows.table, codes, weight).counted()

    def _score_of(self, outputs: NDArray[Any], held: FitRows) -> float:
        best = outputs.argmax(axis=1)
        return float(accuracy_score(held.target, best, sample_weight=held.weight))

    # -- files ------------------------------------------------------------------

    def _target_facts(self) -> dict[str, Any]:
        classes = self.classes_
        if not _can_be_stored(classes):
            raise TypeError(
                f"The labels of {type(self).__name__} must be numbers or strings to be "
                f"saved. Got dtype {classes.dtype}; fit to such labels."
            )
        return {"classes": classes.tolist(), "classes_dtype": classes.dtype.str}

    def _from_target_facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        given, dtype = facts["classes"], np.dtype(facts["classes_dtype"])
        if dtype.itemsize > _LONGEST:
            raise ValueError(f"labels of dtype {dtype}")
        classes = np.array(given, dtype=dtype)
        # In the order of their codes, each once, none NaN.
        known = _can_be_stored(classes) and np.array_equal(classes, np.unique(classes))
        if not known or classes.tolist() != given or len(given) != facts["n_outputs"]:
            raise ValueError(f"labels {given!r} of dtype {dtype}")
        return {"classes_": classes}


def _can_be_stored(classes: NDArray[Any]) -> bool:
    """Return whether JSON can hold labels and give them back."""
    words = classes.dtype.kind == "O" and all(isinstance(c, str) for c in classes.flat)
    return words or classes.dtype.kind in _STORED
