"""What one step of an incremental classifier fits, and what it does with the result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.continual._aligning import align_weights
from statlearn.continual._buffer import TaskRows, alike, joined
from statlearn.continual._softmax_head import HeadProblem, distillation, logits_of
from statlearn.continual.exemplar_memory import ExemplarMemory
from statlearn.utils._losses import positions
from statlearn.utils._validation import apply_class_weight

Array = NDArray[np.float64]


def with_exemplars(memory: ExemplarMemory, new: TaskRows) -> TaskRows:
    """Return the rows in memory, followed by new ones."""
    if not len(memory):
        return new
    X, y = memory.get()
    old = TaskRows(X, y, memory.sample_weight_, np.full(len(y), -1))
    return joined(*alike(old, new))


def head_problem(
    phi: Any,
    rows: TaskRows,
    known: NDArray[Any],
    before: NDArray[Any],
    theta_before: Array | None,
    *,
    copy: bool,
    temperature: float | None,
    balance: bool,
    alpha: float,
    fit_intercept: bool,
    caller: str,
) -> HeadProblem:
    """Return the head to fit in a step.

    Parameters
    ----------
    phi : ndarray or CSR table of shape (n, d)
        Features of exemplars and new rows.
    rows : TaskRows
        The rows themselves.
    known : ndarray of shape (n_classes,)
        All classes so far, sorted.
    before : ndarray of shape (n_old,)
        Those of the steps before.
    theta_before : ndarray of shape (n_old, d + 1) or None
        Their weights; None in the first step.
    copy : bool
        Whether the penalty pulls to these.
    temperature : float or None
        That of distillation, None for none.
    balance : bool
        Whether all classes have the same total weight.
    alpha : float
    fit_intercept : bool
    caller : str
        For messages.
    """
    phi = phi.astype(np.float64, copy=False)
    codes, old = positions(known, rows.y), positions(known, before)
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    rule = "balanced" if balance else None
    weight = apply_class_weight(rule, known, codes, weight, caller)
    centre, keep = np.zeros((len(known), phi.shape[1] + 1)), None
    if theta_before is not None:
        if copy:
            centre[old] = theta_before
        if temperature is not None:
            logits = logits_of(phi, theta_before)
            keep = distillation(old, logits, len(known), temperature)
    share = weight / weight.sum()
    return HeadProblem(phi, codes, share, centre, alpha, fit_intercept, keep)


def aligned_head(
    theta: Array, old: NDArray[np.bool_], *, p: float, align_bias: str
) -> tuple[Array, float]:
    """Return weights [W, b] (n_classes, d + 1) with new rows aligned, and the factor.

    Parameters
    ----------
    theta : ndarray of shape (n_classes, d + 1)
    old : ndarray of shape (n_classes,)
    p : float
    align_bias : str
    """
    W, b = theta[:, :-1], theta[:, -1]
    # Rows that are all zero, as those of one class alone or clipped ones, are none to
    # go by; with old or new classes only there is nothing to align.
    if not (W[old].any() and W[~old].any()):
        return theta, 1.0
    W, gamma, b = align_weights(W, old, p=p, bias=b, align_bias=align_bias)
    return np.column_stack([W, b]), gamma
