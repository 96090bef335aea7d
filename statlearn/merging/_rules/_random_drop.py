"""Rules that drop updates at random and enlarge the others: DARE and DELLA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._rules._model_weights import model_weights
from statlearn.merging._rules._signs import combine
from statlearn.merging._state._entry import BLOCK, Array, Entry
from statlearn.merging._state._layouts import State, check_models
from statlearn.merging._state._merge_states import merge_states, merged_names
from statlearn.utils._numbers import number_in, real_number
from statlearn.utils._rng import as_generator

RESCALES = ("inverse", "l1", "l2", None)

# Multiplies updates (T, b) of one array by random factors, in place; zero drops.
Drop = Callable[[Array, np.random.Generator], None]


def dare(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    drop: float = 0.5,
    lam: float = 1.0,
    rescale: str | None = "inverse",
    consensus: bool = False,
    random_state: Any = None,
) -> dict[str, Any]:
    r"""Drop updates at random, enlarge the others, and add them up (DARE).

    Updates of large networks are redundant: half or more of them can go, and sparse
    ones collide less. Small networks bear less of it.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Factors on the task vectors, of any sign; ones for None.
    drop : float, default=0.5
        Probability that a number of a task vector is dropped, in [0, 1). Beware that
        other programs ask for the density, one minus it.
    lam : float, default=1.0
        Coefficient on the merged task vector.
    rescale : {"inverse", "l1", "l2", None}, default="inverse"
        How the numbers that stay are enlarged: by 1 / (1 - drop), so that their
        expectation is the task vector; so that each array keeps its sum of magnitudes
        or its Euclidean norm, which bounds the factor but is biased; or not at all.
    consensus : bool, default=False
        Whether signs are elected and those that agree averaged, as in :func:`ties`,
        instead of a sum (DARE with TIES).
    random_state : int, Generator, RandomState or None, default=None
        Source of the drops, which do not depend on the order of the names.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If `drop` is outside [0, 1), `rescale` is unknown, a number is not finite, or
        names or shapes differ.

    See Also
    --------
    della : Drops small updates more often than large ones.
    ties : Drops small updates, without chance.
    torch.nn.functional.dropout : The same on activations.

    Notes
    -----
    With independent :math:`m_{ti} \sim \mathrm{Bernoulli}(1 - p)`,

    .. math:: \tau = \sum_t w_t \frac{m_t \odot \delta_t}{1 - p}, \qquad
              \mathrm{E} \, \tau = \sum_t w_t \delta_t .

    Time is one random number for each number of each model, two with "l1" and "l2";
    memory is that of the result and a few blocks.

    References
    ----------
    Le Yu, Bowen Yu, Haiyang Yu, Fei Huang, Yongbin Li. Language Models are Super Mario:
    Absorbing Abilities from Homologous Models as a Free Lunch. ICML, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import dare
    >>> base, model = {"W": np.zeros(6)}, {"W": np.ones(6)}
    >>> dare(base, [model], drop=0.5, random_state=0)["W"]
    array([0., 2., 0., 2., 0., 2.])
    """
    rule = "dare"
    hint = "pass for example 0.5, or 0 to drop nothing"
    p = number_in(drop, "drop", rule, hint, 0, 1, closed="left")
    inverse = 1.0 / (1.0 - p) if rescale == "inverse" else 1.0

    def drop_updates(updates: Array, rng: np.random.Generator) -> None:
        for update in updates:
            update *= rng.random(len(update)) >= p
        if inverse != 1.0:
            updates *= inverse

    def plan(shape: tuple[int, ...]) -> tuple[Drop, int]:
        return drop_updates, BLOCK

    return _merge(
        base, models, plan, weights, lam, rescale, consensus, random_state, rule
    )


def della(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    density: float = 0.5,
    eps: float = 0.15,
    lam: float = 1.0,
    rescale: str | None = "inverse",
    consensus: bool = True,
    random_state: Any = None,
) -> dict[str, Any]:
    r"""Drop updates at random, small ones more often, then elect signs (DELLA).

    Lies between :func:`dare`, which drops all alike, and :func:`ties`, which drops the
    small ones without chance.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Weights of the task vectors, of any sign; ones for None.
    density : float, default=0.5
        Mean probability that a number of a task vector is kept, in (0, 1]; 1 keeps all.
    eps : float, default=0.15
        Half the range of the probabilities, at least 0, with `density` - `eps` above 0
        and `density` + `eps` at most 1.
    lam : float, default=1.0
        Coefficient on the merged task vector.
    rescale : {"inverse", "l1", "l2", None}, default="inverse"
        How the numbers that stay are enlarged: by one over their probability, so that
        their expectation is the task vector; so that each array keeps its sum of
        magnitudes or its Euclidean norm; or not at all.
    consensus : bool, default=True
        Whether signs are elected and those that agree averaged, as in :func:`ties`, or
        all is summed up.
    random_state : int, Generator, RandomState or None, default=None
        Source of the drops, which do not depend on the order of the names.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If `density` or `eps` are out of range, `rescale` is unknown, a number is not
        finite, or names or shapes differ.

    See Also
    --------
    dare : The same probability for all.
    ties : Keeps the largest updates without chance.

    Notes
    -----
    A row of an array has the numbers of one output: all but the first axis; a vector is
    one row. In a row of n numbers the one of rank r by magnitude (1 is the smallest;
    of equal ones the first) is kept with probability

    .. math:: p_r = d - \epsilon + 2 \epsilon \frac{r - 1}{n - 1} ,

    :math:`d` in rows of a single number. Time is a sort of each row, memory that of the
    result and a few blocks or, if that is more, rows.

    References
    ----------
    Pala Tej Deep, Rishabh Bhardwaj, Soujanya Poria. DELLA-Merging: Reducing
    Interference in Model Merging through Magnitude-Based Sampling. arXiv:2406.11617.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import della
    >>> base, model = {"W": np.zeros(4)}, {"W": np.array([1.0, 2.0, 3.0, 4.0])}
    >>> della(base, [model], eps=0.25, random_state=2)["W"]
    array([0. , 4.8, 0. , 0. ])
    """
    rule = "della"
    low, high = _probabilities(density, eps)

    def plan(shape: tuple[int, ...]) -> tuple[Drop, int]:
        length = max(1, prod(shape[1:]) if len(shape) > 1 else prod(shape))
        keep = keep_probabilities(low, high, length)
        inverse = 1.0 / keep if rescale == "inverse" else np.ones(length)

        def drop_updates(updates: Array, rng: np.random.Generator) -> None:
            if low == high == 1.0:
                return
            few = max(1, BLOCK // 2 // length)  # ranks need much memory a number
            whole = updates.flags.c_contiguous  # small arrays of all models at once
            for part in [updates] if whole else updates:
                rows = part.reshape(-1, length)
                for some in np.split(rows, range(few, len(rows), few)):
                    places = ranking(some)
                    factors = (rng.random(some.shape) < keep) * inverse
                    by_place = np.empty_like(factors)
                    np.put_along_axis(by_place, places, factors, axis=1)
                    some *= by_place

        return drop_updates, max(1, BLOCK // length) * length

    return _merge(
        base, models, plan, weights, lam, rescale, consensus, random_state, rule
    )


def keep_probabilities(low: float, high: float, length: int) -> Array:
    """Return the probability of each rank in a row, smallest magnitude first."""
    if length == 1:
        return np.full(1, 0.5 * (low + high))
    return np.linspace(low, high, length)


def ranking(rows: Array) -> NDArray[np.intp]:
    """Return the places of each row's numbers by rising magnitude, (r, n)."""
    sizes = np.abs(rows)
    order = np.argsort(sizes, axis=1)
    ordered = np.take_along_axis(sizes, order, axis=1)
    # The fast sort leaves the order of equal numbers to chance.
    tied = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(tied):
        order[tied] = np.argsort(sizes[tied], axis=1, kind="stable")
    return order


