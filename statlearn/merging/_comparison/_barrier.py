"""The straight line between two networks, and the loss along it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from statlearn.merging._state._arrays_and_tensors import restorer, to_array
from statlearn.merging._state._entry import Array
from statlearn.merging._state._fitted_models import get_weights, set_weights
from statlearn.merging._state._layouts import check_finite, check_models
from statlearn.utils._numbers import finite_number, is_integer, real_number
from statlearn.utils._tables import number, text_table


def interpolate(a: Any, b: Any, lam: float) -> Any:
    r"""Return the network on the straight line between two networks.

    Parameters
    ----------
    a, b : estimator, torch module or mapping
        Networks of one layout, with their units in matching order.
    lam : float
        Position: 0 at `a`, 1 at `b`; values outside extend the line.

    Returns
    -------
    estimator, torch module or dict
        Of the kind of `a`, with its data types, integer arrays and everything that is
        no weight.

    Raises
    ------
    TypeError
        If `lam` is no number, or a network has no weights.
    ValueError
        If names or shapes differ, or a number is not finite.

    See Also
    --------
    loss_barrier : The loss along the line.
    match_weights : Puts the units in matching order.
    statlearn.merging.slerp : Follows the arc instead.

    Notes
    -----
    :math:`(1 - \lambda) A + \lambda B`, computed in float64; at 0 and 1 the networks
    themselves to the bit. The running statistics of batch normalisation are
    interpolated too, which is not what data would give: estimate them anew.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import interpolate
    >>> interpolate({"w": np.zeros(2)}, {"w": np.array([1.0, 4.0])}, 0.25)["w"]
    array([0.25, 1.  ])
    """
    hint = "pass 0.5 for the middle"
    position = finite_number(lam, "lam", "interpolate", hint)
    first, second = get_weights(a), get_weights(b)
    check_models(first, [second], "interpolate")
    mixed: dict[str, Any] = {}
    for name in first:
        start, end = to_array(first[name]), to_array(second[name])
        if start.dtype.kind == "f":
            check_finite(start, name, "the first network")
            check_finite(end, name, "the second network")
            between = (1.0 - position) * start.astype(np.float64)
            between += position * end.astype(np.float64)
            mixed[name] = restorer(first[name])(between.astype(start.dtype))
        else:
            mixed[name] = first[name]
    return set_weights(a, mixed)


@dataclass(frozen=True, slots=True)
class BarrierCurve:
    """Loss along the straight line between two networks.

    Attributes
    ----------
    lam : ndarray of shape (n_points,)
        Positions from 0 to 1.
    loss : ndarray of shape (n_points,)
        Loss at each.
    """

    lam: Array
    loss: Array

    @property
    def excess(self) -> Array:
        """Loss above the straight line between the losses of the ends, (n_points,)."""
        return self.loss - ((1.0 - self.lam) * self.loss[0] + self.lam * self.loss[-1])

    @property
    def barrier(self) -> float:
        """Largest excess, at least 0."""
        return max(0.0, float(self.excess.max()))

    def summary(self) -> str:
        """Return the losses and the barrier as a table.

        Returns
        -------
        str
            A line for each position.
        """
        columns = (self.lam, self.loss, self.excess)
        rows = [
            [number(float(value)) for value in row]
            for row in zip(*columns, strict=True)
        ]
        table = text_table(["lam", "loss", "excess"], rows)
        return f"{table}\nbarrier {number(self.barrier)}"


@overload
def loss_barrier(
    loss: Callable[[Any], float],
    a: Any,
    b: Any,
    n_points: int = 25,
    return_curve: Literal[False] = False,
) -> float: ...


@overload
def loss_barrier(
    loss: Callable[[Any], float],
    a: Any,
    b: Any,
    n_points: int = 25,
    *,
    return_curve: Literal[True],
) -> BarrierCurve: ...


def loss_barrier(
    loss: Callable[[Any], float],
    a: Any,
    b: Any,
    n_points: int = 25,
    return_curve: bool = False,
) -> float | BarrierCurve:
    r"""Return by how much the loss rises on the straight line between two networks.

    A barrier near zero says that the two lie in one basin and can be averaged.

    Parameters
    ----------
    loss : callable
        ``loss(network) -> float`` on the rows of interest, for networks of the kind of
        `a`. One with batch normalisation has to have its statistics estimated inside.
    a, b : estimator, torch module or mapping
        Networks of one layout.
    n_points : int, default=25
        Positions on the line at which the loss is taken, both ends among them.
    return_curve : bool, default=False
        Whether to return all losses.

    Returns
    -------
    float or BarrierCurve
        The barrier, at least 0, or the losses with the barrier.

    Raises
    ------
    TypeError
        If `loss` cannot be called, or does not return numbers.
    ValueError
        If there are fewer than three points, the loss is NaN, at an end infinite, or
        the networks do not fit.

    See Also
    --------
    BarrierDisplay : A picture of it.
    match_weights : Takes most of the barrier away.

    Notes
    -----
    .. math:: \max_\lambda \; L\bigl((1 - \lambda) A + \lambda B\bigr)
              - (1 - \lambda) L(A) - \lambda L(B).

    Where the loss is below the line everywhere, the ends give 0.

    References
    ----------
    J. Frankle, G. K. Dziugaite, D. M. Roy, M. Carbin. "Linear Mode Connectivity and the
    Lottery Ticket Hypothesis". ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import loss_barrier
    >>> a, b = {"w": np.array([-1.0])}, {"w": np.array([1.0])}
    >>> loss_barrier(lambda state: float((state["w"][0] ** 2 - 1) ** 2), a, b)
    1.0
    """
    caller = "loss_barrier"
    if not callable(loss):
        raise TypeError(
            f"The 'loss' of {caller} must be a function of a network. Got "
            f"{type(loss).__name__}; pass for example a function that returns log_loss."
        )
    if not is_integer(n_points) or n_points < 3:
        raise ValueError(
            f"The 'n_points' of {caller} must be an integer >= 3: both ends and what "
            f"lies between. Got {n_points!r}; pass 25."
        )
    lam = np.linspace(0.0, 1.0, n_points)
    values = [real_number(loss(interpolate(a, b, x)), "loss", caller) for x in lam]
    losses = np.array(values)
    if np.isnan(losses).any() or not np.isfinite(losses[[0, -1]]).all():
        raise ValueError(
            f"The 'loss' of {caller} must be a number everywhere, and finite at the "
            f"ends. Got {losses.tolist()}; clip probabilities, or use another loss."
        )
    curve = BarrierCurve(lam, losses)
    return curve if return_curve else curve.barrier
