"""Layers of a torch ``Sequential``, told by their classes without importing torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_KERNELS = {"Linear", "Conv1d", "Conv2d", "Conv3d"}
_BATCH_NORMS = {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"}
_INSTANCE_NORMS = {"InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"}
_NORMS = {"GroupNorm", "LayerNorm", "RMSNorm"} | _BATCH_NORMS | _INSTANCE_NORMS
# What treats all units alike; a softmax is no matter of order either.
_ALIKE = {
    *("CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh"),
    *("Identity", "LeakyReLU", "LogSigmoid", "Mish", "ReLU", "ReLU6", "SELU", "SiLU"),
    *("Sigmoid", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink"),
    *(
        "Threshold",
        "LogSoftmax",
        "Softmax",
        "Softmin",
        "AlphaDropout",
        "Dropout",
        "Dropout1d",
        "Dropout2d",
        "Dropout3d",
    ),
}
_ON_IMAGES = {
    f"{kind}{n}d"
    for kind in (
        *("AdaptiveAvgPool", "AdaptiveMaxPool", "AvgPool", "MaxPool", "LPPool"),
        *("ConstantPad", "ReflectionPad", "ReplicationPad", "ZeroPad"),
    )
    for n in (1, 2, 3)
}


def is_sequential(model: Any) -> bool:
    """Tell a torch ``Sequential``, also of a subclass that works in the same way."""
    return _kind(model) == "Sequential"


def parametrised_layers(model: Any) -> list[str]:
    """Return the names of layers that have weights, in the order of their work.

    Parameters
    ----------
    model : torch Sequential
        May hold others.

    Raises
    ------
    TypeError
        If a layer is not one that we know.
    ValueError
        If a layer keeps units from being reordered.
    """
    found: list[str] = []
    seen: set[int] = set()
    on_images: bool | None = None  # None as long as the inputs have not met a kernel
    unit_last = False
    for name, layer in _leaves(model, ""):
        kind = _kind(layer)
        if kind in _KERNELS:
            kernel_on_images = kind != "Linear"
            if on_images is not None and on_images != kernel_on_images:
                _refuse(name, layer, "which works on another axis than the one before")
            _check_kernel(name, layer, first=on_images is None)
            on_images, unit_last = kernel_on_images, kind == "Linear"
        elif kind in _NORMS:
            _check_norm(name, layer, kind, on_images)
        elif kind == "Flatten":
            _check_flatten(name, layer)
            on_images = None if on_images is None else False
        elif kind in _ON_IMAGES and unit_last:
            _refuse(name, layer, "which puts neighbouring units together")
        elif kind not in _ALIKE | _ON_IMAGES | {"PReLU"}:
            raise TypeError(
                "spec_for knows linear and convolutional layers, normalisation, "
                "activations, pooling, padding, dropout and Flatten. Got "
                f"{type(layer).__name__} at {name!r}; write a PermutationSpec."
            )
        parameters = list(layer.parameters())
        if parameters:
            found.append(name)
            again = seen & set(map(id, parameters))
            if again:
                _refuse(name, layer, "which shares its weights with another layer")
            seen |= set(map(id, parameters))
    return found


def _leaves(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the layers of nested containers; one that comes twice comes twice."""
    for name, layer in model._modules.items():
        if is_sequential(layer):
            yield from _leaves(layer, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", layer


def _kind(module: Any) -> str:
    """Return the name of torch's class whose ``forward`` a module uses, or ''."""
    own = getattr(type(module), "forward", None)
    for base in type(module).__mro__:
        if base.__module__.startswith("torch.nn.modules."):
            return base.__name__ if own is getattr(base, "forward", None) else ""
    return ""


def _check_kernel(name: str, layer: Any, *, first: bool) -> None:
    groups = getattr(layer, "groups", 1)
    if groups > 1 and (first or not layer.in_channels == layer.out_channels == groups):
        _refuse(name, layer, f"whose {groups} groups tie channels to one another")


def _check_norm(name: str, layer: Any, kind: str, on_images: bool | None) -> None:
    if kind == "GroupNorm" and 1 < layer.num_groups < layer.num_channels:
        _refuse(
            name, layer, f"whose {layer.num_groups} groups tie units to one another"
        )
    over_axes = len(getattr(layer, "normalized_shape", ())) > 1
    if over_axes or (kind in {"LayerNorm", "RMSNorm"} and on_images):
        _refuse(name, layer, "which normalises over positions of an image")


def _check_flatten(name: str, layer: Any) -> None:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        _refuse(name, layer, "which does not flatten all axes but the first")


def _refuse(name: str, layer: Any, why: str) -> None:
    raise ValueError(
        "spec_for needs layers whose units can be put in any order. Got "
        f"{type(layer).__name__} at {name!r}, {why}; write a PermutationSpec for the "
        "units that can."
    )
