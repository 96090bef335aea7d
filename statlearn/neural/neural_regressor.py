"""A scikit-learn regressor that trains a torch module."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags, column_or_1d

from statlearn.neural._estimators._estimator import NeuralEstimator
from statlearn.neural._estimators._fit_rows import FitRows
from statlearn.utils._sklearn import fit_context


class NeuralRegressor(RegressorMixin, NeuralEstimator):
    r"""Predict values with a torch module that is trained on weighted losses.

    The counterpart of :class:`NeuralClassifier` for one value or several. Rows and
    targets must be of the size of one: put a scaler before it, and
    :class:`~sklearn.compose.TransformedTargetRegressor` around it.

    Parameters
    ----------
    module : callable, torch.nn.Module or None, default=None
        What is trained. A callable gets the keywords `n_features` and `n_outputs`, the
        number of targets, if it takes them, and returns a module with values of shape
        (n, n_outputs), or (n,) for a single target. A module is copied with its
        weights. None stands for :class:`~statlearn.neural.models.MLP`. Rows are flat:
        flatten images, and let the module begin with ``torch.nn.Unflatten``.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Widths of the hidden layers of the MLP.
    loss : str or callable, default="auto"
        ``loss(values, targets)``, both of shape (n, n_outputs), with one loss for each
        row. By name there are "squared_error", which is also "auto", "absolute_error"
        and "huber"; a quantile of a single target is learnt by
        ``functools.partial(pinball, levels=[0.9])``.
    weighting : str, WeightingRule, callable or None, default=None
        A rule that weighs the rows of each batch by their losses.
    optimizer : {"adamw", "adamp", "sgd", "sgdp"}, class or callable, default="adamw"
        As in :class:`NeuralClassifier`.
    learning_rate : float, default=1e-3
        Largest step of an update.
    weight_decay : float, default=0.0
        What the optimizer calls so.
    schedule : {"linear", "cosine"}, callable or None, default=None
        Learning rate of each update, as in :class:`NeuralClassifier`.
    weight_map : callable or None, default=None
        ``weight_map(module)`` puts a map on weights before training.
    batch_size : int, default=128
        Rows of a batch; one or a few more where a single row would be left over, which
        has no variance for a batch normalisation.
    max_epochs : int, default=100
        Times that `fit` goes through the rows; a budget, without a warning at its end.
    early_stopping : bool, default=False
        Whether rows are held out, training ends when their R² no longer grows, and the
        weights of the best epoch are kept.
    validation_fraction : float, default=0.1
        Share of rows to hold out, in (0, 1).
    n_iter_no_change : int, default=10
        Epochs in a row without progress that end training.
    tol : float, default=1e-4
        Growth of R² that is progress.
    warm_start : bool, default=False
        Whether `fit` begins with the weights of the fit before.
    accumulate : int, default=1
        Batches of an update.
    clip_norm : float or None, default=None
        Largest norm of the gradient.
    device : str, torch.device or None, default=None
        Where to compute; None is the CPU.
    dtype : {"float32", "float64"}, default="float32"
        Type of rows, targets, weights and computations.
    precision : {"bf16", "fp16"} or None, default=None
        Half precision where training can do with it.
    checkpoint : path-like or None, default=None
        File that an interrupted `fit` goes on from, as in :class:`NeuralClassifier`.
    random_state : int, Generator, RandomState or None, default=None
        First weights, rows that are held out, and their order.

    Attributes
    ----------
    state_ : dict of str to ndarray
        The whole state of the module, that of maps included.
    history_ : dict of str to list
        Columns "epoch", "loss" and "learning_rate", and "validation_score" of a fit
        with early stopping; one entry an epoch.
    n_iter_ : int
        Epochs.
    n_outputs_ : int
        Outputs of the module, one a target.
    best_validation_score_ : float or None
        Largest R² on rows held out.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if the rows had any.

    See Also
    --------
    NeuralClassifier : For labels.
    statlearn.linear_model.ReweightedLinearRegression : Rules on residuals.
    sklearn.neural_network.MLPRegressor : An MLP without torch.

    Notes
    -----
    With base weights :math:`s_i` of mean one an update descends along the mean of
    :math:`s_i \ell_i(\theta)` over the rows of a batch; the loss of a row is by default
    :math:`\sum_{j=1}^m (f_j(x_i; \theta) - y_{ij})^2 / m` for m targets. What is said
    there of weights, state, pickles and costs holds for :class:`NeuralClassifier` and
    here.

    References
    ----------
    Ilya Loshchilov, Frank Hutter. Decoupled Weight Decay Regularization. ICLR, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.neural import NeuralRegressor
    >>> X = np.linspace(-1, 1, 400)[:, None]
    >>> y = np.column_stack([X[:, 0] ** 2, np.sin(3 * X[:, 0])])
    >>> model = NeuralRegressor(learning_rate=0.01, random_state=0).fit(X, y)
    >>> model.predict(X).shape, model.score(X, y) > 0.95
    ((400, 2), True)
    """

    _losses = ("squared_error", "absolute_error", "huber", "pinball")

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
            warm_start=warm_start,
            accumulate=accumulate,
            clip_norm=clip_norm,
            device=device,
            dtype=dtype,
            precision=precision,
            checkpoint=checkpoint,
            random_state=random_state,
        )

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralRegressor:
        """Go through rows once, with the optimizer as the last call left it.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position. Their mean is one in
            each call.

        Returns
        -------
        self : NeuralRegressor
            The estimator after the epoch.

        Raises
        ------
        ValueError
            For bad rows, targets or weights, another number of targets, or a schedule
            that needs to know its end.
        """
        first = not hasattr(self, "state_")
        self._check_parameters()
        dtype = self.dtype if first else self._dtype
        self._step(self._read(X, y, sample_weight, dtype, first=first), first)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted values.

        Parameters
        ----------
        X : array-like or sparse table of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        values : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of the shape of the targets.
        """
        values = self._outputs(X)
        return values[:, 0] if self._is_flat else values

    # -- parts of a fit ---------------------------------------------------------

    def _target_kind(self) -> dict[str, Any]:
        return {"multi_output": True, "y_numeric": True}

    def _encode(self, rows: FitRows, first: bool, classes: Any) -> FitRows:
        target = rows.target
        if target.ndim == 2 and target.shape[1] == 1:
            target = column_or_1d(target, warn=True)
        flat = target.ndim == 1
        kind = rows.table.X.dtype
        with np.errstate(over="ignore"):
            target = target.reshape(len(target), -1).astype(kind)
        if not np.isfinite(target).all():
            raise ValueError(
                f"The 'y' of {type(self).__name__} must be within the range of {kind}. "
                f"Got larger numbers; rescale them, or pass dtype='float64'."
            )
        if first:
            self.n_outputs_, self._is_flat = target.shape[1], flat
        elif target.shape[1] != self.n_outputs_:
            raise ValueError(
                f"The 'y' of {type(self).__name__} must have {self.n_outputs_} "
                f"targets, as in the call before. Got {target.shape[1]}; pass the same "
                f"targets, or fit anew."
            )
        return FitRows(rows.table, target, rows.weight)

    def _score_of(self, outputs: NDArray[Any], held: FitRows) -> float:
        return float(r2_score(held.target, outputs, sample_weight=held.weight))

    # -- files ------------------------------------------------------------------

    def _target_facts(self) -> dict[str, Any]:
        return {"flat": self._is_flat}

    def _from_target_facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        flat = facts["flat"]
        if not isinstance(flat, bool) or (flat and facts["n_outputs"] != 1):
            raise ValueError(f"flat={flat!r} with {facts['n_outputs']} outputs")
        return {"_is_flat": flat}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
