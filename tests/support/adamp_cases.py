"""Weights and gradients for the tests of AdamP and SGDP, and runs of an optimizer."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

P = [[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]]
GRADIENTS = [
    [[4.0, -3.0, 1.0], [1.0, 2.0, 0.0]],
    [[4.0, -3.0, 0.5], [0.5, -1.0, 0.0]],
    [[4.0, -3.0, 1.0], [1.0, 2.0, 0.0]],
]
KINDS = ("rows", "layer", "random")

# Shape, kinds of the gradients and a seed.
CASES = st.tuples(
    st.lists(st.integers(1, 5), min_size=0, max_size=4),
    st.lists(st.sampled_from(KINDS), min_size=4, max_size=4),
    st.integers(0, 2**32 - 1),
)
# Options that both optimizers have.
OPTIONS = {
    "lr": st.sampled_from([0.0, 1e-3, 0.1]),
    "eps": st.sampled_from([1e-8, 1e-3]),
    "weight_decay": st.sampled_from([0.0, 0.1]),
    "delta": st.sampled_from([0.0, 0.1, 1.0]),
    "wd_ratio": st.sampled_from([0.0, 0.1, 1.0]),
    "nesterov": st.booleans(),
    "maximize": st.booleans(),
}


def run(optimizer_class, start, gradients, dtype=torch.float64, **options):
    """Parameters after each step, as float64 arrays."""
    param = torch.tensor(start, dtype=dtype, requires_grad=True)
    optimizer = optimizer_class([param], **options)
    path = []
    for gradient in gradients:
        param.grad = torch.as_tensor(gradient, dtype=dtype)
        optimizer.step()
        path.append(param.detach().double().numpy().copy())
    return path


def draw_gradient(rng, w, kind):
    """A random gradient, orthogonal to w by rows, as a whole, or not."""
    g = rng.normal(size=w.shape)
    if w.ndim == 0 or kind == "random":
        return g
    rows = w.reshape(len(w) if kind == "rows" else 1, -1)
    flat = g.reshape(rows.shape)
    flat = flat - rows * ((rows * flat).sum(1) / (rows * rows).sum(1))[:, None]
    return flat.reshape(w.shape)


def assert_follows_oracle(optimizer_class, oracle, case, options):
    """Take the steps of a case with both, along the oracle's path."""
    shape, kinds, seed = case
    rng = np.random.default_rng(seed)
    w = rng.normal(size=shape)
    param = torch.tensor(w, requires_grad=True)
    optimizer = optimizer_class([param], **options)
    for kind in kinds:
        g = draw_gradient(rng, w, kind)
        param.grad = torch.tensor(g)
        optimizer.step()
        w = oracle.step(w, g)
        np.testing.assert_allclose(param.detach().numpy(), w, rtol=1e-9, atol=1e-10)


def fixed_problem(seed, shapes=((6, 5), (6,), (4, 3, 2, 2), (4,), ())):
    """Float64 parameters of several shapes with gradients of all kinds."""
    rng = np.random.default_rng(seed)
    params = []
    for shape, kind in zip(shapes, KINDS * len(shapes), strict=False):
        w = rng.normal(size=shape)
        param = torch.tensor(w, requires_grad=True)
        param.grad = torch.tensor(draw_gradient(rng, w, kind))
        params.append(param)
    return params
