"""A vector of the size of a model: named arrays that are added and scaled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any, Self

import numpy as np

from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._entry import Array
from statlearn.merging._state._fitted_models import get_weights, in_type_of, set_weights
from statlearn.merging._state._layouts import State, check_finite, layout, listed
from statlearn.merging._state._running_statistics import within_bounds
from statlearn.utils._numbers import real_number


class NamedArrays(Mapping[str, Array]):
    """Read-only float64 arrays by name, with the algebra of a vector.

    Parameters
    ----------
    arrays : mapping of str to array-like
        Numbers under the names of a model's arrays. They are copied.

    Raises
    ------
    ValueError
        If an array holds NaN or infinity.
    """

    # Numbers of NumPy leave products to `__rmul__`, instead of taking us for an array.
    __array_ufunc__ = None

    def __init__(self, arrays: State) -> None:
        self._arrays = {name: self._own(name, arrays[name]) for name in arrays}

    def _own(self, name: str, values: Any) -> Array:
        array = np.array(to_array(values), dtype=np.float64)
        check_finite(array, name, f"the {type(self).__name__}")
        array.flags.writeable = False
        return array

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        size = sum(array.size for array in self.values())
        return (
            f"{type(self).__name__}({len(self)} arrays, {size} numbers, "
            f"norm {self.norm():.4g})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NamedArrays) or type(self) is not type(other):
            return NotImplemented
        return self.keys() == other.keys() and all(
            np.array_equal(array, other[name]) for name, array in self.items()
        )

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Self) -> Self:
        """Return the sum; a name that one side lacks counts as zero there."""
        if type(self) is not type(other):
            return NotImplemented
        _check_shapes(self, other)
        names = [*self, *(name for name in other if name not in self)]
        with np.errstate(over="ignore"):  # infinity is refused by its name
            total = {n: self.get(n, 0.0) + other.get(n, 0.0) for n in names}
        return type(self)(total)

    def __radd__(self, other: float) -> Self:
        """Return the vector itself for zero, which `sum` starts from."""
        return self if isinstance(other, Real) and other == 0 else NotImplemented

    def __neg__(self) -> Self:
        return self * -1.0

    def __sub__(self, other: Self) -> Self:
        return self + -other if type(self) is type(other) else NotImplemented

    def __mul__(self, factor: float) -> Self:
        if isinstance(factor, Mapping):
            return NotImplemented
        number = real_number(factor, "factor", type(self).__name__)
        with np.errstate(over="ignore", invalid="ignore"):  # refused by name
            scaled = {name: number * array for name, array in self.items()}
        return type(self)(scaled)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Self:
        return self * (1.0 / real_number(divisor, "divisor", type(self).__name__))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, of all arrays."""
        return sum(array.nbytes for array in self.values())

    def norm(self) -> float:
        """Return the Euclidean norm over all arrays together.

        Returns
        -------
        float
            Square root of the sum of all squares.
        """
        return float(np.sqrt(sum(np.vdot(a, a) for a in self.values())))

    def norms(self, relative_to: Any = None) -> dict[str, float]:
        """Return the Euclidean norm of each array.

        Parameters
        ----------
        relative_to : model or mapping, default=None
            Divide by the norms of the arrays of these weights; nan where that is zero.

        Returns
        -------
        dict of str to float
            Norms under the names of the arrays.
        """
        norms = {name: float(np.linalg.norm(array)) for name, array in self.items()}
        if relative_to is None:
            return norms
        weights = get_weights(relative_to)
        _check_shapes(self, {name: to_array(weights[name]) for name in weights})
        scales = {n: np.linalg.norm(to_array(weights[n]).astype(float)) for n in norms}
        return {
            n: float(v / scales[n]) if scales[n] else np.nan for n, v in norms.items()
        }

    def cosine(self, other: Mapping[str, Array]) -> dict[str, float]:
        """Return the cosine of the angle to another vector, array by array.

        Parameters
        ----------
        other : mapping of str to ndarray
            Another vector of the same kind; names that both have are compared.

        Returns
        -------
        dict of str to float
            Cosines in [-1, 1] under the common names; 0 where one array is zero.
        """
        _check_shapes(self, other)
        return {n: cosine(self[n], other[n]) for n in self if n in other}

    def apply(self, model: Any, scale: float = 1.0) -> Any:
        """Return the model with `scale` times this vector added to its weights.

        Parameters
        ----------
        model : estimator, torch module or mapping
            Model or state dict; it is not changed. Arrays that this vector does not
            name are copied.
        scale : float, default=1.0
            Factor on this vector.

        Returns
        -------
        estimator, torch module or dict
            What was passed, with new weights in the data types of the old ones. Running
            variances are at least 0.

        Raises
        ------
        TypeError
            If the model has integers under a name of this vector.
        ValueError
            If the model lacks an array of this vector or has another shape for it, or
            a result is out of the range of the model's data type.
        """
        caller = f"{type(self).__name__}.apply"
        factor = real_number(scale, "scale", caller)
        weights = get_weights(model)
        missing = sorted(set(self) - set(weights))
        if missing:
            raise ValueError(
                f"{caller} needs a model with all of its arrays. "
                f"Got one without {listed(missing)}; pass a model of one architecture."
            )
        described = layout(weights, "the model", caller)
        for name in self:
            _check_shape(name, self[name].shape, described[name][0])
            if described[name][1] != "f":
                raise TypeError(
                    f"{caller} moves floating weights. Got integers for {name!r} in "
                    "the model; convert them to float64, or take the array out of "
                    f"the {type(self).__name__}."
                )
        changed = {name: self._moved(name, weights[name], factor) for name in weights}
        return set_weights(model, changed)

    def _moved(self, name: str, value: Any, factor: float) -> Any:
        """Return one array of a model after the move, in its own type."""
        if name not in self:
            return value
        array = to_array(value)
        caller = f"{type(self).__name__}.apply"
        with np.errstate(over="ignore", invalid="ignore"):
            moved = array.astype(np.float64) + factor * self[name]
            moved = within_bounds(moved, name)
        if not np.isfinite(moved).all():
            check_finite(array, name, "the model")
            check_finite(moved, name, f"the result of {caller}")
        return in_type_of(value, moved, name, caller)


def cosine(a: Array, b: Array) -> float:
    """Return the cosine of two arrays of one shape; 0 if one of them is zero."""
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip(np.vdot(a, b) / scale, -1.0, 1.0)) if scale > 0.0 else 0.0


def _check_shapes(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    """Refuse two arrays of one name with different shapes."""
    for name in a:
        if name in b:
            _check_shape(name, np.shape(a[name]), np.shape(b[name]))


def _check_shape(name: str, one: tuple[int, ...], other: tuple[int, ...]) -> None:
    if one != other:
        raise ValueError(
            f"Arrays of one name must have one shape. Got {one} and {other} for "
            f"{name!r}; use models of one architecture."
        )
