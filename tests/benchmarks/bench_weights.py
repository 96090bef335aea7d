"""Weights of a million losses, residuals or labels, against np.exp on them.

np.exp stands for the least that a soft weight costs: one pass over the rows.
"""

from __future__ import annotations

import numpy as np

from _race import bar, finish, race
from statlearn.weights import get_rule, list_rules

N, SEED = 1_000_000, 0
BAR = 6.0


def main() -> None:
    rng = np.random.default_rng(SEED)
    evidence = {
        "loss": 0.5 * rng.standard_t(5, size=N) ** 2,
        "residual": rng.standard_t(5, size=N),
        "group": rng.integers(0, 1000, size=N),
    }
    scores = rng.normal(size=N)
    counts = rng.integers(1, 4, size=N).astype(float)
    bars = []
    for kind, values in evidence.items():
        rules = {name: get_rule(name) for name in list_rules()[kind]}
        contestants = {"np.exp": lambda: np.exp(scores)}
        contestants |= {
            name: lambda rule=rule, values=values: rule(values)
            for name, rule in rules.items()
        }
        result = race(f"Rules on a {kind}", contestants, size=f"{N} rows")
        bars += [
            bar(f"{name} / np.exp", result.ratio(name, "np.exp"), at_most=BAR)
            for name in rules
        ]
    losses = evidence["loss"]
    race(
        "The same with base weights, no bar",
        {
            "np.exp": lambda: np.exp(scores),
            **{
                name: lambda name=name: get_rule(name)(losses, base_weight=counts)
                for name in ("linupper", "kltilt", "klball", "chi2ball", "cvar")
            },
        },
        size=f"{N} rows",
    )
    finish(*bars)


if __name__ == "__main__":
    main()
