"""The network of an estimator: how it is made, and what surrounds it in training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from statlearn.neural._training._inference import mode
from statlearn.neural._training._seeding import kept_random_state
from statlearn.neural.models import MLP

State = dict[str, NDArray[Any]]

_CPU = torch.device("cpu")


class Network(nn.Module):
    """A module with outputs of one shape, and what a checkpoint has to keep beside it.

    Parameters
    ----------
    module : Module
        Gives outputs (n, n_outputs), or (n,) for a single one.
    dtype : str
        Of the rows that it takes.
    """

    def __init__(self, module: nn.Module, dtype: str) -> None:
        super().__init__()
        self.module, self.dtype = module, dtype
        self.beside: Any = None

    def forward(self, X: Tensor) -> Tensor:
        """Return outputs (n, n_outputs)."""
        output: Tensor = self.module(X)
        return output[:, None] if output.ndim == 1 else output

    def get_extra_state(self) -> Any:
        """Return what goes into a checkpoint with the weights."""
        return {} if self.beside is None else self.beside.state_dict()

    def set_extra_state(self, state: Any) -> None:
        """Take it up again."""
        if self.beside is not None:
            self.beside.load_state_dict(state)


def make_module(
    module: Any,
    n_features: int,
    n_outputs: int,
    *,
    hidden_layer_sizes: Any,
    weight_map: Callable[[nn.Module], Any] | None,
    dtype: torch.dtype,
    seed: int,
    caller: str,
) -> nn.Module:
    """Return a new module, with its map; the same one for the same seed.

    Parameters
    ----------
    module : Module, callable or None
        A module is copied; a callable gets those of the two numbers that it takes, by
        keyword; None stands for an MLP.
    n_features, n_outputs : int
    hidden_layer_sizes : sequence of int
        Of the MLP.
    weight_map : callable or None
        What puts a map on weights of the module, in place.
    dtype : torch.dtype
    seed : int
    caller : str
        Class name for messages.
    """
    made: Any
    with _seeded(seed):
        if module is None:
            made = MLP(n_features, hidden_layer_sizes, n_outputs)
        elif isinstance(module, nn.Module):
            made = copy.deepcopy(module)
        else:
            sizes = {"n_features": n_features, "n_outputs": n_outputs}
            made = module(**_taken(module, sizes, caller))
        if not isinstance(made, nn.Module):
            raise TypeError(
                f"The 'module' of {caller} must be a torch.nn.Module, or make one of "
                f"n_features and n_outputs. Got {type(made).__name__}; return the "
                f"module."
            )
        made = made.to(_CPU, dtype)
        _check_outputs(made, n_features, n_outputs, dtype, caller)
        if weight_map is not None:
            weight_map(made)
    if not any(p.requires_grad for p in made.parameters()):
        raise ValueError(
            f"The 'module' of {caller} must have parameters to train. Got none that "
            f"requires a gradient; unfreeze some, or pass a weight_map that adds some."
        )
    return made


def _taken(
    module: Callable[..., Any], sizes: dict[str, int], caller: str
) -> dict[str, int]:
    """Return those of the two numbers that a class or function takes by keyword."""
    try:
        parameters = signature(module).parameters.values()
    except ValueError:  # such as that of a function in C
        return sizes
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return sizes
    unnamed = (Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL)
    taken = [p.name for p in parameters if p.name in sizes and p.kind not in unnamed]
    lacking = [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.kind is not p.VAR_POSITIONAL
        and p.name not in taken
    ]
    if lacking:
        raise TypeError(
            f"The 'module' of {caller} must be made of the keywords n_features and "
            f"n_outputs, or of one of them. Got {module!r}, which needs {lacking}; "
            f"pass an instance of the module, or functools.partial of its class."
        )
    return {name: sizes[name] for name in taken}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let modules draw their first weights from a seed, and nothing else."""
    with kept_random_state(_CPU), _CPU:
        usual = torch.get_default_dtype()
        torch.default_generator.manual_seed(seed)
        torch.set_default_dtype(torch.float32)  # others draw other numbers
        try:
            yield
        finally:
            torch.set_default_dtype(usual)


def _check_outputs(
    module: nn.Module, n_features: int, n_outputs: int, dtype: torch.dtype, caller: str
) -> None:
    """Ask a module about two rows of zeros, which gives lazy layers their sizes."""
    rows = torch.zeros(2, n_features, dtype=dtype)
    try:
        with mode(module, training=False), torch.no_grad():
            output = module(rows)
    except Exception as error:
        raise ValueError(
            f"The 'module' of {caller} must take rows of {n_features} features, shape "
            f"(n, {n_features}). Got {type(error).__name__} for two rows: {error}; "
            f"make it of n_features, or begin it with torch.nn.Unflatten(1, shape) for "
            f"samples that are no rows, such as images."
        ) from error
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != (2, n_outputs) and not (shape == (2,) and n_outputs == 1):
        raise ValueError(
            f"The 'module' of {caller} must return a tensor (n, {n_outputs}), one "
            f"value for each output. Got {shape} for two rows; let its last layer "
            f"have {n_outputs} units."
        )


def arrays_of(module: nn.Module) -> State:
    """Return the state dict of a module as arrays of their own, to read only."""
    found = {name: to_plain(value) for name, value in module.state_dict().items()}
    for array in found.values():
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return found


def read_only(state: State) -> State:
    """Return a state of arrays that nobody can write into, copied where one could.

    An array that was written into would not be the one that a network was made of.
    """
    found = dict(state)
    for name, array in state.items():
        if isinstance(array, np.ndarray) and array.flags.writeable:
            found[name] = array.copy()
            found[name].flags.writeable = False
    return found


def load_arrays(module: nn.Module, state: Mapping[str, Any], caller: str) -> None:
    """Load arrays that `arrays_of` gave into a module of the same make."""
    try:
        module.load_state_dict(to_torch(dict(state)))
    except RuntimeError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(
            f"The state of {caller} must be that of its module and weight_map. Got "
            f"one that does not fit: {reason}; set the parameters with which it was "
            f"fitted."
        ) from error


def to_plain(value: Any) -> Any:
    """Return a nested state with arrays in the place of tensors."""
    if isinstance(value, Tensor):
        return np.array(value.detach().cpu().numpy())
    return _nested(value, to_plain)


def to_torch(value: Any) -> Any:
    """Return a nested state with tensors, of their own, in the place of arrays."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value))
    return _nested(value, to_torch)


def _nested(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: change(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(change(part) for part in value)
    return value
