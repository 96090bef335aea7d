"""Maps W -> f(W; theta) on the weights of a live module: attach, train, fold or strip.

Every method that changes what a layer computes with without changing the layer is a
:class:`WeightMap`: adapters, reparametrisations, quantisers, masks. The mechanism is
PyTorch's own ``torch.nn.utils.parametrize``; this file adds what is common to them: who
is trained, what the state is, and two ways out.

Terms: *stored* is the tensor below the map, the input of f; *base* are the bits that
the parameter had before the map came; *theta* are the map's own parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils.parametrize import is_parametrized, register_parametrization

from statlearn.neural._map_freezing import freeze_rest as freeze_all_but
from statlearn.neural._mapped_layer import (
    own_class,
    remove_maps,
    required_grad,
    set_forward,
)
from statlearn.neural._select import Selected, Selector, named_tensors, select


class WeightMap(nn.Module):
    """Base class of the maps from a stored weight to the one that a layer uses.

    A subclass implements ``forward(weight)`` and creates its parameters in
    ``__init__``. It may also implement ``right_inverse(weight)``, what to store so that
    the layer starts where it was, and ``linear(weight, bias, x)``, what a linear layer
    computes with the map where that is cheaper without forming f(W).

    Attributes
    ----------
    trains_base : bool
        False for maps that add something to a frozen tensor (adapters): their own
        parameters are trained. True for maps through which the stored tensor itself is
        trained (bounded weights, quantisers).

    See Also
    --------
    attach : Puts maps on the weights of a module.
    torch.nn.utils.parametrize.register_parametrization : The mechanism.

    Notes
    -----
    Laws that every map keeps. *Start*: a fresh map leaves the layer's outputs as they
    were, where the method starts at the base. *Fold*: the plain layer computes what
    the layer with the map computed. *Strip*: the bits of the base come back. *Small
    state*: :func:`map_state_dict` holds what was trained and nothing else. *Frozen
    base*: where `trains_base` is False, the stored tensor gets no gradient.

    References
    ----------
    PyTorch. Parametrizations tutorial and torch.nn.utils.parametrize, 2021.

    Examples
    --------
    A map with one trained number, the gain of a whole layer:

    >>> import torch
    >>> from torch import nn
    >>> from statlearn.neural import WeightMap, attach, fold
    >>> class Gain(WeightMap):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.log_gain = nn.Parameter(torch.zeros(()))
    ...     def forward(self, weight):
    ...         return weight * self.log_gain.exp()
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> attach(model, lambda name, weight: Gain(), include="2")
    ['2.weight']
    >>> fold(model)
    ['2.weight']
    """

    trains_base: ClassVar[bool] = False

    # Set by attach: whether the parameter wanted a gradient before the map came, and
    # the order of the layer's parameters, which optimizers count by.
    _required_grad: bool | None = None
    _order: tuple[str, ...] = ()
    # Bits before the map came, of maps through which the stored tensor changes.
    _base: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_base", None, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight that the layer uses.

        Parameters
        ----------
        weight : Tensor
            What is stored.

        Returns
        -------
        Tensor
            Of the same shape and type.
        """
        raise NotImplementedError(
            f"A WeightMap must implement forward(weight). {type(self).__name__} does "
            f"not; add the method."
        )

    def stripped(self, model: nn.Module, layer: nn.Module) -> None:
        """Take away what came with the map, after :func:`strip` took the map off.

        Parameters
        ----------
        model : Module
            The model that is stripped.
        layer : Module
            Its layer that the map was on.
        """


