"""Descent through the compander, to the numbers of an independent derivation.

Plain steps of 0.1 against the gradient of the half mean square of three residuals, all
trained numbers at once, from v = (.05, -.02), a = .2 and b = .1. The numbers were
derived by hand in double precision, to ten digits.
"""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.parametrize import register_parametrization  # noqa: E402

from statlearn.neural.regularization import WeightCompander, compander  # noqa: E402

FIXED = {
    "losses": [0.0125982219, 0.0110065157, 0.0100767862],
    "v": [0.0817347206, -0.0222361084],
    "a": 0.2,
    "b": 0.1,
}
TRAINED = {
    "losses": [0.0125982219, 0.0103930006, 0.0089322477],
    "v": [0.0806605402, -0.0208102112],
    "a": 0.2116099575,
    "b": 0.0801647470,
}
# Ten digits are known; numbers below 0.25 have a single precision of 1.5e-8.
PRECISIONS = {torch.float64: 1e-10, torch.float32: 1e-7}
both_precisions = pytest.mark.parametrize(
    ("dtype", "atol"), PRECISIONS.items(), ids=["double", "single"]
)


def tensors(dtype):
    """Rows, targets and the first v, a and b."""
    numbers = (
        [[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]],
        [0.1, 0.3, -0.2],
        [0.05, -0.02],
        0.2,
        0.1,
    )
    return [torch.tensor(each, dtype=dtype) for each in numbers]


def descend(residuals, trained):
    """Losses of three steps."""
    losses = []
    for _ in range(3):
        loss = residuals().square().mean() / 2
        gradients = torch.autograd.grad(loss, trained)
        with torch.no_grad():
            for number, gradient in zip(trained, gradients, strict=True):
                number -= 0.1 * gradient
        losses.append(loss.item())
    return losses


@both_precisions
@pytest.mark.parametrize("learn", [False, True], ids=["fixed", "learned"])
def test_function_descends_to_the_known_numbers(learn, dtype, atol):
    X, y, v, a, b = tensors(dtype)
    trained = [each.requires_grad_() for each in ([v, a, b] if learn else [v])]
    losses = descend(lambda: X @ compander(v, a, b) - y, trained)
    known = TRAINED if learn else FIXED
    np.testing.assert_allclose(losses, known["losses"], rtol=0, atol=atol)
    for name, number in (("v", v), ("a", a), ("b", b)):
        np.testing.assert_allclose(number.detach(), known[name], rtol=0, atol=atol)


@both_precisions
def test_layer_descends_to_the_known_numbers(dtype, atol):
    X, y, v, a, b = tensors(dtype)
    layer = nn.Linear(2, 1, bias=False, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(v)
    wc = WeightCompander(a.item(), b.item(), init="direct", dtype=dtype)
    register_parametrization(layer, "weight", wc)
    stored = layer.parametrizations.weight.original
    losses = descend(lambda: layer(X).flatten() - y, [stored])
    np.testing.assert_allclose(losses, FIXED["losses"], rtol=0, atol=atol)
    np.testing.assert_allclose(stored.detach()[0], FIXED["v"], rtol=0, atol=atol)
