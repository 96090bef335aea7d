"""Block-affine adapters on the linear layers of a model: on, merged, off, state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from statlearn.neural._map_exits import fold_maps, unfold_maps
from statlearn.neural._map_state import (
    load_map_state_dict,
    map_parameters,
    map_state_dict,
    weight_maps,
)
from statlearn.neural._select import Selector
from statlearn.neural.adapters._attach import attach_to_linear, made_for
from statlearn.neural.adapters.block_affine import BlockAffine


def apply_bone(
    module: nn.Module,
    r: int = 8,
    *,
    variant: str = "col",
    mini_r: int | None = None,
    include: Selector = None,
    exclude: Selector = None,
    freeze_rest: bool = True,
) -> list[str]:
    """Freeze a model and put block-affine adapters on its linear layers, in place.

    Parameters
    ----------
    module : Module
        The pretrained model.
    r : int, default=8
        Side of a block; see :class:`BlockAffine` for what it must divide.
    variant : {"col", "row", "free", "ab", "additive", "mini"}, default="col"
        What is trained in a block. "bat" means "col", "miss" means "additive".
    mini_r : int, default=None
        Number of columns for the variant "mini".
    include, exclude : str, pattern, callable or list of these, default=None
        Names of layers, globs, compiled patterns, or predicates ``(name, parameter) ->
        bool``. None includes every linear layer.
    freeze_rest : bool, default=True
        Whether all other parameters, biases and heads too, stop being trained.

    Returns
    -------
    list of str
        Names of the weights with an adapter, in the order of the module.

    Raises
    ------
    TypeError
        If a named layer is not linear.
    ValueError
        If the sizes do not fit a layer, a layer has such an adapter already, or nothing
        is selected; the model is as it was then.

    See Also
    --------
    bone_parameters : What the optimizer gets.
    merge_bone : Folds the adapters into the weights.
    apply_lora : LoRA in the same manner.
    peft.get_peft_model : The same for models of the hub.

    Notes
    -----
    The paper trains with AdamW without weight decay, a learning rate of 2e-5 and
    r = 64 on language models of seven billion weights; small networks want 1e-3 to 3e-2
    and r of 4 to 8. To take the adapters off without a trace, use
    :func:`statlearn.neural.strip`.

    Of an ``nn.MultiheadAttention`` only the output layer is a linear one; its packed
    input weights get no adapter and are frozen with the rest. Running statistics of a
    ``BatchNorm`` are buffers and go on to move in training mode: put these layers in
    ``eval()`` where the base is to stay.

    References
    ----------
    Kang. Bone: Block-Affine Adaptation of Large Language Models. arXiv 2409.15371,
    2024.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from statlearn.neural.adapters import apply_bone, bone_parameters
    >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    >>> apply_bone(model, r=4, variant="row", exclude="2")
    ['0.weight']
    >>> optimizer = torch.optim.AdamW(bone_parameters(model), lr=1e-2, weight_decay=0)
    """
    make = partial(made_for, BlockAffine, r=r, variant=variant, mini_r=mini_r)
    return attach_to_linear(
        module, make, include, exclude, freeze_rest=freeze_rest, caller="apply_bone"
    )


def merge_bone(module: nn.Module) -> list[str]:
    """Fold block-affine adapters into plain weights that can be undone, in place.

    Parameters
    ----------
    module : Module
        With adapters of :func:`apply_bone`.

    Returns
    -------
    list of str
        Names of the weights, plain now.

    Raises
    ------
    ValueError
        If there is no such adapter.

    See Also
    --------
    unmerge_bone : The way back.
    statlearn.neural.fold : For good, without the copy that undoing needs.

    Notes
    -----
    Costs a copy of each adapted weight: blocks cannot be divided out exactly, and not
    at all where I + B is singular.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural.adapters import apply_bone, merge_bone
    >>> model = nn.Sequential(nn.Linear(8, 4))
    >>> names = apply_bone(model, r=2)
    >>> merge_bone(model), type(model[0]).__name__
    (['0.weight'], 'Linear')
    """
    return fold_maps(module, BlockAffine, reversible=True, caller="merge_bone")


def unmerge_bone(module: nn.Module) -> list[str]:
    """Bring merged adapters back, over the bits that the weights had, in place.

    Parameters
    ----------
    module : Module
        After :func:`merge_bone`.

    Returns
    -------
    list of str
        Names of the weights, with their adapters again.

    Raises
    ------
    ValueError
        If nothing was merged.

    See Also
    --------
    merge_bone : The way there.
    statlearn.neural.strip : Takes the adapters off.

    Notes
    -----
    Whatever was done to the merged weights is lost.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural.adapters import apply_bone, merge_bone, unmerge_bone
    >>> model = nn.Sequential(nn.Linear(8, 4))
    >>> apply_bone(model, r=2) == merge_bone(model) == unmerge_bone(model)
    True
    """
    return unfold_maps(module, BlockAffine, caller="unmerge_bone")


def bone_parameters(module: nn.Module) -> Iterator[nn.Parameter]:
    """Return the trained numbers of block-affine adapters, for an optimizer.

    Parameters
    ----------
    module : Module
        With adapters of :func:`apply_bone`.

    Returns
    -------
    iterator of Parameter
        Each once, in the order of the module.

    Raises
    ------
    ValueError
        If there is no such adapter.

    See Also
    --------
    count_trainable : How many numbers these are, with all others that are trained.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural.adapters import apply_bone, bone_parameters
    >>> model = nn.Sequential(nn.Linear(8, 4))
    >>> names = apply_bone(model, r=2, variant="ab")
    >>> [tuple(p.shape) for p in bone_parameters(model)]
    [(4, 2, 2), (4, 2, 2)]
    """
    _require_bone(module, "bone_parameters")
    return map_parameters(module, kind=BlockAffine)


def bone_state_dict(module: nn.Module) -> dict[str, Tensor]:
    """Return the state of block-affine adapters alone.

    Parameters
    ----------
    module : Module
        With adapters of :func:`apply_bone`.

    Returns
    -------
    dict of str to Tensor
        Copies, as ``"layers.0.weight.B"``.

    Raises
    ------
    ValueError
        If there is no such adapter.

    See Also
    --------
    load_bone_state_dict : The way back.
    save_peft_adapter : Files that peft reads.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural.adapters import apply_bone, bone_state_dict
    >>> model = nn.Sequential(nn.Linear(8, 4))
    >>> names = apply_bone(model, r=2, variant="additive")
    >>> {name: tuple(t.shape) for name, t in bone_state_dict(model).items()}
    {'0.weight.D': (2, 4)}
    """
    _require_bone(module, "bone_state_dict")
    return map_state_dict(module, kind=BlockAffine)


def load_bone_state_dict(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Load the state of block-affine adapters, in place.

    Parameters
    ----------
    module : Module
        With adapters as they were when the state was taken.
    state : mapping of str to Tensor or array
        What :func:`bone_state_dict` gave.

    Raises
    ------
    ValueError
        If there is no such adapter, or keys or shapes differ; nothing is loaded then.

    See Also
    --------
    bone_state_dict : The way there.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural.adapters import (
    ...     apply_bone, bone_state_dict, load_bone_state_dict
    ... )
    >>> model, other = nn.Sequential(nn.Linear(8, 4)), nn.Sequential(nn.Linear(8, 4))
    >>> apply_bone(model, r=2) == apply_bone(other, r=2)
    True
    >>> load_bone_state_dict(other, bone_state_dict(model))
    """
    _require_bone(module, "load_bone_state_dict")
    load_map_state_dict(module, state, kind=BlockAffine)


def _require_bone(module: nn.Module, caller: str) -> None:
    """Refuse a model without adapters, or with merged ones."""
    if not weight_maps(module, kind=BlockAffine):
        raise ValueError(
            f"{caller} needs a module with BlockAffine adapters. Got one without; call "
            f"apply_bone first, or unmerge_bone if they are merged."
        )