def _probabilities(density: Any, eps: Any) -> tuple[float, float]:
    """Return the lowest and the highest probability that DELLA keeps a number."""
    hint = "pass for example 0.5, or 1 to drop nothing"
    middle = number_in(density, "density", "della", hint, 0, 1, closed="right")
    half = real_number(eps, "eps", "della")
    if middle == 1.0 and half >= 0.0:
        return 1.0, 1.0
    if not (half >= 0.0 and middle - half > 0.0 and middle + half <= 1.0):
        raise ValueError(
            "The 'eps' of della must be at least 0, below 'density' and at most 1 - "
            f"'density'. Got eps={half} with density={middle}; pass an eps below "
            f"{min(middle, 1.0 - middle):.6g}."
        )
    return middle - half, middle + half


def _merge(
    base: State,
    models: Sequence[State],
    plan: Callable[[tuple[int, ...]], tuple[Drop, int]],
    weights: Sequence[float] | None,
    lam: float,
    rescale: str | None,
    consensus: bool,
    random_state: Any,
    rule: str,
) -> dict[str, Any]:
    """Merge with a plan: from a shape to a drop and the numbers in its blocks."""
    if rescale not in RESCALES:
        raise ValueError(
            f"The 'rescale' of {rule} must be 'inverse', 'l1', 'l2' or None. Got "
            f"{rescale!r}; pass one of them."
        )
    check_models(base, models, rule)
    factors = model_weights(weights, len(models), rule)
    scale = real_number(lam, "lam", rule)
    rng = as_generator(random_state)
    # One stream a name, so that the order in which arrays are merged does not matter.
    names = merged_names(base, models, rule)
    seeds = {name: int(rng.integers(2**63)) for name in names}

    def kernel(entry: Entry) -> NDArray[Any]:
        drop, size = plan(entry.shape)
        seed = seeds[entry.name]
        ratios = None
        if rescale in ("l1", "l2"):
            ratios = _norm_ratios(entry, drop, size, seed, rescale)
        stream = np.random.default_rng(seed)
        merged = np.empty(entry.size, dtype=entry.base.dtype)
        scratch = entry.scratch(size)
        for block in entry.blocks(size):
            updates = entry.updates(block, scratch)
            drop(updates, stream)
            if ratios is not None:
                updates *= ratios
            # Draws belong to a block, but sums of its parts need less memory.
            for place in range(0, updates.shape[1], entry.block_size):
                some = updates[:, place : place + entry.block_size]
                part = slice(block.start + place, block.start + place + some.shape[1])
                update = combine(some, factors, consensus=consensus)
                update *= scale
                update += entry.start(part)
                merged[part] = update
        return merged

    return merge_states(
        base,
        models,
        kernel,
        rule=rule,
        shares=factors,
        lam=scale,
        by_products=rescale == "l2",
    )


def _norm_ratios(entry: Entry, drop: Drop, size: int, seed: int, norm: str) -> Array:
    """Return the norms of all updates over those of the ones that stay, (T, 1).

    The same seed draws the same numbers again when the updates are merged.
    """
    stream = np.random.default_rng(seed)
    full = np.zeros(len(entry.models))
    left = np.zeros(len(entry.models))
    scratch = entry.scratch(size)
    for block in entry.blocks(size):
        updates = entry.updates(block, scratch)
        full += _norm_part(updates, norm)
        drop(updates, stream)
        left += _norm_part(updates, norm)
    ratios = np.divide(full, left, out=np.ones_like(full), where=left > 0.0)
    return (ratios if norm == "l1" else np.sqrt(ratios))[:, np.newaxis]


def _norm_part(updates: Array, norm: str) -> Array:
    if norm == "l1":
        return np.array([np.abs(update).sum() for update in updates])
    return np.einsum("tb,tb->t", updates, updates)
