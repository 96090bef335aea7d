"""Geometric and data-driven merge rules on 22.7 million numbers, against their peers.

Slerp, NuSlerp, Karcher means and Model Stock are raced against mergekit; Fisher merging
and RegMean, which it does not have, against their formulas in PyTorch.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

import numpy as np
import torch

from _race import bar, finish, race
from bench_merging import encoder, tensors
from statlearn.merging import (
    fisher_merge,
    karcher,
    model_stock,
    nuslerp,
    regmean,
    slerp,
)

# Ours with its number of models, the peer's parameters, and its base: two models and
# nothing else are its slerp, the first of them being the base.
RULES = {
    "slerp": (slerp, 2, {"t": 0.5}, 1),
    "nuslerp": (nuslerp, 2, {"weight": [0.5, 0.5]}, 0),
    "karcher": (karcher, 3, {}, None),
    "model_stock": (model_stock, 3, {}, 0),
}


def mergekit_runs(rule, states, options, base):
    """Run a rule of mergekit on a base and models, or on the models alone."""
    from mergekit.merge_methods import merge_state_dicts

    states = states if base == 0 else states[1:]
    options = {"parameters": options, "base": None if base is None else 0}
    with torch.no_grad():
        return merge_state_dicts(states, rule, **options)


def evidence(models):
    """Random Fisher information of every number, and Gram matrices of every layer."""
    rng = np.random.default_rng(1)
    fishers = [
        {name: rng.random(a.shape, dtype=np.float32) for name, a in model.items()}
        for model in models
    ]
    grams = []
    for model in models:
        found = {}
        for name, weight in model.items():
            # Rows of an embedding are looked up, not multiplied: no Gram matrix.
            if weight.ndim == 2 and not name.startswith("embeddings"):
                width = weight.shape[1]
                inputs = rng.standard_normal((2 * width, width), dtype=np.float32)
                found[name] = inputs.T @ inputs / len(inputs)
        grams.append(found)
    return fishers, grams


def torch_fisher(models, fishers):
    """Mean of the models, each number weighted by its information."""
    merged = {}
    for name in models[0]:
        information = [fisher[name] + 1e-6 for fisher in fishers]
        total = sum(f * m[name] for f, m in zip(information, models, strict=True))
        merged[name] = total / sum(information)
    return merged


def torch_regmean(models, grams, dtype):
    """Least squares between the outputs of linear layers, means elsewhere."""
    merged = {}
    for name in models[0]:
        if name in grams[0]:
            pairs = [
                (g[name].to(dtype), m[name].to(dtype))
                for g, m in zip(grams, models, strict=True)
            ]
            total = sum(gram for gram, _ in pairs)
            products = sum(gram @ weight.T for gram, weight in pairs)
            merged[name] = torch.linalg.solve(total, products).T.float()
        else:
            merged[name] = torch.stack([m[name] for m in models]).mean(dim=0)
    return merged


def main() -> None:
    torch.set_num_threads(1)
    base, models = encoder()
    size = f"{sum(a.size for a in base.values()) / 1e6:.1f}e6 numbers"
    bars = []

    def compare(label, contestants, repeats=5):
        result = race(label, contestants, size=size, repeats=repeats)
        if "peer" in contestants:
            ratio = result.ratio("ours", "peer", "cpu")
            bars.append(bar(f"{label} / its peer", ratio, at_most=1.0))

    with_mergekit = find_spec("mergekit") is not None
    if not with_mergekit:
        print("mergekit is not installed: its rules are left out.", flush=True)
    for label, (rule, n_models, options, start) in RULES.items():
        contestants = {"ours": partial(rule, base, models[:n_models])}
        if with_mergekit:
            states = tensors(base, models[:n_models])
            contestants["peer"] = partial(mergekit_runs, label, states, options, start)
        compare(label, contestants)
    fishers, grams = evidence(models)
    as_tensors = [
        [{n: torch.from_numpy(a) for n, a in one.items()} for one in many]
        for many in (fishers, grams)
    ]
    tuned = tensors(base, models)[1:]
    compare(
        "fisher_merge",
        {
            "ours": partial(fisher_merge, base, models, fishers=fishers),
            "peer": partial(torch_fisher, tuned, as_tensors[0]),
        },
    )
    least_squares = partial(torch_regmean, tuned, as_tensors[1])
    compare(
        "regmean",
        {
            "ours": partial(regmean, base, models, grams=grams),
            # Ours solves in float64, whatever the arrays are.
            "peer": partial(least_squares, torch.float64),
            "peer, float32": partial(least_squares, torch.float32),
        },
    )
    finish(*bars)


if __name__ == "__main__":
    main()
