"""Weights of many trajectories, against the expansion by lists."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LinearRegression

from _race import bar, finish, race
from statlearn.offline_rl import AdvantageWeighting, ReturnWeighting, TrajectoryDataset

SEED = 0


def made(n_trajectories, n_transitions, n_numbers):
    """Trajectories of random lengths, rewards and observations."""
    rng = np.random.default_rng(SEED)
    more = n_transitions - n_trajectories
    lengths = 1 + rng.multinomial(more, np.full(n_trajectories, 1 / n_trajectories))
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    observations = rng.normal(size=(n_transitions, n_numbers)).astype(np.float32)
    flags = np.zeros(n_transitions, bool)
    return TrajectoryDataset(
        observations,
        np.zeros(n_transitions, np.int64),
        rng.normal(size=n_transitions).astype(np.float32),
        observations,
        flags,
        flags,
        offsets,
    )


def by_lists(dataset):
    """Weights as loops over episodes and repeated lists make them."""
    parts = np.split(dataset.rewards, dataset.offsets[1:-1])
    returns = np.array([float(np.sum(part)) for part in parts])
    scores = (returns - returns.min()) / (returns.max() - returns.min())
    rows = []
    for score, part in zip(np.exp(scores / 0.1), parts, strict=True):
        rows = rows + [score] * len(part)
    weights = np.array(rows)
    return weights / weights.sum()


def against_lists() -> bool:
    dataset = made(1000, 100_000, 4)
    result = race(
        "Weights by return",
        {
            "ReturnWeighting": lambda: ReturnWeighting().fit(dataset).sample_weight(),
            "lists": lambda: by_lists(dataset),
        },
        size="1e5 transitions, 1e3 trajectories",
    )
    ratio = result.ratio("lists", "ReturnWeighting", "cpu")
    return bar("lists / ReturnWeighting", ratio, at_least=30)


def many() -> list[bool]:
    dataset = made(100_000, 1_000_000, 20)
    published = AdvantageWeighting(value_estimator=LinearRegression(), cv=None)
    result = race(
        "Weights of many transitions",
        {
            "by return": lambda: ReturnWeighting().fit(dataset).sample_weight(),
            "by discounted return": lambda: ReturnWeighting(gamma=0.99).fit(dataset),
            "by return, ESS 10 %": lambda: ReturnWeighting(target_ess=0.1).fit(dataset),
            "by advantage": lambda: AdvantageWeighting().fit(dataset).sample_weight(),
            "by advantage, as published": lambda: published.fit(dataset),
        },
        size="1e6 transitions, 1e5 trajectories, 20 numbers an observation",
        repeats=11,
    )
    return [
        bar(f"{name}, ms of CPU", 1e3 * result.median(name, "cpu"), at_most=limit)
        for name, limit in (("by return", 20), ("by advantage", 100))
    ]


def main() -> None:
    finish(against_lists(), *many())


if __name__ == "__main__":
    main()
