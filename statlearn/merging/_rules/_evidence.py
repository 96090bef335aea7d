"""What rows of data say about the weights of a fitted scikit-learn model.

Perceptrons and linear models are both stacks of linear layers: inputs times a matrix
plus a bias, an activation, and at the end a distribution of the target. Linear models
are stacks of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import is_classifier, is_regressor
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_array, check_is_fitted

from statlearn.merging._state._entry import Array

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
}
# Slopes of the activations, from their outputs.
_SLOPES: dict[str, Callable[[Array], Array]] = {
    "identity": np.ones_like,
    "logistic": lambda a: a * (1.0 - a),
    "tanh": lambda a: 1.0 - a * a,
    "relu": lambda a: (a > 0.0).astype(np.float64),
}
# Means of the target from the outputs of the last layer.
_MEANS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda z: z,
    "logistic": expit,
    "softmax": lambda z: softmax(z, axis=1),
    "exp": np.exp,
}


@dataclass(frozen=True, slots=True)
class _Layers:
    """A model as a stack of linear layers.

    Attributes
    ----------
    names : list of tuple of str
        Names of the matrix and the bias of each layer.
    matrices : list of ndarray of shape (n_inputs, n_outputs)
    biases : list of ndarray of shape (n_outputs,)
    activation, head : str
        Between the layers, and after the last one.
    """

    names: list[tuple[str, str]]
    matrices: list[Array]
    biases: list[Array]
    activation: str
    head: str

    def inputs(self, X: Array) -> tuple[list[Array], Array]:
        """Return the inputs of each layer, (n, d), and the outputs of the last."""
        found: list[Array] = []
        values = X
        for matrix, bias in zip(self.matrices, self.biases, strict=True):
            if found:
                values = _ACTIVATIONS[self.activation](values)
            found.append(values)
            values = values @ matrix + bias
        return found, values


def layer_grams(model: Any, X: Any) -> dict[str, Array]:
    r"""Return the mean products of the inputs of each layer of a fitted model.

    Parameters
    ----------
    model : estimator
        A fitted scikit-learn multilayer perceptron or linear model.
    X : array-like of shape (n_samples, n_features)
        Rows of the task that the model was tuned for; no targets are needed.

    Returns
    -------
    dict of str to ndarray of shape (n_inputs, n_inputs)
        Under the names of the weights, ``W0, W1, ...`` or ``coef_``.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If the model is of another kind.

    See Also
    --------
    regmean : The rule that takes them.
    sklearn.covariance.empirical_covariance : The same about the mean.

    Notes
    -----
    :math:`X_l^\top X_l / n` of the inputs :math:`X_l` of layer l, which are the outputs
    of the units before it.

    References
    ----------
    Xisen Jin, Xiang Ren, Daniel Preoţiuc-Pietro, Pengxiang Cheng. Dataless Knowledge
    Fusion by Merging Weights of Language Models. ICLR, 2023.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from statlearn.merging import layer_grams
    >>> model = Ridge().fit([[1.0, 0.0], [0.0, 2.0]], [1.0, 2.0])
    >>> layer_grams(model, [[1.0, 0.0], [0.0, 2.0]])["coef_"]
    array([[0.5, 0. ],
           [0. , 2. ]])
    """
    layers = read_layers(model, "layer_grams")
    inputs, _ = layers.inputs(read_rows(model, X, "layer_grams"))
    return {
        name: values.T @ values / len(values)
        for (name, _), values in zip(layers.names, inputs, strict=True)
    }


def fisher_information(model: Any, X: Any, y: Any = None) -> dict[str, Array]:
    r"""Return the diagonal Fisher information of the weights of a fitted model.

    Parameters
    ----------
    model : estimator
        A fitted scikit-learn multilayer perceptron, logistic regression, or regressor
        that predicts a linear function.
    X : array-like of shape (n_samples, n_features)
        Rows of the task that the model was tuned for.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets, for the empirical information. By default the expectation under what
        the model itself predicts is taken, which needs no targets.

    Returns
    -------
    dict of str to ndarray
        Mean squared gradients, in the names and shapes of the weights.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If the model is of another kind.
    ValueError
        If the targets do not fit the rows or the classes.

    See Also
    --------
    fisher_merge : The rule that takes it.
    torch.func.vmap : Gradients of single rows, for other networks.

    Notes
    -----
    With gradients for single rows, never for a batch,

    .. math:: F = \frac1n \sum_i \mathrm{E}_{y \sim p(\cdot \mid x_i)} \bigl[
              (\nabla_\theta \log p(y \mid x_i))^2 \bigr],

    or with the observed :math:`y_i` in place of the expectation. Targets of regressors
    count as normal with variance one, or Poisson for that loss. The gradient of a
    matrix for one row is an outer product, so its square is summed over rows by one
    product of squares: one backward pass an output, O(n_outputs) times a prediction.

    References
    ----------
    Michael Matena, Colin Raffel. Merging Models with Fisher-Weighted Averaging.
    NeurIPS, 2022.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from statlearn.merging import fisher_information
    >>> model = Ridge().fit([[1.0, 0.0], [0.0, 2.0]], [1.0, 2.0])
    >>> fisher_information(model, [[1.0, 0.0], [0.0, 2.0]])["coef_"]
    array([0.5, 2. ])
    """
    caller = "fisher_information"
    layers = read_layers(model, caller)
    rows = read_rows(model, X, caller)
    inputs, outputs = layers.inputs(rows)
    _likelihood(model, rows, outputs, caller)
    targets = None if y is None else _targets(model, y, outputs, caller)
    found: dict[str, Any] = dict.fromkeys(np.ravel(layers.names).tolist(), 0.0)
    for share, slope in _slopes_of_the_target(layers.head, outputs, targets):
        for layer in reversed(range(len(inputs))):
            weighted = share[:, None] * slope**2
            matrix, bias = layers.names[layer]
            found[matrix] = found[matrix] + (inputs[layer] ** 2).T @ weighted / len(
                rows
            )
            found[bias] = found[bias] + weighted.sum(axis=0) / len(rows)
            if layer:
                slope = slope @ layers.matrices[layer].T
                slope *= _SLOPES[layers.activation](inputs[layer])
    return _as_stored(model, found)


def _slopes_of_the_target(
    head: str, outputs: Array, targets: Array | None
) -> Iterator[tuple[Array, Array]]:
    """Yield shares (n,) and slopes (n, q) of the log-likelihood by the outputs.

    Each pair is a part of the expectation: one class, or one of the independent
    outputs, whose cross terms have mean zero.
    """
    means = _MEANS[head](outputs)
    if targets is not None:
        yield np.ones(len(outputs)), targets - means
        return
    directions = np.eye(outputs.shape[1])
    for output, direction in enumerate(directions):
        if head == "softmax":
            yield means[:, output], direction - means
            continue
        mean = means[:, output]
        variance = {"identity": np.ones_like(mean), "exp": mean}.get(
            head, mean * (1.0 - mean)
        )
        yield variance, np.tile(direction, (len(outputs), 1))


# --- models ------------------------------------------------------------------


def read_layers(model: Any, caller: str) -> _Layers:
    """Return a fitted model as layers, or say which models are understood."""
    check_is_fitted(model)
    if hasattr(model, "coefs_") and hasattr(model, "intercepts_"):
        n = len(model.coefs_)
        return _Layers(
            [(f"W{layer}", f"b{layer}") for layer in range(n)],
            [np.asarray(matrix, dtype=np.float64) for matrix in model.coefs_],
            [np.asarray(bias, dtype=np.float64) for bias in model.intercepts_],
            model.activation,
            model.out_activation_,
        )
    linear = hasattr(model, "coef_") and hasattr(model, "intercept_")
    if not linear:
        raise TypeError(
            f"{caller} expected a fitted linear model or multilayer perceptron of "
            f"scikit-learn. Got {type(model).__name__}; compute the arrays with the "
            "tools of its own library."
        )
    matrix = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64)).T
    bias = np.broadcast_to(np.asarray(model.intercept_, dtype=float), matrix.shape[1])
    head = "identity"
    if is_classifier(model):
        head = "softmax" if matrix.shape[1] > 1 else "logistic"
    return _Layers([("coef_", "intercept_")], [matrix], [bias], "identity", head)


def read_rows(model: Any, X: Any, caller: str) -> Array:
    """Return the rows as numbers, with the features of the model."""
    rows = check_array(X, dtype=np.float64, estimator=caller)
    features = getattr(model, "n_features_in_", rows.shape[1])
    if rows.shape[1] != features:
        raise ValueError(
            f"The 'X' of {caller} must have the {features} features of the model. Got "
            f"{rows.shape[1]}; pass the columns that it was fitted on."
        )
    return rows


def _likelihood(model: Any, rows: Array, outputs: Array, caller: str) -> None:
    """Refuse linear models whose outputs are not those of a known distribution."""
    if hasattr(model, "coefs_") or isinstance(model, LogisticRegression):
        return
    if is_regressor(model):
        predicted = np.reshape(model.predict(rows), outputs.shape)
        if np.allclose(predicted, outputs, rtol=1e-6, atol=1e-8):
            return
    raise TypeError(
        f"{caller} expected a model with a likelihood: a perceptron, a logistic "
        f"regression, or a regressor that predicts a linear function. Got "
        f"{type(model).__name__}; use 'layer_grams' with regmean, which needs none."
    )


def _targets(model: Any, y: Any, outputs: Array, caller: str) -> Array:
    """Return targets on the scale of the means of the outputs, (n, q)."""
    values = np.asarray(y)
    if len(values) != len(outputs):
        raise ValueError(
            f"The 'y' of {caller} must have a target for each of the {len(outputs)} "
            f"rows. Got {len(values)}; pass X and y of the same rows."
        )
    if is_classifier(model) and values.ndim == 1:
        classes = np.asarray(model.classes_)
        codes = np.searchsorted(classes, values).clip(max=len(classes) - 1)
        unknown = classes[codes] != values
        if unknown.any():
            raise ValueError(
                f"The 'y' of {caller} must hold classes of the model. Got "
                f"{values[unknown].tolist()[0]!r}, which is not among "
                f"{classes.tolist()}; pass the labels that it was fitted on, or None."
            )
        if outputs.shape[1] == 1:
            return codes[:, None].astype(np.float64)
        return np.eye(len(classes))[codes]
    if values.size != outputs.size:
        raise ValueError(
            f"The 'y' of {caller} must have {outputs.shape[1]} columns. Got shape "
            f"{values.shape}; pass the targets as in fit."
        )
    return values.reshape(outputs.shape).astype(np.float64)


def _as_stored(model: Any, found: dict[str, Any]) -> dict[str, Array]:
    """Return the arrays in the shapes in which the model has its weights."""
    if "coef_" not in found:
        return found
    intercept = np.asarray(found["intercept_"])
    shape = np.shape(model.intercept_)
    return {
        "coef_": found["coef_"].T.reshape(np.shape(model.coef_)),
        "intercept_": intercept.reshape(shape)
        if shape
        else np.asarray(intercept.sum()),
    }