def attach(
    model: nn.Module,
    make: Callable[[str, Tensor], WeightMap],
    *,
    include: Selector = None,
    exclude: Selector = None,
    layers: tuple[type[nn.Module], ...] = (nn.Linear,),
    freeze_rest: bool = False,
) -> list[str]:
    """Put a map on the weights of a module, in place.

    Parameters
    ----------
    model : Module
        Whose layers get maps.
    make : callable
        Map of one tensor, ``make(name, weight)``. An error, there or in a map, leaves
        the module as it was.
    include, exclude : str, pattern, callable or list of these, default=None
        Names of layers or tensors, globs, compiled patterns, or predicates
        ``(name, parameter) -> bool``. None includes every layer of the kinds below.
    layers : tuple of type, default=(torch.nn.Linear,)
        Kinds of layers whose ``weight`` gets a map.
    freeze_rest : bool, default=False
        Whether all other parameters of `model` stop being trained until the maps go:
        those of a module, once no map is left in it. Buffers go on to move: those of a
        ``BatchNorm`` rest in ``eval()`` only.

    Returns
    -------
    list of str
        Names of the tensors with a new map, in the order of the module.

    Raises
    ------
    TypeError
        If `make` is not called so or returns no map, or a named layer is of another
        kind.
    ValueError
        If nothing is selected, a layer is lazy still, a tensor is shared by two layers,
        is not a floating point one, or has a map of the same class already, if `make`
        returns a map that is in use, or if the module is inside a
        ``DistributedDataParallel``.

    See Also
    --------
    fold : Keeps what the maps computed.
    strip : Goes back to the bits before.
    map_parameters : What an optimizer should see.

    Notes
    -----
    An optimizer that exists already does not see theta: attach first. Where the stored
    tensor is trained, a copy of the base is kept for :func:`strip`, so that the map
    costs one more tensor of the weight's size.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural import attach, strip
    >>> from statlearn.neural.adapters import BlockAffine
    >>> model = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 4))
    >>> attach(model, lambda name, w: BlockAffine(*w.shape, r=2), exclude="1")
    ['0.weight']
    """
    return attach_maps(
        model,
        make,
        include,
        exclude,
        layers=layers,
        freeze_rest=freeze_rest,
        caller="attach",
    )


def attach_maps(
    model: nn.Module,
    make: Callable[[str, Tensor], WeightMap],
    include: Selector,
    exclude: Selector,
    *,
    layers: tuple[type[nn.Module], ...] = (nn.Linear,),
    freeze_rest: bool = False,
    caller: str,
) -> list[str]:
    """Attach as :func:`attach` does, for a function whose name messages shall say."""
    _check_make(make, caller)
    chosen = select(model, include, exclude, layers=layers, caller=caller)
    if any(isinstance(part, DistributedDataParallel) for part in model.modules()):
        raise ValueError(
            f"{caller} must come before DistributedDataParallel, which exchanges the "
            f"gradients of the parameters that it found. Got a module inside one; call "
            f"{caller} on its .module, and wrap that anew."
        )
    shared = _shared(model)
    in_use = {id(part) for part in model.modules()}
    maps = []
    for tensor in chosen:
        _check_target(tensor, shared, caller)
        made = make(tensor.name, tensor.parameter)
        _check_map(made, tensor, in_use, caller)
        in_use.add(id(made))
        maps.append(made)
    attach_all(list(zip(chosen, maps, strict=True)))
    if freeze_rest:
        freeze_all_but(model, [chain for _, chain in chains(model)])
    return [tensor.name for tensor in chosen]


def attach_all(pairs: list[tuple[Selected, WeightMap]]) -> None:
    """Put maps on tensors, on all of them or, if one refuses its tensor, on none."""
    begun = []
    try:
        for tensor, weight_map in pairs:
            begun.append((tensor, weight_map))
            attach_one(tensor, weight_map)
    except BaseException:
        for tensor, weight_map in reversed(begun):
            _take_back(tensor, weight_map)
        raise


def attach_one(tensor: Selected, weight_map: WeightMap) -> None:
    layer, name, stored = tensor.layer, tensor.tensor_name, tensor.parameter
    weight_map.to(device=stored.device)
    weight_map.train(layer.training)
    if is_parametrized(layer, name):
        chain = layer.parametrizations[name]
        # A map put on by hand learns of it before the tensor is frozen.
        chain[0]._required_grad = weight_map._required_grad = required_grad(chain)
        weight_map._order = chain[0]._order
    else:
        weight_map._required_grad = stored.requires_grad
        weight_map._order = tuple(layer._parameters)
        if weight_map.trains_base:
            weight_map._base = stored.detach().clone()
    own_class(layer)
    register_parametrization(layer, name, weight_map)
    if not weight_map.trains_base:
        layer.parametrizations[name].original.requires_grad_(False)
    set_forward(layer)


