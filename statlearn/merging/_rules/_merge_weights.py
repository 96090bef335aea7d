"""The one function that calls any merge rule, for all arrays or some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from statlearn.merging._rules._methods import (
    MergeMethod,
    Rule,
    find_method,
)
from statlearn.merging._rules._name_choice import Patterns
from statlearn.merging._rules._tasks import Task, names_to_merge, plan
from statlearn.merging._state._arrays_and_tensors import (
    memory_of,
)
from statlearn.merging._state._fitted_models import get_weights
from statlearn.merging._state._layouts import State, listed
from statlearn.merging._state._merge_states import twins_of
from statlearn.merging._state._model_kinds import compare_models, listed_models


def merge_weights(
    base: Any,
    models: Sequence[Any],
    method: str | Rule = "r-tsvm",
    *,
    weights: Sequence[float] | None = None,
    scale: float = 1.0,
    density: float | None = None,
    random_state: Any = None,
    include: str | Iterable[str] | None = None,
    exclude: str | Iterable[str] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> dict[str, Any]:
    r"""Merge tuned models of one architecture into one set of weights.

    Models that were tuned from one base for different tasks can be combined without
    training, mostly without data. Models from different starts have to be lined up
    first, see :func:`match_many`.

    Parameters
    ----------
    base : estimator, torch module, mapping or None
        Model that the tuning started from; see :func:`get_weights` for what is
        understood. None for rules that need no base.
    models : sequence of estimators, torch modules or mappings
        Tuned models with the names and shapes of the base.
    method : str or callable, default="r-tsvm"
        A name of :func:`list_merge_methods` (case, ``_`` and ``-`` do not matter), or a
        function ``rule(base, models, **options)`` on state dicts.
    weights : sequence of float, default=None
        One weight a model, for rules that take them; equal weights for None.
    scale : float, default=1.0
        Coefficient on what the rule adds to the base, λ in the papers. Rules with a
        parameter `lam` take it in place of this one, not beside it.
    density : float, default=None
        Share of the update that a rule keeps, for rules that have it; None for the
        default of the rule.
    random_state : int, Generator, RandomState or None, default=None
        Randomness of the rules that drop numbers at random; ignored by others.
    include, exclude : str or iterable of str, default=None
        Shell patterns of names. Arrays that are not included, or excluded, are copied
        from the base, whatever the models have under these names.
    overrides : mapping of str to mapping, default=None
        From a shell pattern to parameters of this function that replace the others for
        the arrays it matches, such as ``{"b*": {"method": "average"}}``. The first
        pattern that matches counts.
    **options : object
        Further parameters of the rule, such as ``convention="peft"`` of TIES.

    Returns
    -------
    dict of str to array or tensor
        New arrays in the order, shapes and data types of the base; turn them into a
        model with ``set_weights(model, merged)``. Integers are copied from the base;
        for running means and variances see the notes.

    Raises
    ------
    TypeError
        If a parameter is not one of the rule, a model has no weights, or an array
        holds no real numbers.
    ValueError
        If the method or a pattern is unknown; names, shapes, classes or activations
        differ; a number is not finite, or not in the data type of the base; or two
        names of one array are treated differently.

    Warns
    -----
    FactorMergingWarning
        If names are those of the two factors of low-rank adapters.

    See Also
    --------
    ModelMerger : Chooses the scale on validation data and leaves a fitted estimator.
    merge_files : The same for files that are larger than memory.
    match_weights : Line up models that were not tuned from one base.

    Notes
    -----
    Rules differ in the merged task vector :math:`\tau` of
    :math:`\theta = \theta_0 + \lambda \tau`. All compute in float64 and cost one or a
    few passes over the numbers, but those that decompose matrices (TSV-M, R-TSVM and
    Iso-C: one singular value decomposition a matrix and model).

    Running means and variances of normalisation layers follow the models, whatever the
    rule: with weights :math:`w_t` (`weights`; :math:`1 - t` and :math:`t` on an arc;
    equal ones for rules without) and :math:`w_t^+ = \max(w_t, 0)`, statistics
    :math:`\mu_t` of the models and :math:`\mu_0` of the base become

    .. math:: \mu_0 + \lambda \Bigl( \frac{\sum_t w_t^+ \mu_t}{\sum_t w_t^+} - \mu_0
              \Bigr),

    :math:`\mu_0` if no weight is positive, and a variance at least 0. Better ones come
    from a pass over data with the merged model.

    References
    ----------
    J. Yang, D. Jin, A. Tang, L. Shen, D. Zhu, Z. Chen, Z. Zhao, D. Wang, Q. Cui,
    Z. Zhang, J. Zhou, F. Wu, K. Kuang. "Mix Data or Merge Models? Balancing the
    Helpfulness, Honesty, and Harmlessness of Large Language Model via Model Merging".
    arXiv:2502.06876.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import merge_weights
    >>> base = {"W0": np.zeros((2, 2)), "b0": np.zeros(2)}
    >>> first = {"W0": np.array([[2.0, 0.0], [0.0, 0.0]]), "b0": np.ones(2)}
    >>> second = {"W0": np.array([[0.0, 0.0], [0.0, 4.0]]), "b0": np.ones(2)}
    >>> merge_weights(base, [first, second], "tsvm")["W0"]
    array([[2., 0.],
           [0., 4.]])
    >>> merge_weights(base, [first, second], "average", exclude="b*")["b0"]
    array([0., 0.])
    """
    return merged_for(
        "merge_weights",
        base,
        models,
        method,
        weights=weights,
        scale=scale,
        density=density,
        random_state=random_state,
        include=include,
        exclude=exclude,
        overrides=overrides,
        **options,
    )


def merged_for(
    caller: str,
    base: Any,
    models: Sequence[Any],
    method: str | Rule | MergeMethod,
    /,
    *,
    scale: float = 1.0,
    random_state: Any = None,
    include: Patterns = None,
    exclude: Patterns = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Do the work of `merge_weights`, in messages under the name of the caller."""
    row = find_method(method, caller)
    start, states = _read(base, models, row, caller)
    if base is None and scale != 1.0:
        raise ValueError(
            f"The 'scale' of {caller} moves from the base to the merged model. Got "
            f"{scale!r} and base=None; pass the base, or leave the scale at 1."
        )
    compare_models(models, caller, base=base)
    keep = names_to_merge(start, states, include, exclude, caller)
    _check_companions(start, options, caller)
    options |= {"scale": scale}
    tasks = plan(list(start), keep, row, options, random_state, overrides, caller)
    _check_shared(tasks, start, states, caller)
    merged: dict[str, Any] = {}
    for task in tasks:
        merged |= task.run(start, states, task.names)
    return {name: merged[name] for name in start}


