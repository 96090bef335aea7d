"""What is claimed of block-affine adapters, on images of digits that changed.

The demonstration follows Kang, "Bone: Block-Affine Adaptation of Large Language
Models", 2024, with a perceptron in place of a language model: trained on upright
digits, frozen, and adapted to few images that were turned by 90 degrees, shifted by a
pixel or inverted. Seeds are fixed and not searched for; run with ``-s`` to see the
figures.

Mean accuracies of three seeds, each method at its own learning rate for each shift.
Shifted, 0.446 before: full 0.950, LoRA 0.948, row 0.944, PiSSA 0.928, col 0.911,
additive 0.878. Turned, 0.109 before: full 0.946, col 0.923, LoRA 0.922, PiSSA 0.920,
additive 0.879, row 0.803. Inverted, 0.008 before: PiSSA 0.860, full 0.840, additive
0.307, LoRA 0.209, col 0.151, row 0.100. So which variant works depends on the shift,
and none of them is better than LoRA or PiSSA in general. Rows of blocks are slow on
turned images, and only small steps suit them: at a rate of 0.01, which is best for most
of the others, one of the three runs stays at chance.
"""

from __future__ import annotations

import copy
from functools import cache, partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.datasets import load_digits  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from statlearn.neural import count_trainable, fold  # noqa: E402
from statlearn.neural.adapters import (  # noqa: E402
    apply_bone,
    apply_lora,
    apply_pissa,
)

pytestmark = pytest.mark.slow

N_SEEDS, N_TRAIN, N_ADAPT, BATCH = 3, 900, 400, 64
LAYERS = ["0", "2"]
SHIFTS = {"turned": 300, "shifted": 200, "inverted": 200}

# Of 1e-3, 3e-3, 1e-2 and 3e-2 the best on average of three other seeds, 3 to 5, which
# no test looks at; 1e-2 where nothing is said.
RATES = {
    ("row", "turned"): 3e-3,
    ("lora", "turned"): 3e-2,
    ("lora", "shifted"): 3e-2,
    ("pissa", "shifted"): 3e-2,
    ("row", "inverted"): 3e-3,
    ("col", "inverted"): 3e-2,
}
USUAL_RATE = 1e-2


def nothing(model):
    """Train the weights of both layers themselves."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in {"0.weight", "2.weight"})


METHODS = {
    "full": nothing,
    "pissa": partial(apply_pissa, r=5, include=LAYERS),
    "lora": partial(apply_lora, r=5, include=LAYERS),
    "col": partial(apply_bone, r=8, include=LAYERS),
    "row": partial(apply_bone, r=8, variant="row", include=LAYERS),
    "additive": partial(apply_bone, r=8, variant="additive", include=LAYERS),
}
ADAPTERS = [name for name in METHODS if name != "full"]


def report(text):
    """Show a figure of a test that passes too, under ``pytest -s``."""
    print(text)  # noqa: T201


def train(model, parameters, X, y, *, lr, n_steps, seed):
    """Run a bare loop of minibatches."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.0)
    for _ in range(n_steps):
        rows = rng.choice(len(X), BATCH, replace=False)
        optimizer.zero_grad()
        cross_entropy(model(X[rows]), y[rows]).backward()
        optimizer.step()


def accuracy(model, X, y):
    with torch.no_grad():
        return float((model(X).argmax(1) == y).float().mean())


