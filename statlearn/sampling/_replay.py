"""Batches of new rows with a share of old ones, at constant cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import RepetitionWarning
from statlearn.sampling._composition import Composition, steps_of_block
from statlearn.sampling._counter import GOLDEN, Lane, generator_at, seed_of
from statlearn.sampling._replay_input import (
    given_rows,
    old_sizes,
    read_fraction,
    read_offset,
    source_weights,
)
from statlearn.sampling._stream import (
    check_batch_size,
    check_max_epochs,
    check_ranks,
    is_whole,
)
from statlearn.utils._numbers import positive_integer
from statlearn.utils._warn import warn

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_MODES = ("exact", "blend", "bernoulli")
# Products of a share and a count that are whole up to rounding.
_ROUNDING = 1e-9


def replay_order(
    order: Any, *, reshuffle: bool = True, seed: int = 1234, offset: int = 0
) -> NDArray[Any]:
    """Return the order in which rows of an earlier training are shown again.

    Parameters
    ----------
    order : array-like of shape (n,)
        Rows in the order in which they were seen.
    reshuffle : bool, default=True
        Whether to show them in another, random order.
    seed : int, default=1234
        Of that order.
    offset : int, default=0
        Rows to begin after, so that one task does not replay what the task before it
        has replayed; beyond the last row it starts again.

    Returns
    -------
    order : ndarray of shape (n,)
        The same rows, first to be shown first.

    Raises
    ------
    ValueError
        If there are no rows.

    References
    ----------
    Adam Ibrahim, Benjamin Thérien, Kshitij Gupta, Mats L. Richter, Quentin Anthony,
    Timothée Lesort, Eugene Belilovsky, Irina Rish. Simple and Scalable Strategies to
    Continually Pre-train Large Language Models. TMLR, 2024.

    Examples
    --------
    >>> from statlearn.sampling import replay_order
    >>> replay_order([2, 8, 4, 9, 1], reshuffle=False, offset=2)
    array([4, 9, 1, 2, 8])
    """
    offset = read_offset(offset, "replay_order")
    rows = np.array(order)
    if rows.ndim != 1 or not rows.size:
        raise ValueError(
            f"The 'order' of replay_order must have shape (n,) with n >= 1. Got shape "
            f"{rows.shape}; pass the rows of the earlier training."
        )
    if reshuffle:
        if not is_whole(seed, 2**32 - 1):
            raise ValueError(
                f"The 'seed' of replay_order must be an integer from 0 to 2^32 - 1. "
                f"Got {seed!r}; pass for example seed=1234."
            )
        np.random.RandomState(seed).shuffle(rows)  # as published
    return np.roll(rows, -(offset % len(rows)))


def replay_shares(new_weights: Any, old_weights: Any, fraction: float = 0.05) -> Array:
    """Return the share of each source of new and of old rows.

    Parameters
    ----------
    new_weights : array-like of shape (J,)
        Weights of the sources of new rows against each other.
    old_weights : array-like of shape (K,)
        Weights of the sources of old rows against each other.
    fraction : float, default=0.05
        Share of old rows, from 0 up to but not including 1.

    Returns
    -------
    shares : ndarray of shape (J + K,)
        New sources first; their sum is one.

    Raises
    ------
    ValueError
        For weights that are no weights, or a fraction out of range.

    Examples
    --------
    >>> from statlearn.sampling import replay_shares
    >>> replay_shares([2, 1], [3, 1], fraction=0.25)
    array([0.5   , 0.25  , 0.1875, 0.0625])
    """
    caller = "replay_shares"
    fraction = read_fraction(fraction, caller)
    new = source_weights(new_weights, "new_weights", None, caller)
    old = source_weights(old_weights, "old_weights", None, caller)
    return np.concatenate((new * (1.0 - fraction), old * fraction))


class ReplayMixer(Composition):
    r"""Mix rows of earlier data into the batches of new data.

    For training on that goes on with new data and must not lose what it has learned: 1
    to 5 percent of old rows keep most of it after a weak shift, 25 after a strong one.
    The size of a batch stays the same, so old rows take the place of new ones.

    Parameters
    ----------
    old : int, list of int, or ndarray of shape (n_old,)
        Number of old rows; or the numbers of several sources that follow each other;
        or, as an array, the old rows in the order in which they were seen.
    n_new : int
        Number of new rows.
    fraction : float, default=0.05
        Share of old rows, from 0 up to but not including 1.
    batch_size : int
        Rows of a batch, old and new, over all processes.
    mode : {"exact", "blend", "bernoulli"}, default="exact"
        "exact" gives each batch the share rounded up or down, so that the sum over
        batches is the share rounded; "blend" does so for every prefix of the rows, as
        published; "bernoulli" decides for each row by itself.
    old_weights : array-like of shape (K,), default=None
        Weights of the old sources against each other; by their sizes by default.
    reshuffle : bool, default=True
        Whether old and new rows come in random order instead of the given one.
    seed : int, default=1234
        The same in all processes.
    offset : int, default=0
        Old rows to begin after, so that one task does not replay what the task before
        it has replayed.
    n_steps : int, default=None
        Batches. By default as many whole batches as there would be without replay. New
        rows that are used up start again, in another order.
    max_epochs : float, default=1.0
        How often an old row may be shown; None sets no limit.
    flat : bool, default=False
        Yield one array, with rows of the old data first and `n_old` added to new rows,
        as a `batch_sampler` of PyTorch does for a concatenated dataset.
    rank : int, default=0
        Number of this process.
    world_size : int, default=1
        Number of processes that share each batch: each takes every `world_size`-th row.

    Attributes
    ----------
    n_old_ : int
        Number of old rows.
    sizes_ : ndarray of shape (K + 1,)
        Rows of each old source, then of the new one.
    step_ : int
        Batches handed out in this epoch.
    epoch_ : int
        Number of the epoch, from 0.

    See Also
    --------
    replay_order : The order of old rows that are given as an array.
    DomainBatchSampler : Several domains at once, at a temperature.
    torch.utils.data.ConcatDataset : Old and new data as one, for ``flat=True``.

    Notes
    -----
    With batches of B rows and the share x, the first t batches have
    :math:`\lfloor t B x + 1/2 \rfloor` old rows in the mode "exact". In the mode
    "blend" sample i goes to the source that is furthest behind its share, so the first
    m samples have :math:`\lceil x (m - 1) \rceil` old ones. The kth old row belongs to
    a source by a low-discrepancy sequence of the golden ratio.

    Orders are computed row by row, not stored: memory is O(1) in the numbers of rows,
    except for an array of old rows.

    References
    ----------
    Adam Ibrahim, Benjamin Thérien, Kshitij Gupta, Mats L. Richter, Quentin Anthony,
    Timothée Lesort, Eugene Belilovsky, Irina Rish. Simple and Scalable Strategies to
    Continually Pre-train Large Language Models. TMLR, 2024.

    Examples
    --------
    >>> from statlearn.sampling import ReplayMixer
    >>> mixer = ReplayMixer(500, 1000, fraction=0.25, batch_size=10)
    >>> [(len(old), len(new)) for old, new in mixer][:4]
    [(3, 7), (2, 8), (3, 7), (2, 8)]
    """

    def __init__(
        self,
        old: Any,
        n_new: int,
        *,
        fraction: float = 0.05,
        batch_size: int,
        mode: str = "exact",
        old_weights: Any = None,
        reshuffle: bool = True,
        seed: int = 1234,
        offset: int = 0,
        n_steps: int | None = None,
        max_epochs: float | None = 1.0,
        flat: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        name = type(self).__name__
        rank, world_size = check_ranks(rank, world_size, name)
        self.batch_size = check_batch_size(batch_size, world_size, name)
        n_new = positive_integer(n_new, "n_new", name, "pass the number of new rows")
        if n_steps is None:
            n_steps = max(1, n_new // self.batch_size)
        n_steps = positive_integer(n_steps, "n_steps", name, "pass the batches to draw")
        if mode not in _MODES:
            raise ValueError(
                f"The 'mode' of {name} must be one of {_MODES}. Got {mode!r}; pass one "
                f"of them."
            )
        super().__init__(n_steps, seed_of(seed, name), rank, world_size)
        self.fraction = read_fraction(fraction, name)
        self.mode, self.reshuffle, self.flat = mode, bool(reshuffle), bool(flat)
        sizes = old_sizes(old, self.fraction, name)
        self.n_old_ = int(sizes.sum())
        self._sizes = np.append(sizes, n_new)
        self._old_share = (
            sizes / max(self.n_old_, 1)
            if old_weights is None
            else source_weights(old_weights, "old_weights", len(sizes), name)
        )
        self.offset = read_offset(offset, name)
        self._turned = np.array([self.offset % max(n, 1) for n in sizes.tolist()] + [0])
        self._given = given_rows(old, self.flat, name)
        self._seed = seed_of(seed, name)
        self._seen = self._order_given()
        self._starts = np.append(np.cumsum(sizes) - sizes, 0)
        self._block_steps = steps_of_block(self.batch_size, len(self._sizes))
        self._start_counting()
        self._check_amount(check_max_epochs(max_epochs, name))

    @property
    def probabilities_(self) -> Array:
        """Share (K + 1,) of each old source in a batch, then of the new one."""
        return np.append(self._old_share * self.fraction, 1.0 - self.fraction)

    @property
    def sizes_(self) -> Integers:
        """Rows (K + 1,) of each old source, then of the new one."""
        return self._sizes.copy()

    def batch_at(self, step: int) -> Any:
        """Return one batch of this epoch, without going there.

        Parameters
        ----------
        step : int
            Number of the batch, from 0.

        Returns
        -------
        rows : (ndarray, ndarray) or ndarray
            What the iteration gives at that step.
        """
        return self._item_at(step, "batch_at")

    def _old_until(self, step: Integers) -> Integers:
        """Return the number of old rows (S,) in all batches before some steps."""
        rows = step * self.batch_size
        if self.mode == "exact":
            return np.floor(rows * self.fraction + 0.5 + _ROUNDING).astype(np.int64)
        behind = np.ceil(self.fraction * np.maximum(rows - 1, 0) - _ROUNDING)
        first = (rows >= 1) & (self.fraction > 0.5)
        return np.maximum(behind.astype(np.int64), first)

    def _counts(self, epoch: int, block: int) -> Integers:
        start = block * self._block_steps
        stop = min(start + self._block_steps, self._n_steps)
        if self.mode == "bernoulli":
            generator = generator_at(self._key, Lane.COUNT, epoch, block)
            share = np.broadcast_to(
                self.probabilities_, (stop - start, len(self._sizes))
            )
            return generator.multinomial(self.batch_size, share).astype(np.int64)
        until = self._old_until(np.arange(start, stop + 1))
        old, n_sources = np.diff(until), len(self._sizes) - 1
        step = np.repeat(np.arange(len(old)), old)
        points = (0.5 + GOLDEN * np.arange(until[0], until[-1])) % 1.0
        source = np.searchsorted(np.cumsum(self._old_share)[:-1], points, "right")
        cells = np.bincount(step * n_sources + source, minlength=len(old) * n_sources)
        return np.column_stack(
            (cells.reshape(len(old), n_sources), self.batch_size - old)
        ).astype(np.int64)

    def _block(self, epoch: int, block: int) -> list[Any]:
        counts = self._counts(epoch, block)
        domain, local = self._shuffled(epoch, block, counts, self._turned)
        rows = self._starts[domain] + local
        is_old = domain < len(self._sizes) - 1
        if self._seen is not None:
            rows[is_old] = self._seen[rows[is_old]]
        shape = (len(counts), self.batch_size)
        rows, is_old = rows.reshape(shape), is_old.reshape(shape)
        rows = rows[:, self._rank :: self._world_size]
        n_old = is_old[:, self._rank :: self._world_size].sum(axis=1)
        if self.flat:
            shift = np.where(np.arange(rows.shape[1]) < n_old[:, None], 0, self.n_old_)
            return list(rows + shift)
        pairs = zip(rows, n_old.tolist(), strict=True)
        return [(row[:old], row[old:]) for row, old in pairs]

    def _order(
        self, epoch: int, domain: NDArray[np.intp], turn: Integers, position: Integers
    ) -> Integers:
        if not self.reshuffle:
            return position
        local = super()._order(epoch, domain, turn, position)
        if self._seen is None:
            return local
        # An order that was given is shuffled as a whole, not row by row.
        return np.where(domain < len(self._sizes) - 1, position, local)

    def _order_given(self) -> NDArray[Any] | None:
        """Return the old rows in the order of showing them, if they were given."""
        if self._given is None:
            return None
        return replay_order(self._given, reshuffle=self.reshuffle, seed=self._seed)

    def _progress(self, step: int) -> dict[str, Any]:
        return {**super()._progress(step), "seed": self._seed}

    def _can_stand_at(self, state: Mapping[str, Any]) -> bool:
        return super()._can_stand_at(state) and is_whole(state["seed"])

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore(state)
        self._seed = int(state["seed"])
        self._seen = self._order_given()

    def _identity(self) -> dict[str, Any]:
        given = self._given
        return {
            "sizes": self._sizes.tolist(),
            "old": None if given is None else crc32(given.astype(np.int64).data),
            "fraction": self.fraction,
            "batch_size": self.batch_size,
            "n_steps": self._n_steps,
            "mode": self.mode,
            "old_weights": self._old_share.tolist(),
            "reshuffle": self.reshuffle,
            "offset": self.offset,
        }

    def _check_amount(self, max_epochs: float | None) -> None:
        name = type(self).__name__
        total = self._n_steps * self.batch_size * self.fraction
        if 0.0 < total < 1.0:
            warn(
                f"{name} expected a fraction that replays at least one row. Got "
                f"{total:.2g} rows in {self._n_steps} batches of {self.batch_size} at "
                f"fraction={self.fraction:g}; raise the fraction or train longer.",
                RepetitionWarning,
            )
        if max_epochs is None or self.fraction == 0.0:
            return
        epochs = total * self._old_share / self._sizes[:-1]
        if epochs.max() > max_epochs * (1.0 + _ROUNDING):
            raise ValueError(
                f"The 'fraction' of {name} must not show old rows more than max_epochs="
                f"{max_epochs:g} times. Got {epochs.max():.3g} times for source "
                f"{int(epochs.argmax())} of {self._sizes[epochs.argmax()]} rows; lower "
                f"the fraction, keep more old rows, or pass max_epochs=None."
            )
