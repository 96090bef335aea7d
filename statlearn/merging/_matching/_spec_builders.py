"""Ready permutation specs, read from the shapes of arrays in the order of layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from statlearn.merging._matching._sequential_layers import (
    is_sequential,
    parametrised_layers,
)
from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._fitted_models import get_weights
from statlearn.merging._state._layouts import State, check_models, listed
from statlearn.merging.permutation_spec import PermutationSpec, mlp_spec

# Entry of an axis: permutation and block size, or None.
Entry = tuple[str, int] | None


def spec_for(model: Any) -> PermutationSpec:
    """Return the permutation spec of a model whose layers follow one another.

    Parameters
    ----------
    model : estimator, torch module or mapping
        A fitted scikit-learn multilayer perceptron or its state dict
        ``W0, b0, W1, b1, ...``; or a torch ``Sequential``, also a nested one, of
        linear and convolutional layers, normalisation, activations, pooling, dropout
        and ``Flatten``.

    Returns
    -------
    PermutationSpec
        With a permutation ``P0, P1, ...`` for each hidden layer.

    Raises
    ------
    TypeError
        If the order of the layers cannot be read from the model.
    ValueError
        If there is no hidden layer, or its units cannot be reordered freely.

    See Also
    --------
    sequential_spec : The same from a state dict and the names of its layers.
    residual_spec : For networks with skip connections.
    check_function_preserved : Tries a spec out.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import spec_for
    >>> state = {"W0": np.ones((3, 5)), "b0": np.ones(5), "W1": np.ones((5, 2))}
    >>> spec_for(state).permutations
    {'P0': (('W0', 1, 1), ('b0', 0, 1), ('W1', 0, 1))}
    """
    if is_sequential(model):
        return sequential_spec(get_weights(model), parametrised_layers(model))
    weights = get_weights(model)
    n_layers = sum(f"W{layer}" in weights for layer in range(len(weights)))
    expected = {f"{kind}{layer}" for kind in "Wb" for layer in range(n_layers)}
    if n_layers and expected >= set(weights):
        names = [
            (f"W{layer}", f"b{layer}" if f"b{layer}" in weights else None)
            for layer in range(n_layers)
        ]
        spec = mlp_spec(n_layers, names=names)
        spec.sizes(weights)
        return spec
    raise TypeError(
        "spec_for reads the layers of a scikit-learn perceptron, its state dict, or a "
        f"torch Sequential. Got {type(model).__name__}; name the layers in "
        "sequential_spec or residual_spec, or write a PermutationSpec."
    )


def sequential_spec(
    weights: State, layers: Sequence[str], *, layout: str = "torch"
) -> PermutationSpec:
    """Return the spec of a network whose layers follow one another, from their names.

    Parameters
    ----------
    weights : mapping of str to array or tensor
        State dict of the network.
    layers : sequence of str
        Layers in the order in which they work. A name stands for all arrays that begin
        with it and a dot, such as ``"conv1"`` for ``"conv1.weight"`` and
        ``"conv1.bias"``, or for one array. Matrices and kernels change the units;
        arrays with one axis belong to the units that they come after.
    layout : {"torch", "sklearn"}, default="torch"
        Whether the first two axes are outputs and inputs, or the last two are inputs
        and outputs, as in scikit-learn and Flax.

    Returns
    -------
    PermutationSpec
        With a permutation ``P0, P1, ...`` for each layer but the last. A matrix after
        kernels may have several inputs a channel: flattened images, channel by channel.

    Raises
    ------
    TypeError
        If the layers are no list.
    ValueError
        If a name is unknown, shapes do not follow one another, or there is nothing to
        permute.

    See Also
    --------
    spec_for : Reads the names from a model.
    residual_spec : For networks with skip connections.

    Notes
    -----
    Shapes do not tell everything. Normalisation in groups of channels ties units to one
    another, and flattening with channels last mixes the blocks: try the result with
    :func:`check_function_preserved`.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import sequential_spec
    >>> state = {"conv.weight": np.ones((4, 1, 3, 3)), "conv.bias": np.ones(4)}
    >>> state |= {"out.weight": np.ones((10, 4 * 36)), "out.bias": np.ones(10)}
    >>> sequential_spec(state, ["conv", "out"]).axes["out.weight"]
    (None, ('P0', 36))
    """
    chain = _Chain(weights, "sequential_spec", layout)
    arrays = chain.read(layers, "layers")
    chain.follow(arrays, None, last_output=None)
    return chain.spec()


def residual_spec(
    weights: State,
    stem: Sequence[str],
    blocks: Sequence[Any],
    head: Sequence[str],
    *,
    layout: str = "torch",
) -> PermutationSpec:
    """Return the spec of a network of residual blocks, from the names of its layers.

    All that is added to one another shares one permutation, the stream.

    Parameters
    ----------
    weights : mapping of str to array or tensor
        State dict of the network.
    stem : sequence of str
        Layers before the blocks, whose outputs are the stream; empty if the blocks read
        the inputs of the network. Names are as in :func:`sequential_spec`.
    blocks : sequence of sequences of str
        Layers inside each block, whose outputs are added to the stream. A pair of two
        such sequences is a block and the layers of its shortcut, after which a new
        stream begins.
    head : sequence of str
        Layers after the blocks, the last of which keeps its outputs.
    layout : {"torch", "sklearn"}, default="torch"
        Order of the axes, as in :func:`sequential_spec`.

    Returns
    -------
    PermutationSpec
        With permutations ``S0, S1, ...`` for streams and ``P0, P1, ...`` for units
        inside of blocks.

    Raises
    ------
    TypeError
        If layers are no lists.
    ValueError
        If a name is unknown, shapes do not follow one another, or there is nothing to
        permute.

    See Also
    --------
    sequential_spec : For networks without skip connections.
    match_weights : Needs several starts for such networks, ``n_init=20``.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import residual_spec
    >>> state = {"in.weight": np.ones((6, 3)), "out.weight": np.ones((2, 6))}
    >>> state |= {"up.weight": np.ones((8, 6)), "down.weight": np.ones((6, 8))}
    >>> spec = residual_spec(state, ["in"], [["up", "down"]], ["out"])
    >>> spec.axes["down.weight"]
    (('S0', 1), ('P0', 1))
    """
    chain = _Chain(weights, "residual_spec", layout)
    stream = chain.follow(chain.read(stem, "stem"), None, last_output="S0")
    for block in blocks:
        main, shortcut = _parts_of(block)
        before, after = stream, stream[0] if stream else None
        if shortcut is not None:
            after = chain.new_name("S")
            stream = chain.follow(
                chain.read(shortcut, "blocks"), before, last_output=after
            )
        chain.follow(chain.read(main, "blocks"), before, last_output=after)
    chain.follow(chain.read(head, "head"), stream, last_output=None)
    return chain.spec()


def _parts_of(block: Any) -> tuple[Any, Any]:
    """Return the layers of a block and those of its shortcut, if it has some."""
    match block:
        case (main, shortcut) if not isinstance(main, str):
            return main, shortcut
    return block, None


@dataclass
class _Chain:
    """Layers that follow one another, with the axes found so far.

    Attributes
    ----------
    weights : mapping of str to array or tensor
    caller, layout : str
    axes : dict of str to list
        From the name of an array to an entry an axis.
    sizes : dict of str to int
        Units of each permutation.
    spatial : set of str
        Permutations of channels of kernels, which may be flattened.
    """

    weights: State
    caller: str
    layout: str
    axes: dict[str, list[Entry]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    spatial: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        check_models(self.weights, [], self.caller, at_least=0)
        if self.layout not in {"sklearn", "torch"}:
            raise ValueError(
                f"The 'layout' of {self.caller} must be 'torch' or 'sklearn'. Got "
                f"{self.layout!r}; pass 'sklearn' for kernels (..., inputs, outputs)."
            )

    def read(self, layers: Any, parameter: str) -> list[str]:
        """Return the arrays of layers in their order, kernels of a layer first."""
        if isinstance(layers, (str, Mapping)) or not isinstance(layers, Iterable):
            raise TypeError(
                f"The '{parameter}' of {self.caller} must be a list of names of layers."
                f" Got {layers!r}; put the names into a list."
            )
        arrays: list[str] = []
        for layer in layers:
            found = [n for n in self.weights if n == layer or n.startswith(f"{layer}.")]
            again = [name for name in found if name in self.axes or name in arrays]
            if not found or again:
                raise ValueError(
                    f"Each of the '{parameter}' of {self.caller} must be a layer of "
                    f"the state dict, once. Got {layer!r}, which "
                    f"{'comes twice' if again else 'has no arrays'}; correct the names."
                )
            kernels = [name for name in found if len(self._shape(name)) > 1]
            if len(kernels) > 1:
                raise ValueError(
                    f"Each of the '{parameter}' of {self.caller} must be one layer, "
                    f"with at most one kernel. Got {layer!r} with {listed(kernels)}; "
                    "name its layers one by one."
                )
            arrays += kernels + [name for name in found if name not in kernels]
        return arrays

    def follow(
        self, arrays: Sequence[str], entry: Entry, *, last_output: str | None
    ) -> Entry:
        """Pass through arrays from the units of `entry`; return those at the end."""
        kernels = self._mixing(arrays, entry)
        for name in arrays:
            shape = self._shape(name)
            if name in kernels:
                output = last_output if name == kernels[-1] else self.new_name("P")
                entry = self._through(name, entry, output)
            elif shape not in {(), (1,)}:  # counters and common slopes stay
                first = self._join(name, 0, entry, shape[0], flat=len(shape) == 1)
                self.axes[name] = [first] + [None] * (len(shape) - 1)
        return entry

    def _through(self, name: str, entry: Entry, output: str | None) -> Entry:
        """Enter a kernel: its inputs are the units of `entry`, its outputs new ones."""
        shape = self._shape(name)
        n = len(shape)
        outputs, inputs = (0, 1) if self.layout == "torch" else (n - 1, n - 2)
        axes: list[Entry] = [None] * n
        axes[inputs] = self._join(name, inputs, entry, shape[inputs], flat=n == 2)
        found: Entry = None if output is None else (output, 1)
        if output is not None:
            self.sizes.setdefault(output, shape[outputs])
            if n > 2 and self.layout == "torch":
                self.spatial.add(output)
            axes[outputs] = self._join(name, outputs, found, shape[outputs], flat=False)
        self.axes[name] = axes
        return found

    def _join(
        self, name: str, axis: int, entry: Entry, length: int, *, flat: bool
    ) -> Entry:
        """Return the entry of an axis that holds the units of `entry`."""
        if entry is None:
            return None
        block, rest = divmod(length, self.sizes[entry[0]])
        if rest or not block or (block > 1 and not (flat and entry[0] in self.spatial)):
            raise ValueError(
                f"Each layer of {self.caller} must take the units of the one before. "
                f"Got {self.sizes[entry[0]]} units and {length} numbers on axis {axis} "
                f"of {name!r}; correct the order of the layers or the 'layout'."
            )
        return (entry[0], block)

    def _mixing(self, arrays: Sequence[str], entry: Entry) -> list[str]:
        """Return the kernels that take all units, not each channel alone."""
        found: list[str] = []
        units = 0 if entry is None else self.sizes[entry[0]]
        for name in arrays:
            shape = self._shape(name)
            by_channel = (
                self.layout == "torch" and shape[1:2] == (1,) and len(shape) > 2
            )
            if len(shape) > 1 and not (by_channel and shape[0] == units > 1):
                found.append(name)
                units = shape[0 if self.layout == "torch" else -1]
        return found

    def new_name(self, kind: str) -> str:
        """Return the name of the next permutation of a kind, "P" or "S"."""
        return f"{kind}{sum(name.startswith(kind) for name in self.sizes)}"

    def _shape(self, name: str) -> tuple[int, ...]:
        return np.shape(to_array(self.weights[name]))

    def spec(self) -> PermutationSpec:
        """Return what was found; empty if there was one layer."""
        if not any(entry for axes in self.axes.values() for entry in axes):
            raise ValueError(
                f"{self.caller} needs a network with hidden units. Got one layer of "
                "weights; there is nothing to permute."
            )
        return PermutationSpec(self.axes)
