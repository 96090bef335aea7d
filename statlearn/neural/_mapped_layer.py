"""What becomes of a layer when maps are put on one of its tensors and taken off.

PyTorch gives a layer with parametrizations a class of its own. Here that class gets
the product of a map, and the layer its parameters back as they were.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from statlearn.neural._select import Selected


def remove_maps(tensor: Selected) -> Tensor:
    """Take the maps off a tensor and return what was stored."""
    layer, name = tensor.layer, tensor.tensor_name
    chain = layer.parametrizations[name]
    trained, order = required_grad(chain), chain[0]._order
    own_class(layer)
    if "forward" in vars(type(layer)):
        del type(layer).forward
    remove_parametrizations(layer, name, leave_parametrized=False)
    for key in order:
        if key in layer._parameters:
            layer._parameters[key] = layer._parameters.pop(key)
    plain: Tensor = getattr(layer, name)
    return plain.requires_grad_(trained)


def required_grad(chain: Any) -> bool:
    """Say whether a tensor was trained before its maps came."""
    known = chain[0]._required_grad
    # Nobody told a map that was put on by hand.
    return bool(chain.original.requires_grad if known is None else known)


def set_forward(layer: Any) -> None:
    """Let a linear layer with one map use the map's own product, if it has one."""
    # Parametrized layers have a class of their own, so this touches no other layer.
    cls = type(layer)
    if "forward" in vars(cls):
        del cls.forward
    chain = layer.parametrizations["weight"]
    if (
        cls.__bases__[0] is nn.Linear
        and len(chain) == 1
        and hasattr(chain[0], "linear")
    ):
        cls.forward = _linear_forward


def _linear_forward(self: Any, x: Tensor) -> Tensor:
    chain = self.parametrizations["weight"]
    if len(chain) > 1:  # a parametrization of somebody else came later
        return F.linear(x, self.weight, self.bias)
    return chain[0].linear(chain.original, self.bias, x)


def own_class(layer: Any) -> None:
    """Give a parametrized layer a class of its own before that class is changed.

    A deep copy shares the class that PyTorch made for the layer, and taking the map
    off one of the two would leave the other without its weight.
    """
    if is_parametrized(layer):
        cls = type(layer)
        body = {
            k: v for k, v in vars(cls).items() if k not in {"__dict__", "__weakref__"}
        }
        layer.__class__ = type(cls.__name__, cls.__bases__, body)
