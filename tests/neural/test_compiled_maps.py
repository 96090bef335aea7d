"""Maps on weights under the compiler that torch uses by default."""

from __future__ import annotations

import shutil
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural.adapters import apply_bone  # noqa: E402
from statlearn.neural.regularization import compand  # noqa: E402

MAPS = {
    "compander": compand,
    "bone col": partial(apply_bone, r=4),
    "bone ab": partial(apply_bone, r=4, variant="ab"),
}


@pytest.mark.slow
@pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))),
    reason="the compiler of torch needs one for C++",
)
# The compiler does what torch advises not to do.
@pytest.mark.filterwarnings("ignore:.*script_method.*is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("name", MAPS)
def test_compiled_model_has_the_outputs_and_gradients_of_the_model(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 12), nn.Tanh(), nn.Linear(12, 4)).double()
    MAPS[name](model)
    trained = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        for parameter in trained:
            parameter.add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(6, 8, dtype=torch.float64)
    expected = model(x)
    torch.compiler.reset()
    found = torch.compile(model)(x)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad(found.square().sum(), trained),
        torch.autograd.grad(expected.square().sum(), trained),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
