"""The compander on the layers of a model: put it there, train it, fold it."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from torch import Tensor, nn

from statlearn.neural._map_exits import fold_maps
from statlearn.neural._map_state import weight_maps
from statlearn.neural._precision import wide_dtype
from statlearn.neural._select import Selected, Selector, select
from statlearn.neural._weight_map import attach_maps
from statlearn.neural.regularization._compander import (
    SCALE_HINT,
    Start,
    check_start,
    report_clipped,
)
from statlearn.neural.regularization._squash import (
    Pair,
    Squash,
    read_squash,
    unsquash_tensor,
)
from statlearn.neural.regularization.weight_compander import WeightCompander
from statlearn.utils._numbers import positive_number

LAYERS: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
# How far above the largest weight the bound of "auto" lies.
_MARGIN = 1.05


def compand(
    module: nn.Module,
    *,
    a: float | str = "auto",
    b: float | str = "auto",
    function: str | Pair = "arctan",
    learnable: bool = False,
    per_layer: bool = True,
    include: Selector = None,
    exclude: Selector = None,
    layers: tuple[type[nn.Module], ...] = LAYERS,
    init: Start = "inverse",
    strict: bool = False,
) -> list[str]:
    r"""Put a weight compander on the layers of a model, in place.

    Call it after the weights have their start values, and before the optimizer is made.
    What to expect of it, and what not, is said at :class:`WeightCompander`.

    Parameters
    ----------
    module : Module
        The model.
    a : float or "auto", default="auto"
        Height. "auto" puts the bound 5 % above the largest weight, so that none is
        clipped: :math:`1.05 \max|w| \cdot 2 / \pi` for the arctangent. Without a bound
        ("power") it is 1.05 times the largest weight.
    b : float or "auto", default="auto"
        Width. "auto" makes the slope at zero one; for "power" it equals the height.
    function : str or pair of callable, default="arctan"
        "arctan", "erf", "power", "softsign", "tanh", or a pair (psi, its inverse).
    learnable : bool, default=False
        Whether the scales are trained; the bound then widens where that helps the
        loss.
    per_layer : bool, default=True
        Whether each layer has scales of its own. Otherwise "auto" looks at the largest
        weight of all, and trained scales are the same parameters in all layers.
    include, exclude : str, pattern, callable or list of these, default=None
        Names of layers, globs, compiled patterns, or predicates ``(name, parameter) ->
        bool``. None includes every layer of the kinds below.
    layers : tuple of type, default=linear and convolution layers
        Kinds of layers whose ``weight`` is mapped. Biases, gains of normalisations and
        embeddings are left alone unless their kind is named here.
    init : {"inverse", "direct"}, default="inverse"
        Start with the outputs unchanged, or with the weights squashed.
    strict : bool, default=False
        Whether weights at or beyond 0.999 of the bound raise in the inverse start; else
        they are clipped there, and a warning counts them.

    Returns
    -------
    list of str
        Names of the tensors with a compander.

    Raises
    ------
    TypeError
        If a scale is no number, or a selector of another kind.
    ValueError
        If a scale is not positive, a name is unknown, nothing is selected, "auto" meets
        weights that are all zero or not finite, a weight is shared, complex, empty, on
        the meta device, or has a compander, or with `strict` weights are too large.

    Warns
    -----
    ClippedWeightsWarning
        If weights were clipped.

    See Also
    --------
    uncompand : Keeps the weights and takes the map off.
    statlearn.neural.strip : Goes back to the weights from before.
    torch.nn.utils.clip_grad_norm_ : Bounds gradients instead of weights.

    Notes
    -----
    Assigning ``layer.weight = w`` still works and stores what maps to w; functions of
    ``torch.nn.init`` on a mapped weight change a copy and have no effect. The packed
    input weights of ``nn.MultiheadAttention`` belong to no linear layer and are not
    mapped. A bound on the last layer keeps outputs small too, which cost accuracy in
    our runs: consider ``exclude`` for the head. A pass costs O(n) for n weights.

    References
    ----------
    Rinor Cakaj, Jens Mehnert, Bin Yang. Weight Compander: A Simple Weight
    Reparameterization for Regularization. arXiv 2306.16993, 2023.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from statlearn.neural.regularization import compand, uncompand
    >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> x = torch.ones(1, 8)
    >>> before = model(x)
    >>> compand(model)
    ['0.weight', '2.weight']
    >>> torch.allclose(model(x), before, atol=1e-6)
    True
    >>> uncompand(model)
    ['0.weight', '2.weight']
    """
    squash = read_squash(function, "compand")
    check_start(init, "compand")
    height, width = _read_scale(a, "a"), _read_scale(b, "b")
    chosen = select(module, include, exclude, layers=layers, caller="compand")
    check_values(chosen, "compand")
    weights = {tensor.name: tensor.parameter.detach() for tensor in chosen}
    heights = _heights(height, weights, squash, per_layer)
    maps = {
        name: WeightCompander(
            heights[name],
            _width(width, heights[name], squash),
            function=function,
            learnable=learnable,
            init=init,
            strict=strict,
            dtype=wide_dtype(weight.dtype),
        )
        for name, weight in weights.items()
    }
    if learnable and not per_layer:
        _share_scales(maps, sum(weight.numel() for weight in weights.values()))
    counts = {name: _n_clipped(maps[name], weight) for name, weight in weights.items()}
    if strict:
        report_clipped(counts, strict, "compand")
    for weight_map in maps.values():
        weight_map._tells = False
    names = attach_maps(
        module,
        lambda name, _: maps[name],
        list(maps),
        None,
        layers=layers,
        caller="compand",
    )
    for weight_map in maps.values():
        weight_map._tells = True
    report_clipped(counts, strict, "compand")
    return names


def uncompand(module: nn.Module) -> list[str]:
    """Turn mapped weights into plain parameters of the same values, in place.

    Parameters
    ----------
    module : Module
        A model with companders.

    Returns
    -------
    list of str
        Names of the tensors that are plain now.

    Raises
    ------
    ValueError
        If there is no compander, or if a tensor has another map beside it.

    See Also
    --------
    compand : The way there.
    statlearn.neural.fold : The same for any map, reversible if asked.
    torch.nn.utils.parametrize.remove_parametrizations : The mechanism.

    Notes
    -----
    Parameters keep their identity, so an optimizer that holds them stays valid; but
    what it remembers of their gradients was meant for the stored numbers.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural.regularization import compand, uncompand
    >>> layer = nn.Sequential(nn.Linear(4, 2))
    >>> names = compand(layer, a=0.1, b=0.1, init="direct")
    >>> uncompand(layer)
    ['0.weight']
    >>> bool(layer[0].weight.abs().max() < 0.1571)
    True
    """
    return fold_maps(module, WeightCompander, caller="uncompand")


def compander_parameters(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the trained scales of the companders of a model.

    For a group of the optimizer without weight decay, or with one of their own, which
    pulls the scales towards their start. Nothing without ``learnable=True``.

    Parameters
    ----------
    module : Module
        A model with companders.

    Yields
    ------
    Parameter
        Logarithms of a and b over their start, each once.

    See Also
    --------
    statlearn.neural.map_parameters : The stored weights as well.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from statlearn.neural.regularization import compand, compander_parameters
    >>> model = nn.Sequential(nn.Linear(4, 2))
    >>> names = compand(model, learnable=True)
    >>> scales = list(compander_parameters(model))
    >>> rest = set(model.parameters()) - set(scales)
    >>> groups = [{"params": list(rest), "weight_decay": 1e-3}, {"params": scales}]
    >>> optimizer = torch.optim.SGD(groups, lr=0.05)
    """
    seen = set()
    for weight_map in weight_maps(module, kind=WeightCompander).values():
        for scale in weight_map.parameters():
            if scale not in seen:
                seen.add(scale)
                yield scale


