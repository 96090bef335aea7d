"""Task vectors: what fine-tuning added to the weights of a base model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._entry import Array
from statlearn.merging._state._fitted_models import get_weights
from statlearn.merging._state._layouts import check_models
from statlearn.merging._task_vectors._named_arrays import NamedArrays


class TaskVector(NamedArrays):
    """Weights of a tuned model minus those of its base, with the algebra of a vector.

    Add task vectors to learn several tasks, subtract one to forget it, scale one to
    change its strength, and `apply` the result to the base. To merge with one of the
    published rules, use :func:`merge_weights`.

    Parameters
    ----------
    arrays : mapping of str to array-like
        Differences under the names of the model's arrays. They are copied.

    Raises
    ------
    ValueError
        If an array holds NaN or infinity.

    See Also
    --------
    task_vector : Make one from two models.
    WeightSignature : The part of a task vector that robust training alone adds.
    merge_weights : Rules that resolve conflicts between task vectors.

    Notes
    -----
    A task vector holds float64 arrays, so adding it to a base in single precision gives
    the tuned model to the last bit, but for numbers that are more than 10^8 times
    smaller than those they replace. Every operation is one pass over the numbers.

    References
    ----------
    G. Ilharco, M. T. Ribeiro, M. Wortsman, S. Gururangan, L. Schmidt, H. Hajishirzi,
    A. Farhadi. "Editing Models with Task Arithmetic". ICLR 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import task_vector
    >>> base = {"w": np.array([1.0, 2.0])}
    >>> first = task_vector({"w": np.array([1.5, 2.0])}, base)
    >>> second = task_vector({"w": np.array([1.0, 1.0])}, base)
    >>> (first - 2 * second).apply(base)
    {'w': array([1.5, 4. ])}
    """


def task_vector(model: Any, base: Any) -> TaskVector:
    """Return what a tuned model adds to the weights of its base.

    Parameters
    ----------
    model : estimator, torch module or mapping
        Tuned model, or its state dict.
    base : estimator, torch module or mapping
        Model that the tuning started from, of the same layout.

    Returns
    -------
    TaskVector
        Differences of all floating arrays; counters and other integers are left out.

    Raises
    ------
    ValueError
        If names or shapes differ, or a number is not finite.

    See Also
    --------
    TaskVector : What can be done with it.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import task_vector
    >>> task_vector({"w": np.array([3.0])}, {"w": np.array([1.0])})["w"]
    array([2.])
    """
    tuned, start = get_weights(model), get_weights(base)
    check_models(start, [tuned], "task_vector")
    differences: dict[str, Array] = {}
    for name in start:
        origin = to_array(start[name])
        if origin.dtype.kind == "f":
            differences[name] = to_array(tuned[name]).astype(np.float64) - origin
    return TaskVector(differences)


def cosine_matrix(models: Sequence[Any], base: Any) -> Array:
    """Return the cosines between the task vectors of several models.

    Parameters
    ----------
    models : sequence of estimators, torch modules, mappings or TaskVector
        Tuned models, or their task vectors.
    base : estimator, torch module or mapping
        Model that they all started from; not looked at for task vectors.

    Returns
    -------
    ndarray of shape (n_models, n_models)
        Cosines over all arrays together, in [-1, 1]; 0 beside a model that is its base.

    Raises
    ------
    ValueError
        If names or shapes differ.

    See Also
    --------
    TaskVectorDisplay : Draws this matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import cosine_matrix
    >>> base = {"w": np.zeros(2)}
    >>> cosine_matrix([{"w": np.array([1.0, 0.0])}, {"w": np.array([0.0, 2.0])}], base)
    array([[1., 0.],
           [0., 1.]])
    """
    vectors = [m if isinstance(m, TaskVector) else task_vector(m, base) for m in models]
    if not vectors:
        raise ValueError(
            "cosine_matrix needs at least one model. Got none; pass a list of models."
        )
    check_models(vectors[0], vectors, "cosine_matrix")
    gram = np.zeros((len(vectors), len(vectors)))
    for name in vectors[0]:
        rows = np.stack([vector[name].ravel() for vector in vectors])
        gram += rows @ rows.T
    norms = np.sqrt(np.diag(gram))
    scales = np.outer(norms, norms)
    return np.divide(gram, scales, out=np.zeros_like(gram), where=scales > 0.0)
