"""Weight signatures of an encoder of 22.7 million numbers: time, memory, files."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

from _race import bar, finish, race, traced_peak
from bench_merging import encoder
from statlearn.merging import WeightSignature, apply_signature, weight_signature

FIRST = ["0.*"]  # arrays of the first layer of the encoder


def plain_torch(robust, clean, base):
    """Return the projection written down plainly on float32 tensors."""
    import torch

    torch.set_num_threads(1)
    tensors = [
        {name: torch.from_numpy(array) for name, array in state.items()}
        for state in (robust, clean, base)
    ]

    def run():
        signature = {}
        for name, start in tensors[2].items():
            a = (tensors[1][name] - start).flatten()
            b = (tensors[0][name] - start).flatten()
            signature[name] = (b - a * (a.dot(b) / a.dot(a))).reshape(start.shape)
        return signature

    return run


def extraction(robust, clean, base) -> list[bool]:
    one = sum(array.nbytes for array in base.values())
    size = f"{one / 4e6:.1f}e6 numbers"
    contestants = {
        "copy of the dictionary": lambda: {n: a.copy() for n, a in clean.items()},
        "copy as float64": lambda: {n: a.astype(float) for n, a in clean.items()},
        "weight_signature": lambda: weight_signature(robust, clean, base),
        "plain difference": lambda: weight_signature(robust, clean),
    }
    if find_spec("torch") is not None:
        contestants["PyTorch, float32"] = plain_torch(robust, clean, base)
    result = race("Extraction", contestants, size=size, repeats=9)
    copy = "copy of the dictionary"
    # float64 arrays are twice the bytes of the copy, written and read again once.
    bars = [
        bar("time / copy", result.ratio("weight_signature", copy, "cpu"), at_most=3.0),
        bar("plain / copy", result.ratio("plain difference", copy, "cpu"), at_most=3.0),
    ]
    if "PyTorch, float32" in contestants:
        ratio = result.ratio("weight_signature", "PyTorch, float32", "cpu")
        bars.append(bar("time / PyTorch", ratio, at_most=1.5))
    peak = traced_peak(lambda: weight_signature(robust, clean, base))
    plain = traced_peak(lambda: weight_signature(robust, clean))
    return [
        *bars,
        bar("memory / one copy of the dictionary", peak / one, at_most=3.0),
        bar("the same without projection", plain / one, at_most=3.0),
    ]


def files(robust, clean, base) -> list[bool]:
    signature = weight_signature(robust, clean, base, layers=FIRST)
    codes = signature.quantize(16)
    one = sum(base[name].nbytes for name in signature)
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "codes.npz")
        codes.save(small)
        race(
            "One layer: quantising and files",
            {
                "apply_signature": lambda: apply_signature(clean, signature),
                "quantize to 16 levels": lambda: signature.quantize(16),
                "save 16 levels": lambda: codes.save(small),
                "load 16 levels": lambda: WeightSignature.load(small),
            },
            size=f"{one / 4e6:.1f}e6 numbers",
            repeats=3,
        )
        share = small.stat().st_size / one
    return [bar("file of 16 levels / these weights", share, at_most=0.13)]


if __name__ == "__main__":
    base, (clean, robust, _) = encoder()
    finish(*extraction(robust, clean, base), *files(robust, clean, base))
