"""Put quantisers on the layers of a module that exists."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

from torch import Tensor, nn

from statlearn.neural._select import Selector, select
from statlearn.neural._weight_map import attach_maps
from statlearn.neural.quantization._checks import check_bits
from statlearn.neural.quantization._grid import WeightQuantizer
from statlearn.neural.quantization._inputs import (
    INPUT_QUANTIZER,
    keep_padding,
    quantize_inputs,
    quantizes_inputs,
    record_inputs,
)
from statlearn.neural.quantization._lsq import LSQQuantizer
from statlearn.neural.quantization._statsq import StatsQuantizer, StraightThrough
from statlearn.neural.quantization.activation_quantizer import ActivationQuantizer
from statlearn.neural.quantization.qk_reparam_attention import QKReparamAttention

Method = Literal["statsq", "lsq"]

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
# The classifier of most vision transformers; a pattern may fit nothing.
HEAD = re.compile(r"(.+\.)?head")


def quantize_model(
    model: nn.Module,
    bits: int = 2,
    *,
    method: Method = "statsq",
    include: Selector = None,
    exclude: Selector = HEAD,
    skip_ends: bool = False,
    ste: StraightThrough = "identity",
    act_bits: int | None = None,
    sample: Any = None,
    act_axis: int | None = -2,
) -> list[str]:
    """Train a module through weights of few bits, in place.

    Puts a quantiser on the weight of linear layers and of convolutions in one or two
    dimensions, with a scale for each output. Make the optimizer afterwards.

    Parameters
    ----------
    model : Module
        Whose layers are quantised.
    bits : int, default=2
        Bits of a code, from 1 to 8.
    method : {"statsq", "lsq"}, default="statsq"
        Scales from the mean size of the weights, or learned.
    include : selector, default=None
        Names of layers or tensors, globs, compiled patterns, predicates ``(name,
        parameter) -> bool``, or a list of these. None includes all layers of the kinds
        above.
    exclude : selector, default=pattern of layers called "head"
        The same for what stays as it is; None excludes nothing.
    skip_ends : bool, default=False
        Whether the first and the last of these layers stay as they are.
    ste : {"identity", "clipped"}, default="identity"
        Gradient of the rounding of method "statsq", as in :func:`stats_quantize`.
    act_bits : int, default=None
        Bits of what goes into these layers, from 1 to 8; None leaves it as it is.
    sample : Tensor or tuple of Tensor, default=None
        Inputs of the module that give start values to the quantisers of activations;
        needed with `act_bits`. A :class:`QKReparamAttention` with its values among
        these layers has its tokens quantised too.
    act_axis : {-2, None}, default=-2
        -2 gives a linear layer, or an attention, with inputs of three or more axes one
        scale for each entry of axis -2, of which there must always be as many: the
        tokens of (n_samples, n_tokens, n_features). None gives one scale, so that
        sequences may be of any length; pass it for models whose layers see the tokens
        first, as those of torch do without ``batch_first=True``.

    Returns
    -------
    list of str
        Names of the quantised weights, in the order of the module.

    Raises
    ------
    TypeError
        If `model` is no module, or a named layer is of another kind.
    ValueError
        If `bits` or `act_bits` is not one of 1 to 8, `method` or `act_axis` is unknown,
        a name fits nothing, nothing is left, a weight is quantised already, or `sample`
        is missing or does not reach a layer. The module is then as it was.

    See Also
    --------
    reparametrize_attention : Quantises products of query and key weights.
    export_codes : Whole codes after training.
    fold_quantized : Keeps the quantised weights and products as plain ones.
    statlearn.neural.strip : Goes back to before, for weights and activations.
    remove_activation_quantizers : Keeps the quantisers of weights only.
    torch.ao.quantization.prepare_qat : Fake quantisation by observed ranges.

    Notes
    -----
    The published recipe keeps the first and the last layer at 8 bits: call the function
    twice, as in the example. A quantiser of activations is the part ``input_quantizer``
    of its layer, in front of which nothing changes. An ``nn.TransformerEncoder`` around
    such a layer no longer uses nested tensors, with which it would pass the layer by.

    The packed input weights of an ``nn.MultiheadAttention`` belong to no linear layer
    and are not quantised, its output layer is; :func:`reparametrize_attention` first
    leaves nothing out.

    References
    ----------
    Shih-Yang Liu, Zechun Liu, Kwang-Ting Cheng. Oscillation-free Quantization for
    Low-bit Vision Transformers. ICML, 2023.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural.quantization import quantize_model
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
    >>> _ = model.append(nn.Linear(8, 2))
    >>> quantize_model(model, bits=2, skip_ends=True)
    ['2.weight']
    >>> quantize_model(model, bits=8, method="lsq", include=["0", "4"])
    ['0.weight', '4.weight']
    """
    caller = "quantize_model"
    bits = check_bits(bits, caller)
    make = _maker(method, bits, ste)
    chosen = select(model, include, exclude, layers=LAYERS, caller=caller)
    if skip_ends:
        chosen = _between(model, chosen)
    names = [tensor.name for tensor in chosen]
    layers = {tensor.name: tensor.layer for tensor in chosen}
    activations: list[Callable[[], None]] = []
    if act_bits is not None:
        check_bits(act_bits, caller)
        activations = _activations(model, layers, act_bits, sample, act_axis)
    attach_maps(model, make, names, None, layers=LAYERS, caller=caller)
    for quantize in activations:
        quantize()
    if activations:
        keep_padding(model, layers.values())
    return names


def _maker(
    method: Any, bits: int, ste: StraightThrough
) -> Callable[[str, Tensor], WeightQuantizer]:
    if method not in get_args(Method):
        raise ValueError(
            f"The 'method' of quantize_model must be one of {get_args(Method)}. Got "
            f"{method!r}; pass 'statsq' for scales that are not learned."
        )
    if method == "lsq":
        return lambda _, weight: LSQQuantizer(bits, weight, axis=0)
    return lambda _, weight: StatsQuantizer(bits, ste=ste, axis=0)


def _between(model: nn.Module, chosen: list[Any]) -> list[Any]:
    """Leave out the first and the last layer of the module."""
    everything = select(model, layers=LAYERS, caller="quantize_model")
    ends = {everything[0].name, everything[-1].name}
    between = [tensor for tensor in chosen if tensor.name not in ends]
    if not between:
        raise ValueError(
            "quantize_model with skip_ends=True needs layers between the first and the "
            f"last. Got none besides {sorted(ends)}; pass skip_ends=False."
        )
    return between


def _activations(
    model: nn.Module, layers: dict[str, Any], bits: int, sample: Any, axis: Any
) -> list[Callable[[], None]]:
    """Return what quantises the inputs of layers; the module stays as it is."""
    if axis not in (-2, None):
        raise ValueError(
            f"The 'act_axis' of quantize_model must be -2 or None. Got {axis!r}; pass "
            f"None for one scale and sequences of any length."
        )
    if sample is None:
        raise ValueError(
            "quantize_model needs a 'sample' of inputs to start quantisers of "
            "activations from. Got None with 'act_bits'; pass a batch of the data."
        )
    attentions = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, QKReparamAttention)
        and any(layer is module.value for layer in layers.values())
    }
    twice = [name for name, layer in layers.items() if quantizes_inputs(layer)]
    twice += [n for n, a in attentions.items() if a.token_quantizer is not None]
    if twice:
        raise ValueError(
            "quantize_model quantises the inputs of a layer once. Got a quantiser on "
            f"the inputs of {twice} already; leave out 'act_bits', or these layers, or "
            "call remove_activation_quantizers first."
        )
    taken = [name for name, layer in layers.items() if hasattr(layer, INPUT_QUANTIZER)]
    if taken:
        raise ValueError(
            f"quantize_model puts a part called {INPUT_QUANTIZER!r} into a layer whose "
            f"inputs it quantises. Got parts of that name already in {taken}; rename "
            "them, or exclude these layers."
        )
    seen = record_inputs(model, {**layers, **attentions}, sample)
    calls: list[Callable[[], None]] = []
    for name, layer in layers.items():
        inputs, is_linear = seen[name], isinstance(layer, nn.Linear)
        quantizer = ActivationQuantizer(
            bits,
            inputs,
            axis=axis if is_linear and inputs.ndim > 2 else None,
            feature_axis=-1 if is_linear else 1,
        )
        calls.append(partial(quantize_inputs, layer, quantizer))
    for name, attention in attentions.items():
        # What it refuses, it is to refuse before the module changes.
        copy.deepcopy(attention).quantize_activations(bits, seen[name], axis=axis)
        calls.append(
            partial(attention.quantize_activations, bits, seen[name], axis=axis)
        )
    return calls
