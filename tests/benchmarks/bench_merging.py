"""Merge rules on an encoder of 22.7 million numbers, against mergekit and PyTorch."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from _race import bar, finish, race, traced_peak
from statlearn.merging import (
    average,
    breadcrumbs,
    consensus,
    dare,
    della,
    pcb,
    sce,
    task_arithmetic,
    ties,
)

SEED, N_MODELS = 0, 3
WIDTH, INNER, N_LAYERS = 384, 1536, 6


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of a small sentence encoder."""
    found: dict[str, tuple[int, ...]] = {
        "embeddings.word": (30522, WIDTH),
        "embeddings.position": (512, WIDTH),
        "embeddings.token_type": (2, WIDTH),
    }
    linear = {"pooler": (WIDTH, WIDTH)}
    norms = ["embeddings.norm"]
    for layer in range(N_LAYERS):
        linear |= {f"{layer}.{part}": (WIDTH, WIDTH) for part in ("q", "k", "v", "out")}
        linear |= {f"{layer}.up": (INNER, WIDTH), f"{layer}.down": (WIDTH, INNER)}
        norms += [f"{layer}.attention.norm", f"{layer}.norm"]
    for name, shape in linear.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        found |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    return found


def encoder():
    """A base and models that differ from it by a tenth, in float32."""
    rng = np.random.default_rng(SEED)

    def normal(shape, scale):
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)

    base = {name: normal(shape, 0.05) for name, shape in shapes().items()}
    models = [
        {name: start + normal(start.shape, 0.005) for name, start in base.items()}
        for _ in range(N_MODELS)
    ]
    return base, models


# Ours, the peer's name and parameters, and the bar on the ratio of times.
RULES = {
    "average": (average, {}, "linear", {}, 1.0),
    "task_arithmetic": (task_arithmetic, {}, "task_arithmetic", {}, 1.0),
    "ties": (ties, {"density": 0.2}, "ties", {"density": 0.2}, 0.5),
    "dare": (dare, {"drop": 0.5}, "dare_linear", {"density": 0.5}, 1.0),
    "dare, l1": (
        dare,
        {"drop": 0.5, "rescale": "l1"},
        "dare_linear",
        {"density": 0.5},
        1.0,
    ),
    "dare, signs": (
        dare,
        {"drop": 0.5, "consensus": True},
        "dare_ties",
        {"density": 0.5},
        1.0,
    ),
    "della": (della, {"density": 0.5}, "della", {"density": 0.5, "epsilon": 0.15}, 1.0),
    "breadcrumbs": (
        breadcrumbs,
        {"density": 0.9, "gamma": 0.01},
        "breadcrumbs",
        {"density": 0.9, "gamma": 0.01},
        1.0,
    ),
    "sce": (sce, {"topk": 0.5}, "sce", {"select_topk": 0.5}, 1.0),
    "consensus": (consensus, {}, "torch", {}, 1.0),
    "pcb": (pcb, {"ratio": 0.1}, "torch", {}, 1.0),
}


def tensors(base, models):
    """The same memory as torch tensors."""
    import torch

    torch.set_num_threads(1)
    return [
        {name: torch.from_numpy(array) for name, array in state.items()}
        for state in (base, *models)
    ]


def mergekit_peer(base, models):
    """Return a function that runs a rule of mergekit."""
    import torch
    from mergekit.merge_methods import merge_state_dicts

    states = tensors(base, models)

    def run(method, options):
        if method != "sce":
            options = {"weight": 1.0, **options}
        with torch.no_grad():
            if method == "linear":
                return merge_state_dicts(states[1:], method, parameters=options)
            return merge_state_dicts(states, method, parameters=options, base=0)

    return run


def torch_peers(base, models):
    """Masks of Consensus and scores of PCB, written down plainly in PyTorch."""
    import torch

    start, *tuned = tensors(base, models)

    def masks():
        merged = {}
        for name, origin in start.items():
            updates = torch.stack([model[name] - origin for model in tuned])
            total = updates.sum(dim=0)
            needed = updates.abs() > 0.4 * (total - updates).abs()
            merged[name] = origin + total * (needed.sum(dim=0) >= 2)
        return merged

    def squeeze(values):
        low = values.amin(dim=1, keepdim=True)
        return (values - low) / (values.amax(dim=1, keepdim=True) - low)

    def clip(values, first, last):
        ordered = values.sort(dim=1).values
        return values.clamp(ordered[:, [first]], ordered[:, [last]])

    def competition():
        origin = torch.cat([start[name].flatten() for name in sorted(start)])
        updates = torch.stack(
            [torch.cat([m[name].flatten() for name in sorted(m)]) for m in tuned]
        )
        updates -= origin
        n = len(origin)
        sizes = clip(updates.abs(), int(n * 1e-4), int(n * (1 - 1e-4) - 1))
        scores = torch.exp(len(tuned) * squeeze(sizes) ** 2)
        scores *= torch.tanh(updates * updates.sum(dim=0))
        shares = squeeze(clip(scores, int(n * 0.9), n - 1))
        merged = (updates.sign() * sizes * shares).sum(dim=0)
        return origin + merged / shares.sum(dim=0).clamp(min=1e-12)

    return {"consensus": masks, "pcb": competition}


def times(base, models) -> list[bool]:
    size = f"{sum(a.size for a in base.values()) / 1e6:.1f}e6 numbers, 3 models"
    torch_runs, mergekit = {}, None
    if find_spec("torch") is None:
        print("PyTorch is not installed: there is nothing to compare with.")
    else:
        torch_runs = torch_peers(base, models)
        if find_spec("mergekit") is None:
            print("mergekit is not installed: its rules are left out.", flush=True)
        else:
            mergekit = mergekit_peer(base, models)
    bars = []
    for label, (rule, options, peer, theirs, limit) in RULES.items():
        contestants = {"ours": lambda: rule(base, models, **options)}  # noqa: B023
        if peer == "torch" and label in torch_runs:
            contestants["peer"] = torch_runs[label]
        elif mergekit is not None and peer != "torch":
            contestants["peer"] = lambda: mergekit(peer, theirs)  # noqa: B023
        quick = label in {"average", "task_arithmetic", "consensus"}
        result = race(label, contestants, size=size, repeats=9 if quick else 3)
        if "peer" in contestants:
            ratio = result.ratio("ours", "peer", "cpu")
            bars.append(bar(f"{label} / its peer", ratio, at_most=limit))
    return bars


def memory(base, models) -> list[bool]:
    one = sum(array.nbytes for array in base.values())
    bars = []
    for label, (rule, options, *_) in RULES.items():
        peak = traced_peak(lambda: rule(base, models, **options))  # noqa: B023
        # One model comes out; the rest is blocks of the last array of some size.
        bars.append(bar(f"{label}: memory / one model", peak / one, at_most=1.025))
    return bars


if __name__ == "__main__":
    base, models = encoder()
    finish(*times(base, models), *memory(base, models))
