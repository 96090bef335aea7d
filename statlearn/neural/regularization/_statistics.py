"""How the weights of a model are distributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from statlearn.neural._select import Selector, select, select_masks
from statlearn.neural.regularization._compand import LAYERS, check_values
from statlearn.utils._numbers import real_number


@torch.no_grad()
def weight_statistics(
    module: nn.Module,
    tol: float = 1e-2,
    *,
    include: Selector | Mapping[str, Any] = None,
    exclude: Selector = None,
) -> dict[str, dict[str, float]]:
    """Describe the weights that the layers of a model use, through maps or without.

    Parameters
    ----------
    module : Module
        The model.
    tol : float, default=1e-2
        Size, not negative, below which a weight counts as near zero.
    include, exclude : str, pattern, callable or list of these, default=None
        Names of layers, globs, compiled patterns or predicates; None includes every
        linear and convolution layer. A mapping of names to boolean masks includes the
        weights where a mask is true, such as those that pruning left.

    Returns
    -------
    dict of str to dict
        For the weight of each layer its largest size ``"max_abs"``, its standard
        deviation ``"std"`` (divisor n) and the share ``"near_zero"`` of weights w with
        ``|w| < tol``.

    Raises
    ------
    TypeError
        If `tol` is no number, or a selector of another kind.
    ValueError
        If `tol` is negative or NaN, nothing is selected, a mask does not fit its
        tensor, or a weight is complex, empty or on the meta device.

    See Also
    --------
    compand : Changes the distribution.
    torch.histogram : All of it.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from statlearn.neural.regularization import weight_statistics
    >>> layer = nn.Linear(2, 2)
    >>> _ = nn.init.eye_(layer.weight)
    >>> weight_statistics(nn.Sequential(layer))
    {'0.weight': {'max_abs': 1.0, 'std': 0.5, 'near_zero': 0.5}}
    """
    tol = real_number(tol, "tol", "weight_statistics")
    if not tol >= 0.0:
        raise ValueError(
            f"The 'tol' of weight_statistics must be a number >= 0. Got {tol}; pass "
            f"for example 0.01."
        )
    masks = {}
    if isinstance(include, Mapping):
        masks = select_masks(module, include, caller="weight_statistics")
        include = list(masks)
    chosen = select(module, include, exclude, layers=LAYERS, caller="weight_statistics")
    check_values(chosen, "weight_statistics")
    found = {}
    for tensor in chosen:
        weight = getattr(tensor.layer, tensor.tensor_name).double()
        if tensor.name in masks:
            weight = weight[masks[tensor.name]]
        size = weight.abs()
        found[tensor.name] = {
            "max_abs": size.max().item(),
            "std": weight.std(correction=0).item(),
            "near_zero": (size < tol).double().mean().item(),
        }
    return found
