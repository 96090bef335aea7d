"""What a fit of a neural estimator refuses before any work."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from torch import Tensor

from statlearn.neural import losses
from statlearn.utils._numbers import is_integer
from statlearn.utils._rules import kind_of
from statlearn.weights import get_rule


def read_loss(
    loss: Any, known: Collection[str], caller: str
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a loss of the outputs of an estimator and its targets.

    Parameters
    ----------
    loss : str or callable
    known : collection of str
        Losses of this package that fit, the usual one first.
    caller : str
        Class name for messages.
    """
    if loss == "auto":
        loss = next(iter(known))
    name = loss if isinstance(loss, str) else _name_of(loss)
    if name in losses.list_losses() and name not in known:
        raise ValueError(
            f"The 'loss' of {caller} must be one for its outputs and targets: "
            f"{', '.join(map(repr, known))}, or a function of your own. Got {name!r}, "
            f"for targets of another kind; pass one of these."
        )
    needed = _needed(loss) if isinstance(loss, str) and loss in known else []
    if needed:
        options = ", ".join(f"{option}=..." for option in needed)
        raise TypeError(
            f"The 'loss' of {caller} must have its options. Got {loss!r}, which needs "
            f"{needed}; pass functools.partial({loss}, {options}) of the function in "
            f"statlearn.neural.losses."
        )
    return losses.get_loss(loss)


def _name_of(loss: Any) -> str | None:
    """Return the name of a loss of this package, with options or not."""
    while isinstance(loss, partial):
        loss = loss.func
    name = getattr(loss, "__name__", None)
    ours = name in losses.list_losses() and getattr(losses, name) is loss
    return name if ours else None


def _needed(name: str) -> list[str]:
    """Return the options that a loss has no default of."""
    _, _, *options = inspect.signature(getattr(losses, name)).parameters.values()
    return [option.name for option in options if option.default is option.empty]


def check_weighting(estimator: Any) -> None:
    """Refuse a rule on what the rows of an estimator do not have."""
    weighting, caller = estimator.weighting, type(estimator).__name__
    kind = None if weighting is None else kind_of(get_rule(weighting))
    if kind == "residual" or (kind == "group" and not is_classifier(estimator)):
        kinds = "losses or labels" if is_classifier(estimator) else "losses"
        raise ValueError(
            f"The 'weighting' of {caller} must be a rule on {kinds}. Got "
            f"{weighting!r}, a rule on {kind}s; pass for example 'linupper'."
        )


def check_seed(estimator: Any) -> None:
    """Refuse a checkpoint of a fit that could not be taken up."""
    if estimator.checkpoint is not None and not is_integer(estimator.random_state):
        raise ValueError(
            f"The 'random_state' of {type(estimator).__name__} must be an integer with "
            f"a checkpoint, so that a fit that is taken up again draws the same. Got "
            f"{estimator.random_state!r}; pass for example 0."
        )


def check_axes(X: Any, caller: str) -> None:
    """Refuse rows of more than one axis, such as images."""
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) > 2:
        raise ValueError(
            f"The 'X' of {caller} must be a table of rows, shape (n_samples, "
            f"n_features). Got shape {shape}; pass X.reshape(len(X), -1), and begin "
            f"the module with torch.nn.Unflatten(1, {shape[1:]})."
        )


def check_labels(y: NDArray[Any], caller: str) -> None:
    """Refuse labels of several kinds, which have no order."""
    if y.dtype.kind != "O":
        return
    try:
        np.unique(y)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in y.ravel()})
        raise TypeError(
            f"The labels of {caller} must be of one kind, all numbers or all texts. "
            f"Got {' and '.join(kinds)}; convert them, for example with "
            f"y.astype(str)."
        ) from None
