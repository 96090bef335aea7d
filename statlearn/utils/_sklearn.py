"""The only file that imports private names of scikit-learn.

A release of scikit-learn that moves one of them is mended here and nowhere else.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from sklearn.base import _fit_context as fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import _safe_indexing as take_rows
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
)
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.parallel import _get_threadpool_controller
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "BaseComposition",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "blas_threads_for",
    "check_sample_weight",
    "fit_context",
    "take_rows",
]

# Below this many elements a product is over before a second thread has woken up.
_WORTH_THREADS = 4_000_000


def blas_threads_for(n_elements: int) -> AbstractContextManager[object]:
    """Return a context in which small matrix products run on one thread.

    Parameters
    ----------
    n_elements : int
        Size of the matrix that is multiplied again and again.

    Returns
    -------
    context : context manager
        One BLAS thread for small matrices; no change for large ones.
    """
    if n_elements >= _WORTH_THREADS:
        return nullcontext()
    return _get_threadpool_controller().limit(limits=1, user_api="blas")
