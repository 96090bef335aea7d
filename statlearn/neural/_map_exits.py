"""Ways out of a weight map: keep what it computed, or go back to the base."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from statlearn.neural._map_freezing import freeze_again, thaw_rest
from statlearn.neural._mapped_layer import remove_maps, required_grad
from statlearn.neural._precision import without_autocast
from statlearn.neural._select import Selected, named_tensors
from statlearn.neural._weight_map import WeightMap, attach_one, chains

_FOLDED = "_statlearn_folded"


@dataclass
class _Folded:
    """What unfold needs: the maps of a tensor, what they started from, its gradient."""

    maps: list[WeightMap]
    stored: Tensor
    requires_grad: bool


def fold(
    model: nn.Module,
    *,
    kind: type[WeightMap] = WeightMap,
    reversible: bool = False,
) -> list[str]:
    """Turn maps into plain parameters that hold what the maps computed, in place.

    Parameters
    ----------
    model : Module
        Whose maps to fold.
    kind : type, default=WeightMap
        Class of the maps to fold.
    reversible : bool, default=False
        Whether to keep the maps and what they started from beside the layers, for
        :func:`unfold`. Costs one more tensor for each map, and is not in the state
        dict.

    Returns
    -------
    list of str
        Names of the tensors that are plain now.

    Raises
    ------
    ValueError
        If there is no map of the class, or if one of another class is on the same
        tensor.

    See Also
    --------
    unfold : The way back.
    strip : Goes back to the base.
    torch.nn.utils.parametrize.remove_parametrizations : The mechanism.

    Notes
    -----
    Parameters keep their identity, so an optimizer that holds them stays valid. They
    are trained again if they were before the map came, and so is what was frozen with
    the maps, in a module without one left: after the fold of a part, what is below
    that part.

    Folding is of weights. Quantisers of what goes into a layer, and of a product that
    an attention computes with, stay where they are; see
    :func:`statlearn.neural.quantization.fold_quantized`.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural import fold, weight_maps
    >>> from statlearn.neural.adapters import apply_bone
    >>> model = nn.Sequential(nn.Linear(8, 4))
    >>> names = apply_bone(model, r=2)
    >>> fold(model), weight_maps(model)
    (['0.weight'], {})
    """
    return fold_maps(model, kind, reversible, caller="fold")


def fold_maps(
    model: nn.Module, kind: type[WeightMap], reversible: bool = False, *, caller: str
) -> list[str]:
    """Fold as :func:`fold` does, for a function whose name messages shall say."""
    mapped = _mapped(model, kind, caller)
    for tensor in mapped:
        layer, name = tensor.layer, tensor.tensor_name
        chain = layer.parametrizations[name]
        if reversible:
            kept = _Folded(
                list(chain), chain.original.detach().clone(), required_grad(chain)
            )
            vars(layer).setdefault(_FOLDED, {})[name] = kept
        # A map may return the stored tensor itself, or a view of it. What is kept is
        # not rounded to the type of a training step around.
        with torch.no_grad(), without_autocast(tensor.parameter.device):
            value = getattr(layer, name).clone()
        plain = remove_maps(tensor)
        with torch.no_grad():
            plain.set_(value)
    _thaw(model, reversible=reversible)
    return [tensor.name for tensor in mapped]


def unfold(model: nn.Module, *, kind: type[WeightMap] = WeightMap) -> list[str]:
    """Bring back maps that were folded with ``reversible=True``, in place.

    The stored tensor gets the bits that it had, whatever happened to the folded one.

    Parameters
    ----------
    model : Module
        Whose maps come back.
    kind : type, default=WeightMap
        Class of the maps.

    Returns
    -------
    list of str
        Names of the tensors with their maps.

    Raises
    ------
    ValueError
        If no map of the class was folded so, or a tensor has another map by now.

    See Also
    --------
    fold : The way there.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural import fold, unfold
    >>> from statlearn.neural.adapters import apply_bone
    >>> model = nn.Sequential(nn.Linear(8, 4))
    >>> names = apply_bone(model, r=2)
    >>> fold(model, reversible=True) == unfold(model) == names
    True
    """
    return unfold_maps(model, kind, caller="unfold")


def unfold_maps(model: nn.Module, kind: type[WeightMap], *, caller: str) -> list[str]:
    """Unfold as :func:`unfold` does, for a function whose name messages shall say."""
    kept = [
        (tensor, vars(tensor.layer)[_FOLDED][tensor.tensor_name])
        for tensor in named_tensors(model)
        if tensor.tensor_name in vars(tensor.layer).get(_FOLDED, {})
    ]
    kept = [(t, f) for t, f in kept if all(isinstance(m, kind) for m in f.maps)]
    if not kept:
        raise ValueError(
            f"{caller} must find a {kind.__name__} that was folded. Got a module "
            f"without one; fold with reversible=True."
        )
    for tensor, _ in kept:
        if is_parametrized(tensor.layer, tensor.tensor_name):
            raise ValueError(
                f"{caller} must find plain tensors. Got a map on {tensor.name!r} that "
                f"came after the fold; fold or strip it first."
            )
    for tensor, folded in kept:
        tensor.parameter.requires_grad_(folded.requires_grad)
        _reattach(tensor, folded)
        del vars(tensor.layer)[_FOLDED][tensor.tensor_name]
    freeze_again(model)
    return [tensor.name for tensor, _ in kept]


def _reattach(tensor: Selected, folded: _Folded) -> None:
    """Put the maps of a tensor back, and below them the bits that were there."""
    bases = [weight_map._base for weight_map in folded.maps]
    with torch.no_grad():
        tensor.parameter.copy_(folded.stored)
    for weight_map in folded.maps:
        # What is stored is known; a right inverse would round, clip or refuse it.
        weight_map.__dict__["right_inverse"] = _as_it_is
        try:
            attach_one(tensor, weight_map)
        finally:
            del weight_map.__dict__["right_inverse"]
    for weight_map, base in zip(folded.maps, bases, strict=True):
        weight_map._base = base


def _as_it_is(weight: Tensor) -> Tensor:
    return weight


def strip(
    model: nn.Module,
    *,
    kind: type[WeightMap] = WeightMap,
    to: Literal["base", "stored"] = "base",
) -> list[str]:
    """Take maps off and go back to the bits from before they came, in place.

    Parameters
    ----------
    model : Module
        Whose maps to take off.
    kind : type, default=WeightMap
        Class of the maps.
    to : {"base", "stored"}, default="base"
        What the parameter holds afterwards: the bits from before, or the tensor below
        the map, which differs where it was trained.

    Returns
    -------
    list of str
        Names of the tensors that are plain now.

    Raises
    ------
    ValueError
        If there is no map of the class, if one of another class is on the same tensor,
        or if the base is not known, because a map that trains the stored tensor was not
        put there by :func:`attach`.

    See Also
    --------
    fold : Keeps what the maps computed.

    Notes
    -----
    What came with a map goes with it, such as the quantiser of the inputs of a layer.
    Of all else only `requires_grad` is given back: the running statistics of a
    ``BatchNorm`` are those after training, and so is what was trained beside the maps.
    What was frozen with the maps is trained again in a module without one left: after
    the strip of a part, what is below that part.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from statlearn.neural import strip
    >>> from statlearn.neural.quantization import quantize_model
    >>> model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    >>> before = model[0].weight.detach().clone()
    >>> names = quantize_model(model, bits=2, exclude="1")
    >>> strip(model), torch.equal(model[0].weight, before)
    (['0.weight'], True)
    """
    if to not in ("base", "stored"):
        raise ValueError(
            f"The 'to' of strip must be 'base' or 'stored'. Got {to!r}; choose 'base' "
            f"for the bits from before the map."
        )
    mapped = _mapped(model, kind, "strip")
    if to == "base":
        _check_bases(mapped)
    for tensor in mapped:
        maps = list(tensor.layer.parametrizations[tensor.tensor_name])
        base = maps[0]._base
        plain = remove_maps(tensor)
        if to == "base" and base is not None:
            with torch.no_grad():
                plain.copy_(base)
        for weight_map in maps:
            weight_map.stripped(model, tensor.layer)
    _thaw(model)
    return [tensor.name for tensor in mapped]


def _thaw(model: nn.Module, *, reversible: bool = False) -> None:
    """Let the rest be trained again, if no map is left."""
    if next(chains(model), None) is None:
        thaw_rest(model, reversible=reversible)


def _mapped(model: nn.Module, kind: type[WeightMap], caller: str) -> list[Selected]:
    """Return the tensors with maps of a class; refuse where others share the tensor."""
    mapped = []
    for tensor, chain in chains(model):
        if not any(isinstance(m, kind) for m in chain):
            continue
        _refuse_foreign(tensor, chain, caller)
        others = [type(m).__name__ for m in chain if not isinstance(m, kind)]
        if others:
            way_out = "strip" if caller == "strip" else "fold"
            raise ValueError(
                f"{caller} takes all maps off a tensor at once. Got kind="
                f"{kind.__name__} and {', '.join(others)} on {tensor.name!r}; call "
                f"statlearn.neural.{way_out}(model) for all of them."
            )
        mapped.append(tensor)
    if not mapped:
        raise ValueError(
            f"{caller} must find a {kind.__name__}. Got a module without; attach one "
            f"first."
        )
    return mapped


def _refuse_foreign(tensor: Selected, chain: Any, caller: str) -> None:
    """Refuse parametrizations that are none of our maps beside them."""
    for position, part in enumerate(chain):
        if not isinstance(part, WeightMap):
            raise ValueError(
                f"{caller} takes maps of statlearn off a tensor. Got {tensor.name!r} "
                f"with {type(part).__name__} beside them; remove that parametrization "
                f"first, as with del layer.parametrizations."
                f"{tensor.tensor_name}[{position}]."
            )


def _check_bases(mapped: list[Selected]) -> None:
    """Refuse tensors that were changed by a map which has no copy of the base."""
    for tensor in mapped:
        for part in tensor.layer.parametrizations[tensor.tensor_name]:
            if part.trains_base and part._base is None:
                raise ValueError(
                    f"strip must know the bits from before the maps. Got "
                    f"{tensor.name!r} with a {type(part).__name__} that was put on by "
                    f"hand, and has none; call fold to keep what it computes, or pass "
                    f"to='stored' for what is below it."
                )