def changed(images, shift):
    if shift == "turned":
        images = np.rot90(images, axes=(1, 2))
    elif shift == "shifted":
        images = np.pad(images, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    else:
        images = 1.0 - images
    return torch.tensor(images.reshape(len(images), -1).copy(), dtype=torch.float32)


@cache
def pretrained(seed):
    """Return a trained network, the images that it has not seen and their labels."""
    torch.set_num_threads(1)
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images, labels = digits.images[order] / 16.0, torch.tensor(digits.target[order])
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
    X = torch.tensor(images[:N_TRAIN].reshape(N_TRAIN, 64), dtype=torch.float32)
    n_steps = 30 * N_TRAIN // BATCH
    train(
        model,
        list(model.parameters()),
        X,
        labels[:N_TRAIN],
        lr=1e-3,
        n_steps=n_steps,
        seed=seed,
    )
    return model, images[N_TRAIN:], labels[N_TRAIN:]


def adapt(name, shift, seed, rate=None):
    """Return accuracy before and after, and the number of trained numbers."""
    base, images, y = pretrained(seed)
    X = changed(images, shift)
    model = copy.deepcopy(base)
    before = accuracy(model, X[N_ADAPT:], y[N_ADAPT:])
    torch.manual_seed(seed)  # LoRA draws its start
    METHODS[name](model)
    size = count_trainable(model)[0]
    trained = [p for p in model.parameters() if p.requires_grad]
    train(
        model,
        trained,
        X[:N_ADAPT],
        y[:N_ADAPT],
        lr=rate or RATES.get((name, shift), USUAL_RATE),
        n_steps=SHIFTS[shift],
        seed=seed + 100,
    )
    if name in ADAPTERS:
        fold(model)
    return before, accuracy(model, X[N_ADAPT:], y[N_ADAPT:]), size


@cache
def table(shift):
    """Return mean accuracies after adapting, that before, and sizes."""
    after, sizes = {}, {}
    for name in METHODS:
        runs = [adapt(name, shift, seed) for seed in range(N_SEEDS)]
        before = float(np.mean([run[0] for run in runs]))
        scores = [run[1] for run in runs]
        after[name], sizes[name] = float(np.mean(scores)), runs[0][2]
        report(
            f"{shift:9} {name:9} {sizes[name]:6} numbers: {before:.3f} -> "
            f"{after[name]:.3f} (sd {np.std(scores):.3f})"
        )
    return before, after, sizes


def test_adapters_train_a_tenth_of_the_weights():
    _, _, sizes = table("shifted")
    assert sizes == {
        "full": 24576,
        "pissa": 2240,
        "lora": 2240,
        "col": 2048,
        "row": 1536,
        "additive": 2048,
    }


@pytest.mark.parametrize("shift", SHIFTS)
def test_every_method_is_better_than_the_model_as_it_was(shift):
    before, after, _ = table(shift)
    assert min(after.values()) > before


def test_row_blocks_serve_with_the_fewest_numbers_where_the_inputs_moved():
    _, after, sizes = table("shifted")
    assert sizes["row"] == min(sizes.values())
    assert after["row"] > max(after["col"], after["additive"]) + 0.01
    assert after["row"] > max(after[name] for name in ADAPTERS) - 0.01
    assert after["row"] > after["full"] - 0.02


def test_no_adapter_beats_full_tuning_on_turned_images():
    _, after, _ = table("turned")
    assert max(after[name] for name in ADAPTERS) < after["full"]


def test_row_blocks_learn_turned_images_but_lag_behind_the_other_adapters():
    before, after, _ = table("turned")
    assert after["row"] > max(before + 0.5, 0.7)
    assert after["row"] < min(after[name] for name in ADAPTERS if name != "row") - 0.03


def test_row_blocks_need_smaller_steps_than_columns_on_turned_images():
    """At the rate that suits columns some runs of rows stay near chance."""
    rows = [adapt("row", "turned", seed, USUAL_RATE)[1] for seed in range(N_SEEDS)]
    report(f"row, turned, rate {USUAL_RATE:g}: {np.round(rows, 3)}")
    _, after, _ = table("turned")
    assert min(rows) < 0.3
    assert np.mean(rows) < after["row"] - 0.05


def test_no_adapter_but_pissa_copes_with_inverted_images():
    _, after, _ = table("inverted")
    assert after["pissa"] > 0.7
    assert max(after[name] for name in ADAPTERS if name != "pissa") < 0.5
