"""
Golden numbers of adapters, made with peft.

Run ``python tests/reference/make_peft.py``: it writes ``peft_adapters.json`` beside it.

A network of two layers in double precision and adapters of all kinds get numbers from
sines and cosines, so that no generator has to agree. The settings and shapes are those
of the files that peft writes, the outputs those of peft's own module. A second network
shows how peft names what is trained beside the adapters.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import peft
import torch
from peft import LoraConfig, MissConfig, get_peft_model
from safetensors.torch import load_file
from torch import nn

HERE = Path(__file__).parent
LAYERS = ["0", "2"]
X = torch.tensor([[1.0, -1, 2, 0.5], [0, 0.3, -0.7, 1]], dtype=torch.float64)
CONFIGS = {
    "additive": MissConfig(r=3, target_modules=LAYERS),
    "col": MissConfig(r=2, init_weights="bat", target_modules=LAYERS),
    "mini": MissConfig(r=2, mini_r=2, init_weights="mini", target_modules=LAYERS),
    "lora": LoraConfig(r=2, lora_alpha=6, target_modules=LAYERS),
}
# Settings that say which adapter it is.
KEPT = {
    "MISS": ("peft_type", "mini_r", "miss_dropout", "bias", "r", "init_weights"),
    "LORA": ("peft_type", "r", "lora_alpha", "bias"),
}


def network():
    """Two layers whose numbers are sines."""
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    with torch.no_grad():
        for k, parameter in enumerate(model.parameters()):
            steps = torch.arange(parameter.numel(), dtype=torch.float64)
            parameter.copy_((steps * 0.37 + k).sin().reshape(parameter.shape))
    return model


def files(model):
    """Settings and arrays of the files that peft writes."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        text = (Path(folder) / "adapter_config.json").read_text(encoding="utf-8")
        return json.loads(text), load_file(Path(folder) / "adapter_model.safetensors")


def adapter(config):
    """One kind as a record: settings, shapes, outputs for `X`."""
    model = get_peft_model(network(), config).double()
    trained = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        for k, parameter in enumerate(trained):
            steps = torch.arange(parameter.numel(), dtype=torch.float64)
            parameter.copy_((0.5 * (0.7 * steps + k).cos()).reshape(parameter.shape))
        outputs = model(X)
    settings, arrays = files(model)
    return {
        "settings": {name: settings[name] for name in KEPT[settings["peft_type"]]},
        "shapes": {name: list(array.shape) for name, array in arrays.items()},
        "outputs": outputs.tolist(),
    }


class Network(nn.Module):
    """A body that is adapted, a normalisation and a head that are trained beside."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6))
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        """Outputs of shape (n, 2)."""
        return self.head(self.norm(self.body(x)))


def beside():
    """Names in the files of an adapter with modules that are trained beside it."""
    config = LoraConfig(
        r=2, target_modules=["body.0", "body.2"], modules_to_save=["head", "norm"]
    )
    settings, arrays = files(get_peft_model(Network(), config))
    return {
        "modules_to_save": sorted(settings["modules_to_save"]),
        "bias": settings["bias"],
        "names": sorted(arrays),
    }


def main():
    """Write the file."""
    record = {
        "made_by": "make_peft.py",
        "peft": peft.__version__,
        "adapters": {kind: adapter(config) for kind, config in CONFIGS.items()},
        "trained_beside": beside(),
    }
    text = json.dumps(record, indent=1) + "\n"
    (HERE / "peft_adapters.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
