"""Bitterness of white wine: 72 ratings, two treatments, five ordered answers."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from sklearn.utils import Bunch

# One row a treatment: temperature, contact, then how often 1, 2, 3, 4, 5 was given.
_COUNTS = (
    (0, 0, (4, 9, 5, 0, 0)),
    (0, 1, (1, 7, 8, 2, 0)),
    (1, 0, (0, 5, 8, 3, 2)),
    (1, 1, (0, 1, 5, 7, 5)),
)

_DESCR = """\
Bitterness of white wine
========================

Nine judges rated the bitterness of eight bottles of white wine from 1 (least) to 5
(most). Two treatments of the grapes were crossed, with two bottles for each of the
four combinations: temperature during crushing, and contact of juice and skins. The
table holds one row for each combination of treatments and rating that occurred, with
the number of ratings.

:Rows: 15 (72 ratings, 18 for each combination of treatments)
:Features: temp (0 = cold, 1 = warm), contact (0 = no, 1 = yes)
:Target: rating, 1 to 5
:Weights: count, how often the rating was given

Source: J. Randall (1989), "The analysis of sensory data by generalised linear model",
Biometrical Journal 31(7), 781-793. The R package ``ordinal`` by R. H. B. Christensen
carries the same data under the name ``wine``.
"""


@overload
def load_wine_bitterness(
    *, as_frame: bool = ..., return_X_y: Literal[False] = ...
) -> Bunch: ...
@overload
def load_wine_bitterness(
    *, as_frame: bool = ..., return_X_y: Literal[True]
) -> tuple[Any, Any]: ...
def load_wine_bitterness(
    *, as_frame: bool = False, return_X_y: bool = False
) -> Bunch | tuple[Any, Any]:
    """Load the ratings of the bitterness of white wine.

    A classic of ordinal regression with published estimates: small, balanced, and
    with cells that stayed empty. Judges and bottles are pooled.

    Parameters
    ----------
    as_frame : bool, default=False
        Whether the data are pandas objects instead of NumPy arrays.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` with one row for each of the 72 ratings.
        Ratings are written out here because a pair has no place for weights.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With these entries:

        data : ndarray or DataFrame of shape (15, 2)
            Treatments ``temp`` and ``contact``, coded 0 and 1.
        target : ndarray or Series of shape (15,)
            Ratings from 1 to 5.
        sample_weight : ndarray or Series of shape (15,)
            How often the rating was given.
        frame : DataFrame of shape (15, 4)
            ``temp``, ``contact``, ``rating``, ``count``. Only with ``as_frame=True``.
        feature_names : list of str
            Names of the columns.
        target_names : list of str
            Words for the ratings.
        DESCR : str
            Origin and meaning of the data.

    (data, target) : tuple if ``return_X_y=True``
        Shapes (72, 2) and (72,).

    See Also
    --------
    load_marriage_rating : A larger survey with a rare class.

    Examples
    --------
    >>> from statlearn.datasets import load_wine_bitterness
    >>> wine = load_wine_bitterness()
    >>> wine.data.shape, int(wine.sample_weight.sum())
    ((15, 2), 72)
    >>> X, y = load_wine_bitterness(return_X_y=True)
    >>> X.shape, y.shape
    ((72, 2), (72,))
    """
    table = _as_rows()
    data, target = table[:, :2].astype(np.float64), table[:, 2]
    weight = table[:, 3].astype(np.float64)
    if return_X_y:
        ratings = np.repeat(np.arange(len(table)), table[:, 3])
        data, target, weight = data[ratings], target[ratings], np.ones(len(ratings))
    names = ["temp", "contact"]
    frame = None
    if as_frame:
        frame, data, target, weight = _as_pandas(data, target, weight, names)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        sample_weight=weight,
        frame=frame,
        feature_names=names,
        target_names=["1 (least bitter)", "2", "3", "4", "5 (most bitter)"],
        DESCR=_DESCR,
    )


def _as_rows() -> np.ndarray:
    """Occurring cells as rows (temp, contact, rating, count)."""
    rows = [
        (temp, contact, rating, count)
        for temp, contact, counts in _COUNTS
        for rating, count in enumerate(counts, start=1)
        if count
    ]
    return np.array(rows, dtype=np.int64)


def _as_pandas(
    data: np.ndarray, target: np.ndarray, weight: np.ndarray, names: list[str]
) -> tuple[Any, Any, Any, Any]:
    """Frame, features, target and weights as pandas objects sharing one index."""
    from statlearn.utils._optional import require

    pandas = require("pandas", None, "load_wine_bitterness(as_frame=True)")
    frame = pandas.DataFrame(data, columns=names)
    frame["rating"] = target
    frame["count"] = weight
    return frame, frame[names], frame["rating"], frame["count"]
