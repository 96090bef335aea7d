"""One meaning of ``random_state`` for the whole package."""

from __future__ import annotations

import numpy as np

from statlearn.utils._numbers import is_integer


def as_generator(
    random_state: int
    | np.integer
    | np.random.SeedSequence
    | np.random.Generator
    | np.random.RandomState
    | None = None,
) -> np.random.Generator:
    """Turn any accepted ``random_state`` into a NumPy generator.

    Parameters
    ----------
    random_state : int, SeedSequence, Generator, RandomState or None
        None draws fresh entropy; an integer or a seed sequence fixes the stream; a
        generator is handed back as it is, so its state advances with every use; a
        ``RandomState`` seeds a new generator and advances as well, so that two calls
        with the same object give different streams.

    Returns
    -------
    numpy.random.Generator
        The source of random numbers.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        words = random_state.randint(0, 2**32, size=4, dtype=np.uint32)
        return np.random.default_rng(words)
    if random_state is None or isinstance(random_state, np.random.SeedSequence):
        return np.random.default_rng(random_state)
    if is_integer(random_state):
        if random_state < 0:
            raise ValueError(
                "The 'random_state' parameter must be a non-negative integer. "
                f"Got {random_state}; pass its absolute value or None."
            )
        return np.random.default_rng(int(random_state))
    raise TypeError(
        "The 'random_state' parameter must be an int, None, a numpy Generator, "
        f"SeedSequence or RandomState. Got {random_state!r} of type "
        f"{type(random_state).__name__}; pass an integer seed."
    )