def check_values(chosen: list[Selected], caller: str) -> None:
    """Refuse tensors without real numbers to look at."""
    for tensor in chosen:
        weight = tensor.parameter
        if weight.is_meta or weight.is_complex() or weight.numel() == 0:
            got = f"{weight.dtype} of shape {tuple(weight.shape)} on {weight.device}"
            raise ValueError(
                f"{caller} needs weights that hold real numbers. Got {got} for "
                f"{tensor.name!r}; exclude it, or give the model its weights first."
            )


def _read_scale(value: Any, name: str) -> float | None:
    """Return a scale as a float, None for "auto"."""
    if not isinstance(value, str):
        return positive_number(value, name, "compand", SCALE_HINT)
    if value != "auto":
        raise ValueError(
            f"The '{name}' of compand must be a positive number or 'auto'. Got "
            f"{value!r}; pass 'auto' to take it from the weights."
        )
    return None


def _heights(
    height: float | None, weights: dict[str, Tensor], squash: Squash, per_layer: bool
) -> dict[str, float]:
    """Return the height of each tensor, by default from its largest weight."""
    if height is not None:
        return dict.fromkeys(weights, height)
    largest = {name: weight.abs().max().item() for name, weight in weights.items()}
    if not per_layer:
        largest = dict.fromkeys(largest, max(largest.values()))
    for name, size in largest.items():
        if not 0.0 < size < inf:
            raise ValueError(
                f"With a='auto' compand needs finite weights that are not all zero. "
                f"Got a largest size of {size} in {name!r}; pass a number, exclude the "
                f"tensor, or set its start values first."
            )
    limit = squash.limit if squash.limit < inf else 1.0
    return {name: _MARGIN * size / limit for name, size in largest.items()}


def _width(width: float | None, height: float, squash: Squash) -> float:
    if width is not None:
        return width
    return height * (squash.steepness if squash.steepness < inf else 1.0)


def _share_scales(maps: dict[str, WeightCompander], n_weights: int) -> None:
    """Let all maps train the scales of the first."""
    first, *others = maps.values()
    first._n_shared = n_weights
    for other in others:
        other._n_shared = n_weights
        other.log_a, other.log_b = first.log_a, first.log_b


def _n_clipped(weight_map: WeightCompander, weight: Tensor) -> tuple[int, int]:
    """Return how many weights of how many the inverse start will clip."""
    if weight_map.init == "direct":
        return 0, weight.numel()
    a, b = weight_map.start_a, weight_map.start_b
    _, n_clipped = unsquash_tensor(weight, a, b, weight_map._squash, "compand")
    return n_clipped, weight.numel()
