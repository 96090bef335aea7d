"""One step of AdamP against timm's and against Adam of PyTorch.

The shapes are those of ResNet-18, where memory is the limit, and of a small network
with many layers, where the calls are. All gradients are orthogonal to the rows of their
weights and the rate is tiny, so that each matrix is projected: the dearest case. Beside
the times stand the passes over all entries that each implementation makes through
memory.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from _race import bar, finish, race
from statlearn.neural.optim import AdamP

torch.set_num_threads(1)

ENTRY_BYTES = 4
RATE = 1e-9  # of learning: weights and gradients stay orthogonal
# Reads and writes of N entries that reach the memory if a pass does not fit the cache.
# Adam, loop: m 3, v 5, root 2, scale 2, eps 2, w 4. Fused: r(g, m, v, w), w(m, v, w).
# Ours: fused, and r(g, w) for the test. timm: Adam as a loop, but 3 for the quotient,
# and 10 for the cosine (two lengths that scale, product, sum), 1 for the length of w,
# 2 for w of unit length, 4 and 2 for its product with the update, 3 to subtract, and 3
# to apply.
PASSES = {"Adam, loop": 18, "Adam, fused": 7, "AdamP": 9, "AdamP of timm": 44}


def resnet18() -> list[tuple[int, ...]]:
    """Shapes of the parameters, 11.7 million entries."""
    shapes: list[tuple[int, ...]] = [(64, 3, 7, 7), (64,), (64,)]
    width = 64
    for n_out in (64, 128, 256, 512):
        for n_in in (width, n_out):
            shapes += [(n_out, n_in, 3, 3), (n_out,), (n_out,)]
            shapes += [(n_out, n_out, 3, 3), (n_out,), (n_out,)]
        if n_out != width:
            shapes += [(n_out, width, 1, 1), (n_out,), (n_out,)]
        width = n_out
    return [*shapes, (1000, 512), (1000,)]


def mlp() -> list[tuple[int, ...]]:
    """Shapes of 17 layers with biases, 34 small tensors."""
    return [(64, 64), (64,)] * 17


def parameters(shapes: list[tuple[int, ...]]) -> list[torch.nn.Parameter]:
    """Random parameters with gradients orthogonal to the rows of the matrices."""
    generator = torch.Generator().manual_seed(0)
    params = []
    for shape in shapes:
        weight = torch.randn(shape, generator=generator)
        grad = torch.randn(shape, generator=generator)
        if weight.ndim > 1:
            rows, slopes = weight.flatten(1), grad.flatten(1)
            inner = torch.linalg.vecdot(rows, slopes) / rows.square().sum(1)
            slopes.addcmul_(rows, inner.unsqueeze(1), value=-1)
        params.append(torch.nn.Parameter(weight))
        params[-1].grad = grad
    return params


def load_timm() -> object | None:
    """Return timm's module of AdamP from its file, as timm needs torchvision."""
    found = importlib.util.find_spec("timm")
    if found is None or not found.submodule_search_locations:
        print("The peer timm is missing; install timm==1.0.31 without dependencies.")
        return None
    path = Path(found.submodule_search_locations[0]) / "optim" / "adamp.py"
    spec = importlib.util.spec_from_file_location("timm_adamp", path)
    if spec is None or spec.loader is None:
        print(f"The peer timm cannot be loaded from {path}; install timm==1.0.31.")
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    timm = load_timm()
    bars = []
    for name, shapes, steps in (("ResNet-18", resnet18(), 1), ("MLP", mlp(), 30)):
        n = sum(torch.Size(shape).numel() for shape in shapes)
        optimizers = {
            "Adam, loop": torch.optim.Adam(parameters(shapes), RATE, foreach=False),
            "Adam, fused": torch.optim.Adam(parameters(shapes), RATE, fused=True),
            "AdamP": AdamP(parameters(shapes), RATE),
        }
        if timm is not None:
            optimizers["AdamP of timm"] = timm.AdamP(parameters(shapes), RATE)

        def run(optimizer: torch.optim.Optimizer, steps: int = steps) -> None:
            for _ in range(steps):
                optimizer.step()

        result = race(
            f"{steps} step(s) on the shapes of {name}",
            {
                key: lambda optimizer=optimizer: run(optimizer)
                for key, optimizer in optimizers.items()
            },
            size=f"{len(shapes)} tensors, {n / 1e6:.2f} million entries",
            repeats=11,
            warmup=2,
        )
        for key in optimizers:
            passes = PASSES[key]
            print(
                f"  {key:<14} {passes:3d} passes, {passes * n * ENTRY_BYTES / 1e6:8.1f}"
                f" MB a step, x {passes / PASSES['Adam, loop']:.2f}"
            )
        ratio = result.ratio("AdamP", "Adam, loop", "cpu")
        if name == "MLP":
            bars.append(bar("AdamP / Adam on small tensors", ratio, at_most=1.6))
            continue
        bars.append(bar("AdamP / Adam on ResNet-18", ratio, at_most=2.1))
        if timm is not None:
            ratio = result.ratio("AdamP", "AdamP of timm", "cpu")
            bars.append(bar("AdamP / timm's on ResNet-18", ratio, at_most=0.8))
    finish(*bars)


if __name__ == "__main__":
    main()
