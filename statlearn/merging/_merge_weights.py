"""The one function that calls any merge rule, for all arrays or some."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from statlearn.exceptions import FactorMergingWarning
from statlearn.merging._merger_inputs import compare_models, listed_models
from statlearn.merging._methods import (
    MERGE_METHODS,
    MergeMethod,
    Rule,
    find_method,
    option_advice,
)
from statlearn.merging._name_choice import Patterns, grouped, keeper
from statlearn.merging._state import (
    State,
    check_models,
    check_names,
    is_statistic,
    listed,
    twins_of,
)
from statlearn.merging._statistics import within_bounds
from statlearn.merging._values import copied, in_range, memory_of, to_array
from statlearn.merging._views import get_weights
from statlearn.utils._arrays import real_number
from statlearn.utils._rng import as_generator
from statlearn.utils._warn import warn

# What programs call the factors of a low-rank update, as a part of a name.
_FACTOR = re.compile(
    r"(?:^|[._])(lora_(?:embedding_)?[ab]|lora_down|lora_up)(?:[._]|$)", re.IGNORECASE
)
_PAIRS = (
    ("lora_a", "lora_b"),
    ("lora_embedding_a", "lora_embedding_b"),
    ("lora_down", "lora_up"),
)


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
    row = find_method(method)
    start, states = _read(base, models, row)
    if base is None and scale != 1.0:
        raise ValueError(
            "The 'scale' of merge_weights moves from the base to the merged model. "
            f"Got {scale!r} and base=None; pass the base, or leave the scale at 1."
        )
    compare_models([*models, base], "merge_weights")
    keep = names_to_merge(start, states, include, exclude, "merge_weights")
    _check_companions(start, options)
    options |= {"weights": weights, "scale": scale, "density": density}
    tasks = plan(list(start), keep, row, options, random_state, overrides)
    _check_shared(tasks, start, states)
    merged: dict[str, Any] = {}
    for task in tasks:
        merged |= task.run(start, states, task.names)
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

    def run(
        self, base: State, states: Sequence[State], names: Sequence[str]
    ) -> dict[str, Any]:
        """Merge arrays of some of its names, which models need for a rule alone."""
        part = _only(base, names)
        if self.row is None:
            twins = twins_of(part, [])
            copies = {name: copied(part[name]) for name in set(twins.values())}
            return {name: copies[twins[name]] for name in part}
        parts = [_only(state, names) for state in states]
        return _call(self.row, part, parts, dict(self.arguments))


def names_to_merge(
    base: State,
    states: Sequence[State],
    include: Patterns,
    exclude: Patterns,
    caller: str,
) -> Callable[[str], bool]:
    """Return what tells whether a name is merged, after a look at all of these.

    Other names are the base's alone, whatever the models have under them.
    """
    known: dict[str, None] = {}
    for position, state in enumerate((base, *states)):
        who = f"model {position - 1}" if position else "the base"
        check_names(state, who, caller)
        known |= dict.fromkeys(state)
    keep = keeper(known, include, exclude)
    check_models(base, states, caller, keep=keep)
    return keep


def plan(
    names: Sequence[str],
    keep: Callable[[str], bool],
    row: MergeMethod,
    settings: Mapping[str, Any],
    random_state: Any,
    overrides: Mapping[str, Mapping[str, Any]] | None,
) -> list[Task]:
    """Say what happens to which arrays; all tasks draw from one generator."""
    settings = {**settings, "random_state": as_generator(random_state)}
    rest = [name for name in names if keep(name)]
    left_out = [name for name in names if not keep(name)]
    _warn_of_factors(rest)
    tasks = [Task(left_out, None, {})] if left_out else []
    for chosen, changes in grouped(rest, overrides):
        arguments = {**settings, **changes}
        # Of the two names of the coefficient the one in the override counts.
        if "lam" in changes and "scale" not in changes:
            arguments["scale"] = 1.0
        elif "scale" in changes and "lam" not in changes:
            arguments.pop("lam", None)
        # A generator goes on from array to array, where a seed would start again.
        arguments["random_state"] = as_generator(arguments["random_state"])
        method = arguments.pop("method", row)
        tasks.append(Task(chosen, find_method(method), arguments))
    return tasks


def _read(
    base: Any, models: Sequence[Any], row: MergeMethod
) -> tuple[State, list[State]]:
    """Return state dicts of base and models; the first model stands in for no base."""
    states = [get_weights(model) for model in listed_models(models, "merge_weights")]
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


def _check_shared(tasks: Sequence[Task], base: State, states: Sequence[State]) -> None:
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
            "Names of one array must be merged in one way by merge_weights. Got "
            f"{first!r} and {name!r}, which share their numbers and are chosen or "
            "overridden apart; let the patterns match both, or pass copies."
        )


def _warn_of_factors(names: Iterable[str]) -> None:
    """Warn if both factors of a low-rank update are among what is merged."""
    found = {
        match[1].lower(): name for name in names if (match := _FACTOR.search(name))
    }
    for pair in _PAIRS:
        if all(part in found for part in pair):
            shown = listed([found[part] for part in pair])
            warn(
                "Merge rules expect weights that add up. Got factors of low-rank "
                f"adapters such as {shown}: a product of merged factors is not the "
                "merged update; fold the adapters into the weights first, with "
                "statlearn.neural.fold or merge_and_unload of PEFT.",
                FactorMergingWarning,
            )
            return


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
    if not isfinite(scale):
        raise ValueError(
            f"The 'scale' of merge_weights must be finite. Got {scale}; pass a number "
            "such as 0.4."
        )
    if "lam" in given and scale != 1.0:
        raise ValueError(
            "The coefficient of merge_weights must be given once, as 'scale' or as "
            f"'lam'. Got scale={scale} and lam={given['lam']!r}; leave one out."
        )
    if "lam" in takes:
        given.setdefault("lam", scale)
    unknown = sorted(set(given) - set(takes) - set(row.preset))
    if unknown and not open_ended:
        options = sorted(set(takes) - {"base", "models", "lam"} - set(row.preset))
        raise TypeError(
            f"The rule {row.name!r} takes {', '.join(options) or 'no parameters'}. Got "
            f"{listed(unknown)}; {option_advice(row, unknown)}"
        )
    merged = row.function(base, states, **{**row.preset, **given})
    _check_result(row, merged, base)
    return merged if "lam" in takes else _rescale(base, merged, scale)


def _check_result(row: MergeMethod, merged: Any, base: State) -> None:
    """Refuse what a rule of the caller returns, if it is no model."""
    if row is MERGE_METHODS.get(row.name):
        return
    if not isinstance(merged, Mapping) or merged.keys() != set(base):
        found: Any = type(merged).__name__
        if isinstance(merged, Mapping):
            found = listed(list(merged))
        raise ValueError(
            f"The rule {row.name!r} must return a dict with the names of the base, "
            f"{listed(list(base))}. Got {found}; return one array for each name."
        )
    for name in base:
        start, found = to_array(base[name]), to_array(merged[name])
        if found.shape != start.shape or not np.can_cast(
            found.dtype, start.dtype, "same_kind"
        ):
            raise ValueError(
                f"The array {name!r} of the rule {row.name!r} must have the shape "
                f"{start.shape} and fit the type {start.dtype}. Got shape {found.shape}"
                f" and dtype {found.dtype}; a merge rule returns arrays of the base's "
                "shapes and kinds."
            )


def _rescale(base: State, merged: dict[str, Any], scale: float) -> dict[str, Any]:
    """Scale what a rule without a coefficient of its own adds to the base."""
    if scale == 1.0:
        return merged
    scaled: dict[str, Any] = {}
    for name, value in merged.items():
        start, end = to_array(base[name]), to_array(value)
        if start.dtype.kind != "f":
            scaled[name] = value
            continue
        origin = start.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = origin + scale * (end - origin)
            if is_statistic(name):
                moved = within_bounds(moved, name)
            moved = moved.astype(start.dtype)
        scaled[name] = in_range(moved, base[name], name, "merge_weights")
    return scaled


# --- which names -------------------------------------------------------------


def _only(state: State, names: Iterable[str]) -> State:
    """Return the part of a state dict with these names."""
    chosen = list(names)
    if len(chosen) == len(state):
        return state
    return {name: state[name] for name in chosen}