def _take_back(tensor: Selected, weight_map: WeightMap) -> None:
    """Undo `attach_one`, also where it came to an end halfway."""
    layer, name = tensor.layer, tensor.tensor_name
    if is_parametrized(layer, name):
        chain = layer.parametrizations[name]
        if chain[-1] is weight_map and len(chain) > 1:
            del chain[-1]
            trained = required_grad(chain) and all(m.trains_base for m in chain)
            chain.original.requires_grad_(trained)
            set_forward(layer)
        elif chain[-1] is weight_map:
            remove_maps(tensor)
    if weight_map._base is not None:
        with torch.no_grad():
            tensor.parameter.copy_(weight_map._base)


def _shared(model: nn.Module) -> dict[int, list[str]]:
    names: dict[int, list[str]] = {}
    for tensor in named_tensors(model):
        names.setdefault(id(tensor.parameter), []).append(tensor.name)
    return {key: both for key, both in names.items() if len(both) > 1}


def _check_target(
    tensor: Selected, shared: Mapping[int, list[str]], caller: str
) -> None:
    if id(tensor.parameter) in shared:
        raise ValueError(
            f"{caller} works on tensors that one layer owns. Got {tensor.name!r}, "
            f"shared as {', '.join(shared[id(tensor.parameter)])}; exclude it, or give "
            f"each layer a copy."
        )
    if not tensor.parameter.is_floating_point():
        raise ValueError(
            f"{caller} works on floating point tensors. Got {tensor.parameter.dtype} "
            f"for {tensor.name!r}; exclude it."
        )
    if is_parametrized(tensor.layer, tensor.tensor_name):
        others = [
            type(m).__name__
            for m in tensor.layer.parametrizations[tensor.tensor_name]
            if not isinstance(m, WeightMap)
        ]
        if others:
            raise ValueError(
                f"{caller} works on plain tensors and on those with maps of statlearn. "
                f"Got {tensor.name!r} with {', '.join(others)}; remove that "
                f"parametrization first."
            )
    elif tensor.layer._parameters.get(tensor.tensor_name) is None:
        raise ValueError(
            f"{caller} works on plain tensors and on those with maps of statlearn. Got "
            f"{tensor.name!r}, which hooks of torch.nn.utils compute from others; make "
            f"it plain first, as with torch.nn.utils.prune.remove."
        )


def _check_make(make: Any, caller: str) -> None:
    try:
        signature(make).bind("", None)
    except ValueError:  # built in, without a signature
        return
    except TypeError as error:
        raise TypeError(
            f"The 'make' of {caller} must be callable as make(name, weight). Got "
            f"{make!r} ({error}); pass for example lambda name, weight: MyMap()."
        ) from error


def _check_map(made: Any, tensor: Selected, in_use: set[int], caller: str) -> None:
    if not isinstance(made, WeightMap):
        raise TypeError(
            f"What 'make' of {caller} returns must be a WeightMap. Got "
            f"{type(made).__name__} for {tensor.name!r}; derive the class from "
            f"WeightMap."
        )
    if "_base" not in made._buffers:
        raise TypeError(
            f"A map must call the __init__ of WeightMap. Got {type(made).__name__} for "
            f"{tensor.name!r}, which does not; write super().__init__()."
        )
    if id(made) in in_use:
        raise ValueError(
            f"The 'make' of {caller} must return a new map for each tensor. Got one "
            f"that is in use already, {type(made).__name__} for {tensor.name!r}; make "
            f"it inside of 'make', and share parameters between maps instead."
        )
    if not is_parametrized(tensor.layer, tensor.tensor_name):
        return
    present = tensor.layer.parametrizations[tensor.tensor_name]
    if any(type(m) is type(made) for m in present):
        raise ValueError(
            f"{caller} puts one {type(made).__name__} on a tensor. Got "
            f"{tensor.name!r}, which has one already; fold or strip it first."
        )
    if hasattr(made, "right_inverse") or made.trains_base:
        both = any(m.trains_base for m in present)
        way = "fold or strip that one first" if both else "attach it before that one"
        raise ValueError(
            f"{caller} must come first on a tensor when {type(made).__name__} trains "
            f"what is stored. Got {tensor.name!r} with {type(present[0]).__name__} on "
            f"it; {way}."
        )


def chains(model: nn.Module) -> Iterator[tuple[Selected, Any]]:
    """Yield the tensors that have a map of ours, with the list of their maps."""
    for tensor in named_tensors(model):
        if is_parametrized(tensor.layer, tensor.tensor_name):
            chain = tensor.layer.parametrizations[tensor.tensor_name]
            if any(isinstance(m, WeightMap) for m in chain):
                yield tensor, chain
