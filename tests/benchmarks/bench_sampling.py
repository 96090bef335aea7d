"""Drawing rows by weight and by domain, against PyTorch, SciPy and NumPy."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from scipy.stats.sampling import DiscreteAliasUrn

from _race import bar, finish, race, resident_peak
from statlearn.sampling import DomainBatchSampler, WeightedSampler

N, SEED, BATCH = 1_000_000, 0, 256
MEGABYTE = 2**20


def draw_a_million(weights: np.ndarray) -> list[bool]:
    """Build a sampler and iterate once over an epoch of n draws, row by row."""
    built = WeightedSampler(weights, random_state=SEED)
    urn = DiscreteAliasUrn(weights, random_state=np.random.default_rng(SEED))
    contestants = {
        "built, then iterated": lambda: list(WeightedSampler(weights, random_state=0)),
        "iterated": lambda: list(built),
        "sample(n)": lambda: built.sample(N),
        "scipy alias table, built": lambda: DiscreteAliasUrn(weights).rvs(N),
        "scipy alias table": lambda: urn.rvs(N),
    }
    if find_spec("torch") is None:
        print("PyTorch is not installed: its sampler is left out.", flush=True)
    else:
        import torch
        from torch.utils.data import WeightedRandomSampler

        torch.set_num_threads(1)
        theirs = WeightedRandomSampler(weights, N)
        contestants["torch, iterated"] = lambda: list(theirs)
    result = race("Drawing a million rows", contestants, size=f"{N} weights")
    bars = [
        bar(
            "sample(n) / alias table of SciPy with its making",
            result.ratio("sample(n)", "scipy alias table, built"),
            at_most=1.0,
        )
    ]
    if "torch, iterated" in contestants:
        bars += [
            bar(f"{ours} / torch", result.ratio(ours, "torch, iterated"), at_most=limit)
            for ours, limit in (("iterated", 0.25), ("sample(n)", 0.25))
        ]
        share = result.ratio("built, then iterated", "torch, iterated")
        print(f"  built, then iterated / torch: {share:.3g} (no bar)")
    return bars


def draw_batches(weights: np.ndarray) -> list[bool]:
    n_batches = 20
    rng = np.random.default_rng(SEED)
    chances = weights / weights.sum()
    sampler = WeightedSampler(weights, batch_size=BATCH, random_state=SEED)
    stream = endless(sampler)
    result = race(
        "Batches by weight",
        {
            "WeightedSampler": lambda: [next(stream) for _ in range(n_batches)],
            "Generator.choice": lambda: [
                rng.choice(N, BATCH, p=chances) for _ in range(n_batches)
            ],
        },
        size=f"{n_batches} batches of {BATCH} from {N} weights",
        repeats=41,
    )
    # Batches come in blocks, so the mean tells what one costs.
    ours, theirs = (np.mean(result.wall[name]) for name in result.wall)
    return [bar("Generator.choice / WeightedSampler", theirs / ours, at_least=20)]


def endless(sampler):
    while True:
        yield from sampler


def many_weights() -> float:
    """Return the growth of memory in MB when drawing from 2e7 weights."""
    weights = np.random.default_rng(SEED).random(20_000_000)
    peak = resident_peak(
        lambda: next(iter(WeightedSampler(weights, batch_size=BATCH, random_state=0)))
    )
    return peak / MEGABYTE


def many_rows() -> float:
    """Return the growth of memory in MB when drawing from 1e9 rows by their sizes."""

    def run():
        for mode in ("replacement", "shuffle"):
            sampler = DomainBatchSampler(
                [900_000_000, 99_000_000, 999_000, 1_000],
                batch_size=BATCH,
                n_steps=10_000,
                mode=mode,
            )
            for rows in sampler:
                assert rows.max() < 1_000_000_000

    return resident_peak(run) / MEGABYTE


def main() -> None:
    # Memory first: what was freed could be used again without growth.
    bars = [
        bar("MB above the input, 2e7 weights", many_weights(), at_most=200),
        bar("MB, 1e9 rows by sizes, 20000 batches", many_rows(), at_most=200),
    ]
    weights = np.random.default_rng(SEED).random(N) ** 3
    bars += draw_a_million(weights)
    bars += draw_batches(weights)
    finish(*bars)


if __name__ == "__main__":
    main()
