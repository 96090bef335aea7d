"""Losses of predicted values and quantiles."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from statlearn.neural.losses._loss_rows import pair, row_mean
from statlearn.utils._levels import read_levels
from statlearn.utils._numbers import positive_number


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the squared error of each sample, a mean over its outputs.

    Parameters
    ----------
    prediction : Tensor of shape (n,) or (n, n_outputs)
        Predicted values.
    target : Tensor of the shape of `prediction`
        Observed values.

    Returns
    -------
    losses : Tensor of shape (n,)
        Without a factor 1/2, in squared units of the target.

    Raises
    ------
    ValueError
        If shapes disagree. A column (n, 1) may meet a vector (n,).

    See Also
    --------
    huber : Linear for large errors.
    torch.nn.functional.mse_loss : Its mean over samples.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.losses import squared_error
    >>> squared_error(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.zeros(2, 2))
    tensor([2.5000, 0.0000])
    """
    prediction, target = pair(prediction, target, "squared_error")
    return row_mean(F.mse_loss(prediction, target, reduction="none"))


def absolute_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the absolute error of each sample, a mean over its outputs.

    Parameters
    ----------
    prediction : Tensor of shape (n,) or (n, n_outputs)
        Predicted values.
    target : Tensor of the shape of `prediction`
        Observed values.

    Returns
    -------
    losses : Tensor of shape (n,)
        In units of the target. The gradient at error 0 is 0.

    Raises
    ------
    ValueError
        If shapes disagree. A column (n, 1) may meet a vector (n,).

    See Also
    --------
    pinball : Half of it at level 0.5, and other quantiles.
    torch.nn.functional.l1_loss : Its mean over samples.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.losses import absolute_error
    >>> absolute_error(torch.tensor([1.0, -2.0]), torch.zeros(2))
    tensor([1., 2.])
    """
    prediction, target = pair(prediction, target, "absolute_error")
    return row_mean(F.l1_loss(prediction, target, reduction="none"))


def huber(prediction: Tensor, target: Tensor, *, delta: float = 1.0) -> Tensor:
    r"""Return the Huber loss of each sample, a mean over its outputs.

    Parameters
    ----------
    prediction : Tensor of shape (n,) or (n, n_outputs)
        Predicted values.
    target : Tensor of the shape of `prediction`
        Observed values.
    delta : float, default=1.0
        Size of the error, in units of the target, from which on the loss is linear.

    Returns
    -------
    losses : Tensor of shape (n,)
        In squared units of the target.

    Raises
    ------
    ValueError
        If `delta` is not positive or shapes disagree. A column (n, 1) may meet a vector
        (n,).

    See Also
    --------
    squared_error : Twice the same for errors below `delta`.
    torch.nn.functional.huber_loss : Its mean over samples.

    Notes
    -----
    An error e has the loss

    .. math:: \tfrac12 e^2 \;\text{if}\; |e| \le \delta, \qquad
              \delta\,(|e| - \tfrac12 \delta) \;\text{otherwise} .

    References
    ----------
    Peter J. Huber. Robust Estimation of a Location Parameter. Annals of Mathematical
    Statistics 35, 1964.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.losses import huber
    >>> huber(torch.tensor([0.5, 3.0]), torch.zeros(2))
    tensor([0.1250, 2.5000])
    """
    bend = positive_number(delta, "delta", "huber", "pass for example 1")
    prediction, target = pair(prediction, target, "huber")
    return row_mean(F.huber_loss(prediction, target, reduction="none", delta=bend))


def pinball(prediction: Tensor, target: Tensor, levels: Any) -> Tensor:
    r"""Return the pinball loss of each sample, a mean over levels and outputs.

    Parameters
    ----------
    prediction : Tensor of shape (n, q) or (n, n_outputs, q)
        Predicted quantiles, levels last.
    target : Tensor of shape (n,), (n, 1) or (n, n_outputs)
        Observed values.
    levels : array-like of shape (q,)
        Levels of the quantiles, strictly increasing in (0, 1).

    Returns
    -------
    losses : Tensor of shape (n,)
        In units of the target. The gradient at error 0 is 0.

    Raises
    ------
    ValueError
        If levels are unsorted or outside (0, 1), or shapes disagree.

    See Also
    --------
    statlearn.metrics.pinball_loss : The mean over samples, on arrays.
    absolute_error : Twice the loss at level 0.5.

    Notes
    -----
    An error e = target minus prediction at level t has the loss

    .. math:: \max\{t\,e,\; (t - 1)\,e\} .

    References
    ----------
    Roger Koenker, Gilbert Bassett. Regression Quantiles. Econometrica 46, 1978.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.losses import pinball
    >>> quantiles = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
    >>> pinball(quantiles, torch.tensor([1.0, 3.0]), levels=[0.25, 0.75])
    tensor([0.2500, 1.0000])
    """
    found = read_levels(levels, "pinball")
    if prediction.ndim == 2 and target.ndim == 1:
        target = target[:, None]
    q = len(found)
    outputs = (*prediction.shape[:-1], *([1] if prediction.ndim == 2 else []))
    has_levels = prediction.ndim >= 2 and prediction.shape[-1] == q
    if not has_levels or tuple(target.shape) != outputs:
        raise ValueError(
            f"The 'prediction' of pinball must have one column for each of {q} levels, "
            f"last, and the 'target' one value for them all. Got shapes "
            f"{tuple(prediction.shape)} and {tuple(target.shape)}; let the model "
            f"return (n, {q}) for a target (n,)."
        )
    level = torch.as_tensor(found, dtype=prediction.dtype, device=prediction.device)
    error = target[..., None].to(prediction.dtype) - prediction.reshape(*outputs, q)
    return row_mean(F.relu(error) * level + F.relu(-error) * (1.0 - level))