def _read(
    base: Any, models: Sequence[Any], row: MergeMethod, caller: str
) -> tuple[State, list[State]]:
    """Return state dicts of base and models; the first model stands in for no base."""
    states = [get_weights(model) for model in listed_models(models, caller)]
    if base is not None:
        return get_weights(base), states
    if "base" in row.needs:
        raise ValueError(
            f"The rule {row.name!r} merges what tuning added to a base. Got base=None; "
            "pass the base, or a rule that needs none, such as 'average'."
        )
    return states[0], states


def _check_companions(base: State, options: Mapping[str, Any], caller: str) -> None:
    """Refuse names in grams and fishers that the base does not have."""
    for option in ("grams", "fishers"):
        for position, one in enumerate(options.get(option) or ()):
            unknown = sorted(set(one) - set(base))
            if unknown:
                raise ValueError(
                    f"The '{option}' of {caller} must have names of the base. Got "
                    f"{listed(unknown)} for model {position}; correct the names."
                )


def _check_shared(
    tasks: Sequence[Task], base: State, states: Sequence[State], caller: str
) -> None:
    """Refuse names of one array, as of tied layers, that get different treatment."""
    place = {name: number for number, task in enumerate(tasks) for name in task.names}
    for name, first in twins_of(base, []).items():
        if place[name] == place[first] or any(
            name in state
            and first in state
            and memory_of(state[name]) != memory_of(state[first])
            for state in states
        ):
            continue
        raise ValueError(
            f"Names of one array must be merged in one way by {caller}. Got "
            f"{first!r} and {name!r}, which share their numbers and are chosen or "
            "overridden apart; let the patterns match both, or pass copies."
        )
