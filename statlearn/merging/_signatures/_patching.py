"""Weight signatures at work: added to a model, for good or for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from statlearn.merging._signatures._weight_signature import WeightSignature
from statlearn.merging._state._fitted_models import get_weights, set_weights
from statlearn.utils._numbers import real_number


def apply_signature(
    model: Any,
    *signatures: WeightSignature,
    alpha: float | Sequence[float] | None = None,
) -> Any:
    """Return a model with signatures added to its weights.

    Parameters
    ----------
    model : estimator, torch module or mapping
        Clean model of the signatures' architecture; it is not changed.
    *signatures : WeightSignature
        One or several; their order does not matter.
    alpha : float or sequence of float, default=None
        Strength, of all or of each; None is 1 for one signature and 1/n for n. It is
        the factor itself; the published code multiplies by it twice, so that its alpha
        acts as the square.

    Returns
    -------
    estimator, torch module or dict
        What was passed, with new weights in the data types of the old ones.

    Raises
    ------
    TypeError
        If something is no signature.
    ValueError
        If there are no signatures, a number of strengths that is not theirs, or a
        signature of another architecture.

    See Also
    --------
    patched : Change the model itself, for a while.
    weight_signature : Extract a signature.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import WeightSignature, apply_signature
    >>> noise, blur = WeightSignature({"w": [1.0]}), WeightSignature({"w": [3.0]})
    >>> apply_signature({"w": np.array([10.0])}, noise, blur)
    {'w': array([12.])}
    """
    return combine(signatures, alpha, "apply_signature").apply(model)


@contextmanager
def patched(
    model: Any,
    *signatures: WeightSignature,
    alpha: float | Sequence[float] | None = None,
) -> Iterator[Any]:
    """Change a model itself within a ``with`` block, and restore it to the bit.

    Parameters
    ----------
    model : estimator, torch module or mutable mapping
        Clean model of the signatures' architecture.
    *signatures : WeightSignature
        One or several.
    alpha : float or sequence of float, default=None
        Strength, as in :func:`apply_signature`.

    Yields
    ------
    estimator, torch module or mutable mapping
        The model, patched. After the block, also if it ends in an error, it has the
        numbers that it had before.

    Raises
    ------
    TypeError
        If something is no signature, or the model is a mapping that cannot change.
    ValueError
        If the signatures do not fit the model.

    See Also
    --------
    apply_signature : Leave the model alone and return a patched copy.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import WeightSignature, patched
    >>> model = {"w": np.array([0.1])}
    >>> with patched(model, WeightSignature({"w": [0.2]})):
    ...     print(model["w"].round(6))
    [0.3]
    >>> model["w"]
    array([0.1])
    """
    if isinstance(model, Mapping) and not isinstance(model, MutableMapping):
        raise TypeError(
            "patched changes the model itself, here a mapping of names to arrays. Got "
            f"{type(model).__name__}, which cannot change; use apply_signature."
        )
    weights = get_weights(model)
    changed = combine(signatures, alpha, "patched").apply(dict(weights))
    if isinstance(model, MutableMapping):
        before = dict(model)
        model.update(changed)
        try:
            yield model
        finally:
            model.update(before)
        return
    # Copies, since the arrays of a module or an estimator may be written into.
    original = set_weights(dict(weights), weights)
    set_weights(model, changed, copy=False)
    try:
        yield model
    finally:
        set_weights(model, original, copy=False)


def combine(
    signatures: Sequence[WeightSignature],
    alpha: float | Sequence[float] | None,
    caller: str,
) -> WeightSignature:
    """Return the sum of signatures, each times its strength."""
    for one in signatures:
        if not isinstance(one, WeightSignature):
            raise TypeError(
                f"{caller} adds objects of class WeightSignature. Got "
                f"{type(one).__name__}; make one with weight_signature."
            )
    if not signatures:
        raise ValueError(
            f"{caller} needs at least one signature. Got none; pass signatures after "
            "the model."
        )
    total, *others = (
        strength * one
        for one, strength in zip(
            signatures, _strengths(alpha, len(signatures), caller), strict=True
        )
    )
    for one in others:
        total = total + one
    return total


def _strengths(
    alpha: float | Sequence[float] | None, n_signatures: int, caller: str
) -> list[float]:
    if alpha is None:
        return [1.0 / n_signatures] * n_signatures
    if np.ndim(alpha) == 0:
        return [real_number(alpha, "alpha", caller)] * n_signatures
    strengths = [real_number(one, "alpha", caller) for one in np.asarray(alpha).flat]
    if len(strengths) != n_signatures:
        raise ValueError(
            f"The 'alpha' of {caller} must be one number, or one a signature, here "
            f"{n_signatures}. Got {len(strengths)}; pass as many as signatures."
        )
    return strengths
