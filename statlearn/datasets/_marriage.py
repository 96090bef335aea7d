"""How women rated their marriage: five ordered answers, the lowest one rare."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from sklearn.utils import Bunch

_FEATURE_NAMES = [
    "age",
    "yrs_married",
    "children",
    "religious",
    "educ",
    "occupation",
    "occupation_husb",
]
_TARGET = "rate_marriage"
#: Abundant end first, so that the rare answer is the last class.
_CATEGORIES = (5, 4, 3, 2, 1)
_CATEGORY_NAMES = ["very good", "good", "fair", "poor", "very poor"]

_DESCR = """\
Rating of one's marriage
========================

Readers of a women's magazine, in their first marriage, rated it in 1974 from 1 (very
poor) to 5 (very good). The lowest answer is rare: 99 of 6366. Time spent in affairs,
which the survey is known for, is left out of the features, being an outcome as well.

:Rows: 6366
:Features: age (years, mid-points of intervals), yrs_married (years, mid-points),
    children (number), religious (1 not ... 4 strongly), educ (years of schooling),
    occupation and occupation_husb (1 student, 2 farming or unskilled, 3 white-collar,
    4 teacher, nurse, artist or technician, 5 managerial, 6 professional)
:Target: rate_marriage, 5 to 1; counts 2684, 2242, 993, 348, 99

Source: R. C. Fair (1978), "A theory of extramarital affairs", Journal of Political
Economy 86(1), 45-61. Read from the copy that statsmodels carries as ``fair``.
"""


@overload
def load_marriage_rating(
    *, as_frame: bool = ..., return_X_y: Literal[False] = ...
) -> Bunch: ...
@overload
def load_marriage_rating(
    *, as_frame: bool = ..., return_X_y: Literal[True]
) -> tuple[Any, Any]: ...
def load_marriage_rating(
    *, as_frame: bool = False, return_X_y: bool = False
) -> Bunch | tuple[Any, Any]:
    """Load the survey on the rating of one's marriage.

    The answers keep the numbers of the questionnaire, in which 5 is best. Their order
    as classes runs from 5 down to 1, so that the rare answer comes last: pass
    ``categories=data.categories`` to an ordinal estimator, or take the data as a frame,
    whose target is an ordered categorical.

    Parameters
    ----------
    as_frame : bool, default=False
        Whether the data are pandas objects instead of NumPy arrays.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With these entries:

        data : ndarray or DataFrame of shape (6366, 7)
            The features.
        target : ndarray or Series of shape (6366,)
            Answers 5 (very good) to 1 (very poor).
        frame : DataFrame of shape (6366, 8)
            Features and target. Only with ``as_frame=True``.
        feature_names : list of str
            Names of the columns.
        categories : tuple of int
            The classes in their order, ``(5, 4, 3, 2, 1)``.
        target_names : list of str
            Words for the classes, in the same order.
        DESCR : str
            Origin and meaning of the data.

    (data, target) : tuple if ``return_X_y=True``
        Features and answers.

    See Also
    --------
    load_wine_bitterness : A small table with published estimates.
    make_rare_ordinal : Simulated rare events with known probabilities.

    Examples
    --------
    >>> from statlearn.datasets import load_marriage_rating
    >>> survey = load_marriage_rating()
    >>> survey.data.shape, survey.categories
    ((6366, 7), (5, 4, 3, 2, 1))
    >>> int((survey.target == 1).sum())
    99
    """
    from statlearn.utils._optional import require

    fair = require("statsmodels.datasets.fair", None, "load_marriage_rating")
    table = fair.load_pandas().data
    data = table[_FEATURE_NAMES].astype(np.float64)
    target = table[_TARGET].astype(np.int64)
    frame = None
    if as_frame:
        target = _as_ordered(target)
        frame = data.assign(**{_TARGET: target})
    else:
        data, target = data.to_numpy(), target.to_numpy()
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=list(_FEATURE_NAMES),
        categories=_CATEGORIES,
        target_names=list(_CATEGORY_NAMES),
        DESCR=_DESCR,
    )


def _as_ordered(target: Any) -> Any:
    """Series of answers as an ordered categorical with the rare answer last."""
    from statlearn.utils._optional import require

    pandas = require("pandas", None, "load_marriage_rating(as_frame=True)")
    order = pandas.CategoricalDtype(list(_CATEGORIES), ordered=True)
    return target.astype(order)
