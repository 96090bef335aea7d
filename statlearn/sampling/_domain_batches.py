"""Batches from domains of very different size, at a temperature that changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import RepetitionWarning
from statlearn.sampling._composition import Composition, runs, steps_of_block
from statlearn.sampling._counter import GOLDEN, Lane, generator_at, seed_of
from statlearn.sampling._domains import read_domains
from statlearn.sampling._stream import (
    check_batch_size,
    check_max_epochs,
    check_ranks,
)
from statlearn.schedules import Schedule, StepCooldown
from statlearn.utils._identity import describe
from statlearn.utils._numbers import positive_integer
from statlearn.utils._warn import warn
from statlearn.weights._groups import tempered_share

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Law = Callable[[int], Any]  # temperature, or probabilities (K,)

_MODES = ("replacement", "shuffle")


class DomainBatchSampler(Composition):
    r"""Draw batches from domains: small ones often at first, by size later.

    For training by mini-batches on domains (languages, shops, sensors) of very unequal
    size. Sampling them has smaller gradients than weighting their losses, and cooling
    keeps small domains from being overfitted. Domains are about where rows come from,
    not about classes. Give it to a loader of PyTorch as its `batch_sampler`, or index
    arrays with the batches. Split off test rows before: rows are repeated.

    Parameters
    ----------
    domains : list of int, list of range, dict, or array-like of shape (n,)
        Sizes of domains that follow each other; or ranges of rows; or either by name;
        or, as an array, the label of each row. Sizes and ranges take no memory for
        rows.
    batch_size : int
        Rows of a batch, over all processes.
    n_steps : int
        Batches of the whole training. Iterating goes on where it stopped; once more
        after the last batch, it is a new epoch with other random numbers.
    schedule : callable, default=StepCooldown()
        ``step -> temperature``: 1 draws in proportion to size, infinity all domains
        equally often. May return the K probabilities themselves, as
        :class:`UniMax` does. A schedule of :mod:`statlearn.schedules` without a number
        of steps gets `n_steps`.
    mode : {"replacement", "shuffle"}, default="replacement"
        Whether rows of a domain are drawn independently, or in random order without
        repetition until all have had their turn.
    stratified : bool, default=False
        Whether the rows from a domain are its share of the batch rounded up or down,
        instead of multinomial. Each batch is unbiased either way; stratified batches
        vary less.
    max_epochs : float, default=None
        Warn if the rows of a domain are expected to be drawn more often than this.
    seed : int, default=0
        The same in all processes.
    rank : int, default=0
        Number of this process.
    world_size : int, default=1
        Number of processes that share each batch: each takes every `world_size`-th row.

    Attributes
    ----------
    domains_ : list of length K
        Names of the domains: labels, or numbers from 0.
    sizes_ : ndarray of shape (K,)
        Their numbers of rows.
    schedule_ : callable
        The schedule, with its number of steps.
    step_ : int
        Batches handed out in this epoch.
    epoch_ : int
        Number of the epoch, from 0.

    See Also
    --------
    temperature_probs : Probabilities of the domains, with the formula.
    UniMax : Probabilities as equal as a limit on repetitions allows.
    WeightedSampler : Weights of rows.
    statlearn.weights.Temperature : Weights instead of sampling.
    torch.utils.data.WeightedRandomSampler : One probability for each row.

    Notes
    -----
    Domain i has the probability :math:`p_i \propto n_i^{1/\tau(t)}` at step t.
    Weighting its rows by :math:`(N / n_i)\, p_i` has the same expected gradient; see
    :func:`gradient_variance_ratio` for the noise.

    O(K) memory beyond `domains`, however many rows there are, and O(batch_size) time a
    batch, K times the batches of a block at most. Random numbers are those of a
    counter (Philox) keyed by seed, epoch and step, so any batch can be computed by
    itself (`batch_at`). Shuffled orders are computed row by row, not stored. Every
    process draws the whole batch and keeps its share; batches and states do not depend
    on `world_size`.

    Stratified counts are those of a systematic sample: equally spaced points in the
    cumulative shares, moved from step to step by the golden ratio, so that counts over
    many steps are close to their expectation as well.

    References
    ----------
    Tianjian Li, Haoran Xu, Weiting Tan, Kenton Murray, Daniel Khashabi. Upsample or
    Upweight? Balanced Training on Heavily Imbalanced Datasets. NAACL, 2025.

    Examples
    --------
    >>> from statlearn.sampling import DomainBatchSampler
    >>> sampler = DomainBatchSampler([3000, 300, 30], batch_size=64, n_steps=100)
    >>> batches = list(sampler)
    >>> len(batches), batches[0].shape
    (100, (64,))
    >>> sampler.expected_epochs_.round(1)
    array([ 1.5,  4.3, 21.9])
    """

    def __init__(
        self,
        domains: Any,
        *,
        batch_size: int,
        n_steps: int,
        schedule: Law = StepCooldown(),  # noqa: B008 - frozen
        mode: str = "replacement",
        stratified: bool = False,
        max_epochs: float | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        name = type(self).__name__
        rank, world_size = check_ranks(rank, world_size, name)
        self.batch_size = check_batch_size(batch_size, world_size, name)
        n_steps = positive_integer(n_steps, "n_steps", name, "pass the batches to draw")
        if mode not in _MODES:
            raise ValueError(
                f"The 'mode' of {name} must be one of {_MODES}. Got {mode!r}; pass one "
                f"of them."
            )
        super().__init__(n_steps, seed_of(seed, name), rank, world_size)
        self.mode, self.stratified = mode, bool(stratified)
        self.max_epochs = check_max_epochs(max_epochs, name)
        self._domains = read_domains(domains, name)
        self._sizes = self._domains.sizes
        self.schedule_ = _with_steps(schedule, n_steps, name)
        self._block_steps = steps_of_block(self.batch_size, len(self._sizes))
        self._expected: Array | None = None
        self._start_counting()
        self._probabilities(0, 1)
        if self.max_epochs is not None:
            self._warn_of_repetition(self.max_epochs)

    @property
    def domains_(self) -> list[Any]:
        """Names of the domains: labels, or numbers from 0."""
        return list(self._domains.names)

    @property
    def sizes_(self) -> Integers:
        """Number of rows (K,) of each domain."""
        return self._sizes.copy()

    @property
    def probabilities_(self) -> Array:
        """Chance (K,) of each domain in the next batch."""
        step = min(self.step_, self._n_steps - 1)
        return self._probabilities(step, step + 1)[0]

    @property
    def expected_epochs_(self) -> Array:
        """How often the rows (K,) of each domain are drawn on average in `n_steps`."""
        if self._expected is None:
            total = np.zeros(len(self._sizes))
            for start in range(0, self._n_steps, self._block_steps):
                stop = min(start + self._block_steps, self._n_steps)
                total += self._probabilities(start, stop).sum(axis=0)
            self._expected = self.batch_size * total / self._sizes
        return self._expected.copy()

    def batch_at(self, step: int) -> Integers:
        """Return one batch of this epoch, without going there.

        Parameters
        ----------
        step : int
            Number of the batch, from 0.

        Returns
        -------
        rows : ndarray of shape (batch_size / world_size,)
            What the iteration gives at that step.
        """
        return self._item_at(step, "batch_at")

    def _probabilities(self, start: int, stop: int) -> Array:
        """Return the probabilities (stop - start, K) of the domains at some steps."""
        if isinstance(self.schedule_, Schedule):
            values, which = np.unique(
                self.schedule_(np.arange(start, stop)), return_inverse=True
            )
            return np.stack([self._law(value, start) for value in values])[which]
        rows = []
        for step in range(start, stop):
            value = np.asarray(self.schedule_(step), dtype=np.float64)
            rows.append(self._law(value, step))
        return np.stack(rows)

    def _law(self, value: Array, step: int) -> Array:
        name = type(self).__name__
        if value.ndim == 0:
            size = self._sizes.astype(np.float64)
            return tempered_share(size, float(value), name, "schedule")
        fits = value.shape == self._sizes.shape and (value >= 0.0).all()
        if not fits or not np.isclose(value.sum(), 1.0, rtol=0.0, atol=1e-6):
            raise ValueError(
                f"The 'schedule' of {name} must return a temperature or "
                f"{len(self._sizes)} probabilities. Got {value} at step {step}; return "
                f"one number, or numbers >= 0 that add up to one."
            )
        return value / value.sum()

    def _steps(self, block: int) -> tuple[int, int]:
        start = block * self._block_steps
        return start, min(start + self._block_steps, self._n_steps)

    def _counts(self, epoch: int, block: int) -> Integers:
        start, stop = self._steps(block)
        share = self._probabilities(start, stop)
        if not self.stratified:
            generator = generator_at(self._key, Lane.COUNT, epoch, block)
            return generator.multinomial(self.batch_size, share).astype(np.int64)
        first = generator_at(self._key, Lane.OFFSET, epoch).random()
        offset = (first + GOLDEN * np.arange(start, stop)) % 1.0
        ends = self.batch_size * np.cumsum(share, axis=1)
        np.minimum(ends, self.batch_size, out=ends)
        ends[:, -1] = self.batch_size  # whatever the sum of the shares is rounded to
        below = np.ceil(ends - offset[:, np.newaxis]).astype(np.int64)
        return np.diff(below, axis=1, prepend=0)

    def _block(self, epoch: int, block: int) -> list[Integers]:
        counts = self._counts(epoch, block)
        if self.mode == "shuffle":
            domain, local = self._shuffled(epoch, block, counts)
        else:
            self._note(epoch, block, counts)
            domain, _ = runs(counts)
            generator = generator_at(self._key, Lane.ROW, epoch, block)
            local = generator.integers(0, self._sizes[domain])
        rows = self._domains.rows(domain, local).reshape(len(counts), self.batch_size)
        # In random order, so that every process has its share of every domain.
        generator_at(self._key, Lane.ORDER, epoch, block).permuted(
            rows, axis=1, out=rows
        )
        return list(np.ascontiguousarray(rows[:, self._rank :: self._world_size]))

    def _identity(self) -> dict[str, Any]:
        return {
            "domains": [str(name) for name in self._domains.names],
            "sizes": self._sizes.tolist(),
            "batch_size": self.batch_size,
            "n_steps": self._n_steps,
            "schedule": describe(self.schedule_),
            "mode": self.mode,
            "stratified": self.stratified,
        }

    def _warn_of_repetition(self, max_epochs: float) -> None:
        epochs = self.expected_epochs_
        over = np.flatnonzero(epochs > max_epochs)
        if over.size:
            worst = int(np.argmax(epochs))
            warn(
                f"{type(self).__name__} expected every row to be drawn at most "
                f"max_epochs={max_epochs:g} times. Got {epochs[worst]:.3g} times for "
                f"domain {self._domains.names[worst]!r}, and more than the limit for "
                f"{over.size} of {len(epochs)} domains; cool earlier, lower the "
                f"temperature, or use UniMax as the schedule.",
                RepetitionWarning,
            )


def _with_steps(schedule: Any, n_steps: int, caller: str) -> Law:
    """Return a schedule that knows how long the training is."""
    if not callable(schedule):
        raise TypeError(
            f"The 'schedule' of {caller} must be a callable step -> temperature. Got "
            f"{schedule!r}; pass Constant({schedule!r}) of statlearn.schedules for a "
            f"fixed temperature."
        )
    if isinstance(schedule, Schedule) and getattr(schedule, "n_steps", 0) is None:
        bound: Any = replace(schedule, n_steps=n_steps)  # type: ignore[type-var]
        return bound
    return schedule
