"""Adapters of one linear layer, forward and backward, against peft's.

Every contestant is a frozen layer with its adapter: the output of a batch, and the
gradients of its input and of the adapter. The frozen layer alone is the least that
any adapter costs. The second race is one token without a gradient, as in generation,
where forming the adapted weight costs more than the layer does. Before both, peft has
to read the files that are written here, and compute the same with them.
"""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from _race import bar, finish, race
from statlearn.neural import map_parameters
from statlearn.neural.adapters import (
    apply_bone,
    apply_lora,
    apply_pissa,
    save_peft_adapter,
)

SIDE, N_ROWS, RANK, SEED = 512, 256, 32, 0
REPEATS, CALLS = 31, 5
BAR = 0.8


def frozen_layer() -> nn.Module:
    torch.manual_seed(SEED)
    return nn.Sequential(nn.Linear(SIDE, SIDE)).requires_grad_(False)


def adapted(apply: Callable[..., object], **settings: object) -> nn.Module:
    model = frozen_layer()
    apply(model, **settings)
    return model


def ours() -> dict[str, nn.Module]:
    """Return layers with as many trained numbers as peft's, 16384 each."""
    variants = ("col", "row", "additive")
    models = {v: adapted(apply_bone, r=RANK, variant=v) for v in variants}
    models["LoRA"] = adapted(apply_lora, r=RANK // 2)
    models["PiSSA"] = adapted(apply_pissa, r=RANK // 2)
    return models


def peers() -> dict[str, nn.Module]:
    """Return peft's layers, or say that peft is missing."""
    if importlib.util.find_spec("peft") is None:
        print("  peft is not installed: no race against it, no bar")
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from peft import LoraConfig, MissConfig, get_peft_model

        configs = {
            "peft bat": MissConfig(r=RANK, init_weights="bat", target_modules=["0"]),
            "peft MiSS": MissConfig(r=RANK, target_modules=["0"]),
            "peft LoRA": LoraConfig(r=RANK // 2, target_modules=["0"]),
        }
        return {n: get_peft_model(frozen_layer(), c) for n, c in configs.items()}


def same_outputs(models: dict[str, nn.Module], x: Tensor) -> None:
    """Give the counterparts the same numbers and compare what they compute."""
    for name, peer in (("col", "peft bat"), ("additive", "peft MiSS")):
        (mine,), (theirs,) = (
            [p for p in models[key].parameters() if p.requires_grad]
            for key in (name, peer)
        )
        with torch.no_grad():
            theirs.copy_(mine.normal_(std=0.02))
        torch.testing.assert_close(models[name](x), models[peer](x))


def read_by_peer(x: Tensor) -> None:
    """Write trained adapters of each kind; peft's outputs must be those of ours."""
    from peft import PeftModel

    for name, model in ours().items():
        if name == "row":  # has no counterpart in peft
            continue
        with torch.no_grad():
            for parameter in map_parameters(model):
                parameter.add_(0.02 * torch.randn_like(parameter))
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            save_peft_adapter(model, folder)
            peer = PeftModel.from_pretrained(frozen_layer(), folder)
        expected, found = model(x), peer(x)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        gap = (found - expected).abs().max().item()
        print(f"  {name}: peft reads the files, outputs within {gap:.1e}")


def training(model: nn.Module, x: Tensor, upstream: Tensor) -> Callable[[], None]:
    wanted = [x, *(p for p in model.parameters() if p.requires_grad)]

    def run() -> None:
        for _ in range(CALLS):
            torch.autograd.grad(model(x), wanted, upstream)

    return run


def inference(model: nn.Module, x: Tensor) -> Callable[[], None]:
    def run() -> None:
        with torch.no_grad():
            for _ in range(CALLS):
                model(x)

    return run


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    models = {"frozen": frozen_layer(), **ours(), **peers()}
    x = torch.randn(N_ROWS, SIDE, requires_grad=True)
    upstream = torch.randn(N_ROWS, SIDE)
    has_peer = "peft bat" in models
    if has_peer:
        same_outputs(models, x)
        read_by_peer(x)
    trained = race(
        "Forward and backward of an adapted layer",
        {name: training(model, x, upstream) for name, model in models.items()},
        size=f"{SIDE} x {SIDE}, {N_ROWS} rows, r = {RANK}, {CALLS} calls",
        repeats=REPEATS,
        warmup=3,
    )
    token = torch.randn(1, SIDE)
    single = race(
        "Forward of one token, no gradient",
        {name: inference(model, token) for name, model in models.items()},
        size=f"{SIDE} x {SIDE}, 1 row, r = {RANK}, {CALLS} calls",
        repeats=REPEATS,
        warmup=3,
    )
    if not has_peer:
        finish()
    finish(
        bar("col / peft bat", trained.ratio("col", "peft bat", "cpu"), at_most=BAR),
        bar(
            "additive / peft MiSS",
            trained.ratio("additive", "peft MiSS", "cpu"),
            at_most=1.0,
        ),
        bar(
            "col / peft bat, one token",
            single.ratio("col", "peft bat", "cpu"),
            at_most=0.5,
        ),
    )


if __name__ == "__main__":
    main()
