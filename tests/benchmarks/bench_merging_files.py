"""Merging files array by array, against loading all of them with safetensors.

The encoder of 22.7 million numbers is in four files of 91 megabytes, base and models.
The peers hold all of them in memory: our own rule on loaded dictionaries, and plain
lines of PyTorch in float32. Files are in the cache of the system for all of them.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

from _race import bar, finish, race, resident_peak
from bench_merging import encoder
from statlearn.merging import merge_files, merge_weights, save_weights


def in_memory(paths, target):
    """Load, merge and save with the package of the format."""
    import safetensors.numpy

    def run():
        base, *models = map(safetensors.numpy.load_file, paths)
        merged = merge_weights(base, models, "task-arithmetic", scale=0.4)
        safetensors.numpy.save_file(merged, target)

    return run


def with_torch(paths, target):
    """Do the same with tensors in float32."""
    import safetensors.torch
    import torch

    torch.set_num_threads(1)

    def run():
        base, *models = map(safetensors.torch.load_file, paths)
        merged = {
            name: start + 0.4 * sum(model[name] - start for model in models)
            for name, start in base.items()
        }
        safetensors.torch.save_file(merged, target)

    return run


def contestants(folder: Path):
    base, models = encoder()
    one = sum(array.nbytes for array in base.values())
    paths = [folder / f"{number}.safetensors" for number in range(1 + len(models))]
    for path, state in zip(paths, (base, *models), strict=True):
        save_weights(path, state)
    largest = max(array.nbytes for array in base.values())
    found = {
        "merge_files": lambda: merge_files(
            paths[0],
            paths[1:],
            folder / "ours.safetensors",
            "task-arithmetic",
            scale=0.4,
        )
    }
    if find_spec("safetensors") is None or find_spec("torch") is None:
        print("PyTorch or safetensors is not installed: nothing to compare with.")
    else:
        found["safetensors, in memory"] = in_memory(paths, folder / "n.safetensors")
        found["PyTorch, in memory"] = with_torch(paths, folder / "t.safetensors")
    return found, one, largest


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        runs, one, largest = contestants(Path(name))
        result = race("Merging four files", runs, size=f"{one / 1e6:.0f} MB each")
        peaks = {label: resident_peak(run) for label, run in runs.items()}
    for label, peak in peaks.items():
        print(
            f"  {label}: {peak / one:.2f} x one file, {peak / largest:.2f} x an array"
        )
    bars = [bar("memory / largest array", peaks["merge_files"] / largest, at_most=7.0)]
    if len(runs) > 1:
        ratio = result.ratio("merge_files", "PyTorch, in memory", "cpu")
        bars.append(bar("time / PyTorch in memory", ratio, at_most=1.5))
        share = peaks["merge_files"] / peaks["PyTorch, in memory"]
        bars.append(bar("memory / PyTorch in memory", share, at_most=0.6))
    finish(*bars)
