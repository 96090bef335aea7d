"""Batches of transitions by weight, against tables and other libraries' buffers.

Buffers of other libraries take part where these are installed, which `make test-rl`
does: ``.venv-rl/bin/python tests/benchmarks/bench_trajectory_sampler.py``.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import cycle

import numpy as np

from _race import bar, finish, race, traced_peak
from statlearn.offline_rl import TrajectoryDataset, TrajectorySampler

SEED, BATCH = 0, 256
N_OBSERVED, N_ACTIONS = 17, 6
MEGABYTE = 2**20


def logged(n_trajectories, n_transitions, n_observed=N_OBSERVED, n_actions=N_ACTIONS):
    """Trajectories of random lengths and numbers."""
    rng = np.random.default_rng(SEED)
    more = n_transitions - n_trajectories
    lengths = 1 + rng.multinomial(more, np.full(n_trajectories, 1 / n_trajectories))
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    ends = np.zeros(n_transitions, bool)
    ends[offsets[1:] - 1] = True
    observations, following = (
        rng.standard_normal((n_transitions, n_observed), np.float32) for _ in range(2)
    )
    return TrajectoryDataset(
        observations,
        rng.uniform(-1.0, 1.0, (n_transitions, n_actions)).astype(np.float32),
        rng.standard_normal(n_transitions, np.float32),
        following,
        ends,
        np.zeros(n_transitions, bool),
        offsets,
    )


def weights_of(dataset):
    """Weights whose largest is e^10 times the smallest."""
    score = np.random.default_rng(SEED).random(dataset.n_trajectories)
    return np.exp(10.0 * score)


def draw_indices() -> list[bool]:
    dataset = logged(10_000, 1_000_000, 1, 1)
    weights, n = weights_of(dataset), dataset.n_transitions
    chances = np.repeat(weights, dataset.lengths)
    chances /= chances.sum()
    sums = np.cumsum(chances)
    rng = np.random.default_rng(SEED)
    sampler = TrajectorySampler(dataset, weights, random_state=SEED)
    # As many batches as take about as long, so that a slow moment of the machine counts
    # the same for all.
    contestants = {
        "sampler": (4000, sampler.sample_indices),
        "sampler, other sizes": (4000, lambda: sampler.sample_indices(BATCH - 1)),
        "cumsum once, searchsorted": (
            320,
            lambda: np.searchsorted(sums, rng.random(BATCH)),
        ),
        "Generator.choice": (5, lambda: rng.choice(n, BATCH, p=chances)),
    }
    result = race(
        "Indices of weighted transitions",
        {name: repeated(draw, k) for name, (k, draw) in contestants.items()},
        size=f"{', '.join(str(k) for k, _ in contestants.values())} batches of "
        f"{BATCH}; 1e6 transitions, 1e4 trajectories",
        repeats=21,
    )
    bars = []
    for peer, limit in (("Generator.choice", 500), ("cumsum once, searchsorted", 8)):
        per_batch = contestants["sampler"][0] / contestants[peer][0]
        ratio = per_batch * result.ratio(peer, "sampler", "cpu")
        bars.append(bar(f"{peer} / sampler, a batch", ratio, at_least=limit))
    return bars


def more_transitions() -> list[bool]:
    """Draw from ten times the transitions, of as many trajectories and of more."""
    samplers = {}
    for label, shape in {
        "1e6, 1e4 trajectories": (10_000, 1_000_000),
        "1e7, 1e4 trajectories": (10_000, 10_000_000),
        "1e7, 1e5 trajectories": (100_000, 10_000_000),
    }.items():
        dataset = logged(*shape, 1, 1)
        samplers[label] = TrajectorySampler(
            dataset, weights_of(dataset), random_state=SEED, pack=False
        )

    result = race(
        "Indices, by number of transitions",
        {
            label: repeated(sampler.sample_indices, 4000)
            for label, sampler in samplers.items()
        },
        size=f"4000 batches of {BATCH}",
        repeats=21,
    )
    small, large, more = samplers
    share = result.ratio(more, small, "cpu")
    print(f"  {more} / {small}: {share:.3g} (no bar)", flush=True)
    return [bar(f"{large} / {small}", result.ratio(large, small, "cpu"), at_most=1.5)]


def with_data() -> list[bool]:
    dataset = logged(10_000, 1_000_000)
    weights = weights_of(dataset)
    sampler = TrajectorySampler(dataset, weights, random_state=SEED)
    loose = TrajectorySampler(dataset, weights, random_state=SEED, pack=False)
    indices = cycle(sampler.sample_indices(BATCH * 4000).reshape(-1, BATCH))
    contestants = {
        "sampler": repeated(sampler.sample),
        "sampler, not packed": repeated(loose.sample),
        "indexing of five arrays": repeated(lambda: indexed(dataset, next(indices))),
    }
    limits = {}
    for package, make, limit in (
        ("stable_baselines3", uniform_sb3, 0.5),
        ("cpprb", prioritized_cpprb, 0.2),
        ("d3rlpy", uniform_d3rlpy, None),
    ):
        if find_spec(package) is None:
            print(f"  {package} is not installed: skipped.", flush=True)
            continue
        contestants[package] = repeated(make(dataset))
        if limit is not None:
            limits[package] = limit
    if not limits:  # the least that a buffer has to do, without any draws
        limits["indexing of five arrays"] = 0.75
    if "d3rlpy" in contestants:
        adapted = sampler.to_d3rlpy()
        contestants["sampler for d3rlpy"] = repeated(
            lambda: adapted.sample_transition_batch(BATCH)
        )
    if "stable_baselines3" in contestants:
        buffer = sampler.to_sb3(*spaces())
        contestants["sampler for Stable-Baselines3"] = repeated(
            lambda: buffer.sample(BATCH)
        )
    result = race(
        "Batches with their data",
        contestants,
        size=f"20 batches of {BATCH}; 1e6 transitions of {2 * N_OBSERVED} numbers",
        repeats=41,
    )
    bars = [
        bar(f"sampler / {peer}", result.ratio("sampler", peer, "cpu"), at_most=limit)
        for peer, limit in limits.items()
    ]
    if "d3rlpy" in contestants:
        ratio = result.ratio("d3rlpy", "sampler for d3rlpy", "cpu")
        bars.append(bar("d3rlpy / sampler for d3rlpy", ratio, at_least=15))
    return bars


def repeated(sample, n_batches=20):
    return lambda: [sample() for _ in range(n_batches)]


def indexed(dataset, rows):
    return (
        dataset.observations[rows],
        dataset.actions[rows],
        dataset.rewards[rows],
        dataset.next_observations[rows],
        dataset.terminations[rows],
    )


def spaces():
    from gymnasium.spaces import Box

    return (
        Box(-np.inf, np.inf, (N_OBSERVED,), np.float32),
        Box(-1.0, 1.0, (N_ACTIONS,), np.float32),
    )


def uniform_sb3(dataset):
    """Uniform draws of Stable-Baselines3, its memory filled at once."""
    import torch
    from stable_baselines3.common.buffers import ReplayBuffer

    torch.set_num_threads(1)
    buffer = ReplayBuffer(dataset.n_transitions, *spaces(), device="cpu")
    buffer.observations[:, 0] = dataset.observations
    buffer.actions[:, 0] = dataset.actions
    buffer.rewards[:, 0] = dataset.rewards
    buffer.next_observations[:, 0] = dataset.next_observations
    buffer.dones[:, 0] = dataset.terminations
    buffer.full = True
    return lambda: buffer.sample(BATCH)


def prioritized_cpprb(dataset):
    from cpprb import PrioritizedReplayBuffer

    buffer = PrioritizedReplayBuffer(
        dataset.n_transitions,
        {
            "obs": {"shape": N_OBSERVED},
            "act": {"shape": N_ACTIONS},
            "rew": {},
            "next_obs": {"shape": N_OBSERVED},
            "done": {},
        },
    )
    buffer.add(
        obs=dataset.observations,
        act=dataset.actions,
        rew=dataset.rewards,
        next_obs=dataset.next_observations,
        done=dataset.terminations,
        priorities=np.repeat(weights_of(dataset), dataset.lengths),
    )
    return lambda: buffer.sample(BATCH)


def uniform_d3rlpy(dataset):
    """Uniform draws of d3rlpy, from fewer trajectories: it lists transitions."""
    import d3rlpy

    d3rlpy.logging.LOG.disabled = True
    buffer = d3rlpy.dataset.create_infinite_replay_buffer(
        [
            d3rlpy.dataset.Episode(
                part.observations,
                part.actions,
                part.rewards[:, np.newaxis],
                bool(part.terminations[-1]),
            )
            for part in dataset.subset(np.arange(1000))
        ]
    )
    return lambda: buffer.sample_transition_batch(BATCH)


def memory() -> bool:
    dataset = logged(10_000, 1_000_000)
    arrays = (dataset.observations, dataset.actions, dataset.rewards)
    held = sum(values.nbytes for values in (*arrays, dataset.next_observations))
    peak = traced_peak(lambda: TrajectorySampler(dataset, random_state=SEED))
    print(f"  {peak / MEGABYTE:.0f} MB for data of {held / MEGABYTE:.0f} MB")
    return bar("memory beside the data / the data", peak / held, at_most=1.2)


def main() -> None:
    finish(memory(), *draw_indices(), *more_transitions(), *with_data())


if __name__ == "__main__":
    main()
