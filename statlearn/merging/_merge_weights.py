"""The one function that calls any merge rule, for all arrays or some."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from statlearn.merging._methods import MergeMethod, Rule, find_method
from statlearn.merging._state import (
    RUNNING_STATISTICS,
    State,
    check_models,
    listed,
    restorer,
    to_array,
)
from statlearn.merging._views import get_weights
from statlearn.utils._arrays import real_number
from statlearn.utils._rng import as_generator


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
        Coefficient on what the rule adds to the base, λ in the papers.
    density : float, default=None
        Share of the update that a rule keeps, for rules that have it; None for the
        default of the rule.
    random_state : int, Generator, RandomState or None, default=None
        Randomness of the rules that drop numbers at random; ignored by others.
    include, exclude : str or iterable of str, default=None
        Shell patterns of names. Arrays that are not included, or excluded, are copied
        from the base.
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
        model with ``set_weights(model, merged)``. Integers are copied from the base,
        running means and variances are averaged.

    Raises
    ------
    TypeError
        If a parameter is not one of the rule, or a model has no weights.
    ValueError
        If the method or a pattern is unknown, names or shapes differ, or a number is
        not finite.

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
    row = find_method(method)
    start, states = _read(base, models, row)
    if base is None and scale != 1.0:
        raise ValueError(
            "The 'scale' of merge_weights moves from the base to the merged model. "
            f"Got {scale!r} and base=None; pass the base, or leave the scale at 1."
        )
    check_models(start, states, "merge_weights")
    _check_companions(start, options)
    options |= {"weights": weights, "scale": scale, "density": density}
    merged: dict[str, Any] = {}
    for task in plan(
        list(start), row, options, random_state, include, exclude, overrides
    ):
        part = _only(start, task.names)
        merged |= task.run(part, [_only(state, part) for state in states])
    return {name: merged[name] for name in start}


@dataclass(frozen=True, slots=True)
class Task:
    """Names that are merged by one rule with one choice of parameters.

    Attributes
    ----------
    names : list of str
        Names of the arrays.
    row : MergeMethod or None
        The rule; None for arrays that are copied from the base.
    arguments : dict of str to object
        Parameters of the rule, of `merge_weights` and its own.
    """

    names: list[str]
    row: MergeMethod | None
    arguments: dict[str, Any]

    @property
    def by_array(self) -> bool:
        """Whether each array is merged alone."""
        on_one_vector = self.arguments.get("convention") == "authors"
        return self.row is None or (self.row.by_array and not on_one_vector)

    def run(self, base: State, states: Sequence[State]) -> dict[str, Any]:
        """Merge arrays of these names, all of them or some."""
        if self.row is None:
            return {name: _copy(base[name]) for name in base}
        return _call(self.row, base, states, dict(self.arguments))


def plan(
    names: Sequence[str],
    row: MergeMethod,
    settings: Mapping[str, Any],
    random_state: Any,
    include: str | Iterable[str] | None,
    exclude: str | Iterable[str] | None,
    overrides: Mapping[str, Mapping[str, Any]] | None,
) -> list[Task]:
    """Say what happens to which arrays; all tasks draw from one generator."""
    settings = {**settings, "random_state": as_generator(random_state)}
    left_out = _left_out(names, include, exclude)
    tasks = [Task(left_out, None, {})] if left_out else []
    rest = [name for name in names if name not in set(left_out)]
    for chosen, changes in _groups(rest, overrides or {}):
        arguments = {**settings, **changes}
        # A generator goes on from array to array, where a seed would start again.
        arguments["random_state"] = as_generator(arguments["random_state"])
        method = arguments.pop("method", row)
        tasks.append(Task(chosen, find_method(method), arguments))
    return tasks


def _read(
    base: Any, models: Sequence[Any], row: MergeMethod
) -> tuple[State, list[State]]:
    """Return state dicts of base and models; the first model stands in for no base."""
    if isinstance(models, Mapping) or not isinstance(models, Sequence):
        raise TypeError(
            "The 'models' of merge_weights must be a list of models. Got "
            f"{type(models).__name__}; put them into a list, also if it is one."
        )
    if not models:
        raise ValueError(
            "merge_weights needs at least one model. Got an empty list; pass models."
        )
    states = [get_weights(model) for model in models]
    if base is not None:
        return get_weights(base), states
    if "base" in row.needs:
        raise ValueError(
            f"The rule {row.name!r} merges what tuning added to a base. Got base=None; "
            "pass the base, or a rule that needs none, such as 'average'."
        )
    return states[0], states


def _check_companions(base: State, options: Mapping[str, Any]) -> None:
    """Refuse names in grams and fishers that the base does not have."""
    for option in ("grams", "fishers"):
        for position, one in enumerate(options.get(option) or ()):
            unknown = sorted(set(one) - set(base))
            if unknown:
                raise ValueError(
                    f"The '{option}' of merge_weights must have names of the base. Got "
                    f"{listed(unknown)} for model {position}; correct the names."
                )


def _call(
    row: MergeMethod, base: State, states: Sequence[State], arguments: dict[str, Any]
) -> dict[str, Any]:
    """Call one rule for some of the names."""
    takes = inspect.signature(row.function).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    scale = real_number(arguments.pop("scale"), "scale", "merge_weights")
    given = {
        name: value
        for name, value in arguments.items()
        if name not in {"weights", "density", "random_state"} or value is not None
    }
    if "random_state" not in takes and not open_ended:
        del given["random_state"]
    if "lam" in takes:
        given.setdefault("lam", scale)
    unknown = sorted(set(given) - set(takes) - set(row.preset))
    if unknown and not open_ended:
        options = sorted(set(takes) - {"base", "models", "lam"} - set(row.preset))
        raise TypeError(
            f"The rule {row.name!r} takes {', '.join(options) or 'no parameters'}. Got "
            f"{listed(unknown)}; leave them out or choose another rule."
        )
    merged = row.function(base, states, **{**row.preset, **given})
    return merged if "lam" in takes else _rescale(base, merged, scale)


def _rescale(base: State, merged: dict[str, Any], scale: float) -> dict[str, Any]:
    """Scale what a rule without a coefficient of its own adds to the base."""
    if scale == 1.0:
        return merged
    scaled: dict[str, Any] = {}
    for name, value in merged.items():
        start, end = to_array(base[name]), to_array(value)
        statistic = name.rpartition(".")[2] in RUNNING_STATISTICS
        if start.dtype.kind != "f" or statistic:  # which are no updates
            scaled[name] = value
            continue
        origin = start.astype(np.float64)
        moved = origin + scale * (end - origin)
        scaled[name] = restorer(base[name])(moved.astype(start.dtype))
    return scaled


# --- which names -------------------------------------------------------------


def _only(state: State, names: Iterable[str]) -> State:
    """Return the part of a state dict with these names."""
    chosen = list(names)
    if len(chosen) == len(state):
        return state
    return {name: state[name] for name in chosen}


def _copy(value: Any) -> Any:
    return restorer(value)(to_array(value).copy())


def _patterns(
    patterns: str | Iterable[str], name: str, names: Sequence[str]
) -> list[str]:
    """Return patterns as a list, each of which matches something."""
    found = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in found:
        if not any(fnmatchcase(key, pattern) for key in names):
            raise ValueError(
                f"Each pattern in '{name}' of merge_weights must match an array. Got "
                f"{pattern!r} and arrays {listed(names)}; correct the pattern."
            )
    return found


def _left_out(
    names: Sequence[str],
    include: str | Iterable[str] | None,
    exclude: str | Iterable[str] | None,
) -> list[str]:
    """Return the names that are not to be merged."""
    wanted = None if include is None else _patterns(include, "include", names)
    unwanted = [] if exclude is None else _patterns(exclude, "exclude", names)
    return [
        name
        for name in names
        if (wanted is not None and not any(fnmatchcase(name, p) for p in wanted))
        or any(fnmatchcase(name, p) for p in unwanted)
    ]


def _groups(
    names: Sequence[str], overrides: Mapping[str, Mapping[str, Any]]
) -> list[tuple[list[str], Mapping[str, Any]]]:
    """Put each name to the first override that matches, or to the rest."""
    patterns = _patterns(overrides, "overrides", names)
    chosen: dict[str | None, list[str]] = {pattern: [] for pattern in patterns}
    chosen[None] = []
    for name in names:
        chosen[next((p for p in patterns if fnmatchcase(name, p)), None)].append(name)
    return [
        (group, {} if pattern is None else overrides[pattern])
        for pattern, group in chosen.items()
        if group
    ]
