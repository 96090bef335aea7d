"""Merge rules that look at data: Fisher averaging and RegMean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, solve

from statlearn.merging._rules._model_weights import model_shares
from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._entry import Array, Entry
from statlearn.merging._state._layouts import (
    State,
    check_finite,
    check_models,
    layout,
    listed,
)
from statlearn.merging._state._merge_states import merge_states
from statlearn.utils._numbers import closed_share, positive_number

_RULES = {
    "fishers": "fisher_information(model, X)",
    "grams": "layer_grams(model, X)",
}


def fisher_merge(
    base: State,
    models: Sequence[State],
    *,
    fishers: Sequence[State],
    weights: Sequence[float] | None = None,
    normalize: bool = False,
    eps: float = 1e-6,
) -> dict[str, Any]:
    r"""Average each number by how well the data of each model determine it (Fisher).

    A weight that one task needs and another does not is taken from the former. Needs
    some rows of each task, see :func:`fisher_information`.

    Parameters
    ----------
    base : mapping of str to array or tensor
        Gives names, data types and what is not merged; its weights do not count.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    fishers : sequence of mappings of str to array or tensor
        Diagonal Fisher information of each model, at least 0, under names of the
        models and in their shapes. Arrays without one are averaged.
    weights : sequence of float of length n_models, default=None
        Further weights of the models, at least 0; ones for None.
    normalize : bool, default=False
        Whether to divide the information of each model by its norm over all arrays, so
        that models with large gradients do not prevail.
    eps : float, default=1e-6
        Added to all information, positive: numbers that no model determines are
        averaged.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If the information does not fit the models, is negative or not finite, weights
        are negative or all zero, or names or shapes differ.

    See Also
    --------
    fisher_information : The information of scikit-learn models.
    regmean : Takes the products of whole layers into account.
    torch.func.vmap : Gradients of single rows, for other networks.

    Notes
    -----
    With information :math:`F_t` and weights :math:`c_t`, number by number,

    .. math:: \theta = \frac{\sum_t c_t (F_t + \epsilon)\, \theta_t}
                            {\sum_t c_t (F_t + \epsilon)}.

    :math:`F_t` is the mean of squared gradients of single rows; the square of a summed
    gradient is something else, and about zero at an optimum. One pass over the numbers.

    References
    ----------
    Michael Matena, Colin Raffel. Merging Models with Fisher-Weighted Averaging.
    NeurIPS, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import fisher_merge
    >>> models = [{"w": np.array([0.0, 0.0])}, {"w": np.array([1.0, 1.0])}]
    >>> fishers = [{"w": np.array([1.0, 3.0])}, {"w": np.array([1.0, 1.0])}]
    >>> fisher_merge(models[0], models, fishers=fishers)["w"].round(3)
    array([0.5 , 0.25])
    """
    rule = "fisher_merge"
    check_models(base, models, rule)
    shares = model_shares(weights, len(models), rule)
    floor = positive_number(eps, "eps", rule, "pass 1e-6")
    arrays = _companions(fishers, len(models), "fishers", rule)
    _check_fishers(arrays, base, rule)
    pulls = shares
    if normalize:
        pulls = shares / np.array([_norm(information) or 1.0 for information in arrays])

    def kernel(entry: Entry) -> NDArray[Any]:
        merged = np.empty(entry.size, dtype=entry.base.dtype)
        known = entry.name in arrays[0]
        found = [fisher[entry.name].reshape(-1) for fisher in arrays] if known else []
        for block in entry.blocks():
            updates = entry.updates(block)
            pull = np.full_like(updates, floor)
            for row, information in zip(pull, found, strict=False):
                row += information[block]
            pull *= pulls[:, None]
            updates *= pull
            merged[block] = entry.start(block) + updates.sum(axis=0) / pull.sum(axis=0)
        return merged

    return merge_states(base, models, kernel, rule=rule, shares=shares)


def regmean(
    base: State,
    models: Sequence[State],
    *,
    grams: Sequence[State],
    weights: Sequence[float] | None = None,
    off_diagonal: float = 1.0,
    eps: float = 1e-6,
    layout: str = "torch",
) -> dict[str, Any]:
    r"""Merge linear layers so that their outputs stay close to those of each model.

    The layer of least squares between the outputs of the models, each on inputs of its
    own task. Needs some rows of each task, see :func:`layer_grams`; often the best rule
    where there are such rows.

    Parameters
    ----------
    base : mapping of str to array or tensor
        Gives names, data types and what is not merged; its weights do not count.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    grams : sequence of mappings of str to array or tensor
        For each model the mean products of the inputs of its layers, of shape
        (n_inputs, n_inputs) under the names of their weights. Other arrays are
        averaged.
    weights : sequence of float of length n_models, default=None
        Weights of the models, at least 0; ones for None.
    off_diagonal : float, default=1.0
        Share of the products of different inputs that is kept, in [0, 1]; 0.9 is a
        common choice for few rows.
    eps : float, default=1e-6
        Ridge towards the average, as a multiple of the mean diagonal, positive: what no
        input reaches is averaged.
    layout : {"torch", "sklearn"}, default="torch"
        Whether weights have shape (n_outputs, n_inputs) as in torch, or (n_inputs,
        n_outputs) as the ``W0, W1, ...`` of a scikit-learn perceptron. The ``coef_`` of
        a linear model has its inputs last in both.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If the products do not fit the models or are not finite, a parameter is out of
        range, or names or shapes differ.

    See Also
    --------
    layer_grams : The products of scikit-learn models.
    fisher_merge : Weighs single numbers.
    scipy.linalg.solve : The linear system behind it.

    Notes
    -----
    With :math:`\hat G_t = \alpha X_t^\top X_t / n_t + (1 - \alpha)\,\mathrm{diag}(X_t^
    \top X_t / n_t)` of the inputs of a layer with weights :math:`W_t` (inputs first),

    .. math:: W = \Bigl(\sum_t \hat G_t\Bigr)^{-1} \sum_t \hat G_t W_t .

    The system is solved for the difference from the average, with a small ridge, so
    that units without any input take the average. Costs :math:`O(d^3)` for d inputs.

    References
    ----------
    Xisen Jin, Xiang Ren, Daniel Preoţiuc-Pietro, Pengxiang Cheng. Dataless Knowledge
    Fusion by Merging Weights of Language Models. ICLR, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import regmean
    >>> models = [{"w": np.array([[0.0, 0.0]])}, {"w": np.array([[1.0, 1.0]])}]
    >>> grams = [{"w": np.diag([1.0, 3.0])}, {"w": np.diag([1.0, 1.0])}]
    >>> regmean(models[0], models, grams=grams)["w"].round(3)
    array([[0.5 , 0.25]])
    """
    rule = "regmean"
    check_models(base, models, rule)
    shares = model_shares(weights, len(models), rule)
    kept = closed_share(off_diagonal, "off_diagonal", rule, "pass 1.0 or 0.9")
    ridge = positive_number(eps, "eps", rule, "pass 1e-6")
    if layout not in ("torch", "sklearn"):
        raise ValueError(
            f"The 'layout' of {rule} must be 'torch' or 'sklearn'. Got {layout!r}; "
            "pass 'torch' for weights of shape (n_outputs, n_inputs)."
        )
    arrays = _companions(grams, len(models), "grams", rule)
    _check_grams(arrays, base, layout, rule)

    def kernel(entry: Entry) -> NDArray[Any]:
        if entry.name not in arrays[0]:
            return _averaged(entry, shares)
        products = [
            share * g[entry.name] for share, g in zip(shares, arrays, strict=True)
        ]
        first = not _inputs_last(entry.name, layout)
        return _least_squares(entry, products, shares, kept, ridge, first)

    return merge_states(base, models, kernel, rule=rule, shares=shares)


def _least_squares(
    entry: Entry,
    products: list[Array],
    shares: Array,
    kept: float,
    ridge: float,
    inputs_first: bool,
) -> NDArray[Any]:
    """Return the layer of least squares, in the shape of the entry."""

    def matrix(values: Array) -> Array:
        shaped = values.reshape(entry.shape)
        if shaped.ndim < 2 or inputs_first:
            return shaped
        return shaped.T

    values = entry.values()
    average = matrix(shares @ values)
    total = np.zeros(products[0].shape)
    right = np.zeros(average.shape)
    for product, value in zip(products, values, strict=True):
        shrunk = kept * product
        np.fill_diagonal(shrunk, np.diag(product))
        total += shrunk
        right += shrunk @ (matrix(value) - average)
    level = float(np.trace(total)) / len(total)
    if level > 0.0:
        total[np.diag_indices_from(total)] += ridge * level
        average = average + _solved(total, right)
    return average if average.ndim < 2 or inputs_first else average.T


def _solved(total: Array, right: Array) -> Array:
    """Solve with a matrix that is positive definite by the ridge, or nearly so."""
    try:
        solution: Array = solve(total, right, assume_a="pos")
    except LinAlgError:
        # Rounding of products in few digits can be larger than the ridge.
        solution = solve(total, right, assume_a="sym")
    return solution


def _averaged(entry: Entry, shares: Array) -> NDArray[Any]:
    merged = np.empty(entry.size, dtype=entry.base.dtype)
    for block in entry.blocks():
        merged[block] = entry.start(block) + shares @ entry.updates(block)
    return merged


def _inputs_last(name: str, layout: str) -> bool:
    return layout == "torch" or name.rpartition(".")[2] == "coef_"


# --- checks ------------------------------------------------------------------


def _companions(
    states: Any, n_models: int, name: str, rule: str
) -> list[dict[str, NDArray[Any]]]:
    """Return one dict of finite arrays a model, all under the same names."""
    usable = isinstance(states, Sequence) and all(
        isinstance(s, Mapping) for s in states
    )
    if not usable:
        raise TypeError(
            f"The '{name}' of {rule} must be a list of dicts of arrays, one a model. "
            f"Got {type(states).__name__}; pass [{_RULES[name]}, ...]."
        )
    if len(states) != n_models:
        raise ValueError(
            f"The '{name}' of {rule} must be one dict a model, {n_models} in all. Got "
            f"{len(states)}; pass them in the order of the models."
        )
    for position, state in enumerate(states):
        layout(state, f"number {position} of the '{name}'", rule)  # real numbers
    arrays = [{key: to_array(value) for key, value in s.items()} for s in states]
    for position, state in enumerate(arrays):
        odd = sorted(state.keys() ^ arrays[0].keys())
        if odd:
            raise ValueError(
                f"The '{name}' of {rule} must have the same names for all models. Got "
                f"{listed(odd)} not both in number 0 and number {position}; add them "
                "everywhere or take them out."
            )
        for key, array in state.items():
            if array.dtype.kind == "f":
                check_finite(array, key, f"number {position} of the '{name}'")
    return arrays


def _check_fishers(arrays: list[dict[str, Any]], base: State, rule: str) -> None:
    """Refuse information of other shapes than the weights, or below zero."""
    for name in arrays[0].keys() & base.keys():
        shape = tuple(np.shape(base[name]))
        for fisher in arrays:
            problem = None
            if fisher[name].shape != shape:
                problem = f"shape {fisher[name].shape}"
            elif fisher[name].min(initial=0.0) < 0.0:
                problem = f"{fisher[name].min()}"
            if problem:
                raise ValueError(
                    f"The 'fishers' of {rule} must be >= 0 in the shapes of the "
                    f"weights. Got {problem} for {name!r} of shape {shape}; average "
                    "squared gradients of rows."
                )


def _check_grams(
    arrays: list[dict[str, Any]], base: State, layout: str, rule: str
) -> None:
    """Refuse products that do not fit the inputs of a layer."""
    for name in arrays[0].keys() & base.keys():
        shape = tuple(np.shape(base[name]))
        inputs = shape[-1 if _inputs_last(name, layout) else 0] if shape else 0
        for gram in arrays:
            if len(shape) > 2 or gram[name].shape != (inputs, inputs) or not inputs:
                raise ValueError(
                    f"The 'grams' of {rule} must have shape (n_inputs, n_inputs) for "
                    f"weights of at most two axes. Got {gram[name].shape} for {name!r} "
                    f"of shape {shape}; check the layout, {layout!r} here."
                )


def _norm(information: Mapping[str, NDArray[Any]]) -> float:
    """Return the norm over all arrays together."""
    squares = [
        np.einsum("i,i->", flat, flat, dtype=np.float64)
        for flat in (array.reshape(-1) for array in information.values())
    ]
    return float(np.sqrt(sum(squares)))
