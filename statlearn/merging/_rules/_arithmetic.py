"""Merge rules that are one weighted sum: the average and task arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._rules._model_weights import model_weights
from statlearn.merging._state._entry import Entry
from statlearn.merging._state._layouts import State, check_models
from statlearn.merging._state._merge_states import blockwise, merge_states
from statlearn.utils._numbers import real_number


def average(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    normalize: bool = True,
) -> dict[str, Any]:
    r"""Average the weights of models (a "model soup").

    For models that were tuned from one base on the same or similar tasks; the more the
    tasks differ, the more the average forgets of each.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that gives names, data types and integer entries; its other numbers
        do not enter.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Weights of the models, of any sign; ones for None.
    normalize : bool, default=True
        Whether the weights are divided by their sum. Without it the weights count as
        they are, so weights that do not sum to one rescale the whole network.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If something is no state dict.
    ValueError
        If the weights sum to zero with `normalize`, a number is not finite, or names or
        shapes differ.

    See Also
    --------
    task_arithmetic : Adds up what each model has learned instead.
    fisher_merge : Weights each number by how much the model depends on it.
    torch.optim.swa_utils.AveragedModel : A running average along one training.

    Notes
    -----
    .. math:: \theta = \frac{\sum_t w_t \theta_t}{\sum_t w_t} .

    Time is one pass over the models, memory that of the result.

    References
    ----------
    Mitchell Wortsman, Gabriel Ilharco, Samir Yitzhak Gadre, et al. Model Soups:
    Averaging Weights of Multiple Fine-tuned Models Improves Accuracy without Increasing
    Inference Time. ICML, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import average
    >>> base = {"W": np.zeros(2)}
    >>> models = [{"W": np.array([1.0, 2.0])}, {"W": np.array([3.0, 6.0])}]
    >>> average(base, models)["W"]
    array([2., 4.])
    >>> average(base, models, weights=[3.0, 1.0])["W"]
    array([1.5, 3. ])
    """
    check_models(base, models, "average")
    shares = model_weights(weights, len(models), "average")
    if normalize:
        total = shares.sum()
        if total == 0.0:
            raise ValueError(
                "The 'weights' of average must not sum to zero. Got "
                f"{shares.tolist()}; pass other weights, or normalize=False."
            )
        shares = shares / total

    def kernel(entry: Entry) -> NDArray[Any]:
        merged = np.empty(entry.size, dtype=entry.base.dtype)
        scratch = entry.scratch()
        mean = np.empty(scratch.shape[1])
        for block in entry.blocks():
            values = entry.values(block, scratch)
            merged[block] = np.dot(shares, values, out=mean[: values.shape[1]])
        return merged

    return merge_states(
        base, models, kernel, rule="average", propagates=True, shares=shares
    )


def task_arithmetic(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    lam: float = 1.0,
) -> dict[str, Any]:
    r"""Add what the models have learned to the base.

    The simplest way to join different tasks, and the yardstick of all others. A
    negative weight takes away what a model has learned. Tune `lam`: with several tasks
    values of 0.3 to 0.4 are usual, 1 is often too far.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Factors on the task vectors, of any sign; ones for None. They are not divided by
        their sum.
    lam : float, default=1.0
        Coefficient on the sum of the task vectors.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If `lam` is no number, or something is no state dict.
    ValueError
        If a number is not finite, or names or shapes differ.

    See Also
    --------
    TaskVector : The same sums, one by one.
    ties : Drops small updates and those of the minority's sign first.
    tsv_merge : Turns the singular vectors of the tasks away from each other first.

    Notes
    -----
    With task vectors :math:`\delta_t = \theta_t - \theta_0`,

    .. math:: \theta = \theta_0 + \lambda \sum_t w_t \delta_t .

    Time is one pass over base and models, memory that of the result.

    References
    ----------
    Gabriel Ilharco, Marco Tulio Ribeiro, Mitchell Wortsman, Suchin Gururangan, Ludwig
    Schmidt, Hannaneh Hajishirzi, Ali Farhadi. Editing Models with Task Arithmetic.
    ICLR, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import task_arithmetic
    >>> base = {"W": np.array([1.0, 1.0])}
    >>> models = [{"W": np.array([2.0, 1.0])}, {"W": np.array([1.0, 5.0])}]
    >>> task_arithmetic(base, models, lam=0.5)["W"]
    array([1.5, 3. ])
    >>> task_arithmetic(base, models, weights=[1.0, -1.0])["W"]
    array([ 2., -3.])
    """
    check_models(base, models, "task_arithmetic")
    shares = model_weights(weights, len(models), "task_arithmetic")
    scale = real_number(lam, "lam", "task_arithmetic")
    factors = scale * shares
    return merge_states(
        base,
        models,
        blockwise(lambda start, updates: start + factors @ updates),
        rule="task_arithmetic",
        propagates=True,
        shares=shares,
        lam=scale,
    )
