"""Spectral merge rules on 22.7 million parameters, against torch decompositions.

The shapes are those of a sentence encoder of six layers. The peers are the public
formulas on float32 tensors: one decomposition of each update and two polar factors of
the vectors side by side (TSV-M), or one decomposition of the sum (Iso-C).
"""

from __future__ import annotations

import numpy as np
import torch

from _race import bar, finish, race, traced_peak
from statlearn.merging._rules._robust_spectral import r_tsv_merge
from statlearn.merging._rules._spectral import iso_merge, tsv_merge

WIDTH, INNER, LAYERS, WORDS, POSITIONS = 384, 1536, 6, 30522, 512
N_MODELS, SEED = 3, 0


def encoder_shapes() -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of the encoder, by name."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word": (WORDS, WIDTH),
        "embeddings.position": (POSITIONS, WIDTH),
        "embeddings.type": (2, WIDTH),
        "embeddings.norm": (WIDTH,),
        "pooler.weight": (WIDTH, WIDTH),
        "pooler.bias": (WIDTH,),
    }
    for layer in range(LAYERS):
        for part in ("query", "key", "value", "out"):
            shapes[f"layer.{layer}.{part}.weight"] = (WIDTH, WIDTH)
            shapes[f"layer.{layer}.{part}.bias"] = (WIDTH,)
        shapes[f"layer.{layer}.up.weight"] = (INNER, WIDTH)
        shapes[f"layer.{layer}.up.bias"] = (INNER,)
        shapes[f"layer.{layer}.down.weight"] = (WIDTH, INNER)
        shapes[f"layer.{layer}.down.bias"] = (WIDTH,)
        for norm in ("first", "second"):
            shapes[f"layer.{layer}.{norm}.norm"] = (WIDTH,)
    return shapes


def tuned_models() -> tuple[dict, list[dict]]:
    """Return a random base and models around it, in float32."""
    rng = np.random.default_rng(SEED)
    base = {
        name: rng.standard_normal(shape, dtype=np.float32) * 0.05
        for name, shape in encoder_shapes().items()
    }
    models = [
        {
            name: array + rng.standard_normal(array.shape, dtype=np.float32) * 0.002
            for name, array in base.items()
        }
        for _ in range(N_MODELS)
    ]
    return base, models


def as_tensors(state: dict) -> dict:
    return {name: torch.from_numpy(array) for name, array in state.items()}


def torch_tsv(base: dict, models: list[dict]) -> dict:
    """Merge by the formula: T + 2 decompositions a matrix."""

    def polar(columns):
        left, _, right = torch.linalg.svd(columns, full_matrices=False)
        return left @ right

    merged = {}
    for name, start in base.items():
        updates = [model[name] - start for model in models]
        rank = min(start.shape) // len(models)
        if start.ndim != 2 or rank == 0:
            merged[name] = start + torch.stack(updates).mean(0)
            continue
        parts = [torch.linalg.svd(update, full_matrices=False) for update in updates]
        left = polar(torch.hstack([u[:, :rank] for u, _, _ in parts]))
        right = polar(torch.hstack([v[:rank].T for _, _, v in parts]))
        values = torch.hstack([s[:rank] for _, s, _ in parts])
        merged[name] = start + (left * values) @ right.T
    return merged


def torch_iso(base: dict, models: list[dict]) -> dict:
    """Merge by the formula: one decomposition a matrix."""
    merged = {}
    for name, start in base.items():
        updates = [model[name] - start for model in models]
        if start.ndim != 2:
            merged[name] = start + torch.stack(updates).mean(0)
            continue
        left, values, right = torch.linalg.svd(sum(updates), full_matrices=False)
        merged[name] = start + values.mean() * (left @ right)
    return merged


def main() -> None:
    torch.set_num_threads(1)
    base, models = tuned_models()
    tensors = as_tensors(base), [as_tensors(model) for model in models]
    one = sum(array.nbytes for array in base.values())
    size = f"{one / 4e6:.1f} million float32, {N_MODELS} models"
    ours = tsv_merge(base, models)
    theirs = torch_tsv(*tensors)
    error = max(np.abs(ours[name] - theirs[name].numpy()).max() for name in base)
    print(f"largest difference of an entry between the two TSV-M: {error:.2g}")
    tsv = race(
        "TSV-M",
        {
            "torch, direct": lambda: torch_tsv(*tensors),
            "tsv_merge": lambda: tsv_merge(base, models),
            "r_tsv_merge": lambda: r_tsv_merge(base, models),
        },
        size=size,
        repeats=3,
    )
    iso = race(
        "Iso-C",
        {
            "torch, direct": lambda: torch_iso(*tensors),
            "iso_merge": lambda: iso_merge(base, models),
        },
        size=size,
        repeats=3,
    )
    bars = [
        bar("tsv_merge / torch", tsv.ratio("tsv_merge", "torch, direct"), at_most=1.2),
        bar("iso_merge / torch", iso.ratio("iso_merge", "torch, direct"), at_most=1.0),
    ]
    for rule in (tsv_merge, r_tsv_merge, iso_merge):
        peak = traced_peak(lambda rule=rule: rule(base, models)) / one
        bars.append(
            # The model that comes out, at most two n x n arrays of the matrix that is
            # merged last, and blocks of its rows.
            bar(f"peak of {rule.__name__} / bytes of a model", peak, at_most=1.04)
        )
    finish(*bars)


if __name__ == "__main__":
    main()
