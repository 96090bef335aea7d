"""What momentum does to the length of scale-invariant weights, and AdamP and SGDP not.

Identities of the length on a quotient of quadratic forms, and the growth of a weight in
front of a batch normalisation on digits, by a bare loop. Accuracy is a check that
nothing is paid for it: at this size no optimizer wins.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.neural.optim import SGDP, AdamP  # noqa: E402

pytestmark = pytest.mark.slow

LR, N_STEPS = 0.01, 200


def rayleigh_path(optimizer_class, **options):
    """Weights and gradients along w'Aw / w'w, which depends on the direction alone."""
    generator = torch.Generator().manual_seed(0)
    R = torch.randn(5, 5, dtype=torch.float64, generator=generator)
    A = R @ R.T
    w = torch.full((1, 5), 5**-0.5, dtype=torch.float64, requires_grad=True)
    optimizer = optimizer_class([w], lr=LR, **options)
    weights, gradients = [w.detach().numpy().ravel().copy()], []
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        loss = (w @ A @ w.T / (w @ w.T)).squeeze()
        loss.backward()
        gradients.append(w.grad.numpy().ravel().copy())
        optimizer.step()
        weights.append(w.detach().numpy().ravel().copy())
    return np.array(weights), np.array(gradients)


def squares(vectors):
    return (vectors**2).sum(axis=1)


def momenta(gradients, mu):
    b, path = 0.0, []
    for g in gradients:
        b = mu * b + g
        path.append(b)
    return np.array(path)


def test_gradient_steps_lengthen_by_the_square_of_the_step():
    weights, gradients = rayleigh_path(torch.optim.SGD)
    assert np.abs((weights[:-1] * gradients).sum(axis=1)).max() < 1e-12
    growth = np.diff(squares(weights))
    np.testing.assert_allclose(growth, LR**2 * squares(gradients), rtol=0, atol=1e-14)
    assert np.sqrt(squares(weights)[-1]) == pytest.approx(1.0597, abs=5e-5)


def test_momentum_lengthens_by_all_past_steps_too():
    mu = 0.9
    weights, gradients = rayleigh_path(torch.optim.SGD, momentum=mu)
    p = squares(momenta(gradients, mu))
    past = [np.sum(mu ** (t - np.arange(t)) * p[:t]) for t in range(N_STEPS)]
    growth = np.diff(squares(weights))
    wanted = LR**2 * (p + 2 * np.array(past))
    np.testing.assert_allclose(growth, wanted, rtol=0, atol=1e-13)
    assert np.sqrt(squares(weights)[-1]) == pytest.approx(4.900, abs=5e-4)


def test_projected_momentum_lengthens_by_the_square_of_the_step():
    mu = 0.9
    weights, gradients = rayleigh_path(SGDP, momentum=mu, eps=0.0)
    b, before = momenta(gradients, mu), weights[:-1]
    along = (b * before).sum(axis=1) / squares(before)
    q = b - along[:, None] * before
    growth = np.diff(squares(weights))
    np.testing.assert_allclose(growth, LR**2 * squares(q), rtol=0, atol=1e-13)


def test_growth_with_momentum_tends_to_nineteen_times_the_projected():
    """Steps of equal length in fresh directions: 1 + 2 mu / (1 - mu) times."""
    mu, dim = 0.9, 4000
    rng = np.random.default_rng(1)
    lengths = {}
    for name, optimizer_class in (("plain", torch.optim.SGD), ("projected", SGDP)):
        w = torch.tensor(rng.normal(size=(1, dim)), requires_grad=True)
        optimizer = optimizer_class([w], lr=1e-3, momentum=mu)
        path = []
        for _ in range(300):
            g = torch.tensor(rng.normal(size=(1, dim)))
            row = w.detach()
            w.grad = g - row * (g * row).sum() / (row * row).sum()
            optimizer.step()
            path.append(w.detach().square().sum().item())
        lengths[name] = np.diff(path)[100:].mean()
    ratio = lengths["plain"] / lengths["projected"]
    assert ratio == pytest.approx(1 + 2 * mu / (1 - mu), rel=0.05)


def digits():
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = torch.tensor(X[order] / 16.0, dtype=torch.float32), torch.tensor(y[order])
    return X[:1000], y[:1000], X[1000:], y[1000:]


def train(make_optimizer, seed, n_epochs=30, batch_size=64):
    """Growth of the second weight, and accuracy on held-out digits."""
    X, y, X_test, y_test = digits()
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Linear(64, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU()),
        *(nn.Linear(128, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU()),
        nn.Linear(128, 10),
    )
    optimizer = make_optimizer(model.parameters())
    start = model[3].weight.norm().item()
    n_batches = len(X) // batch_size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, n_epochs * n_batches
    )
    for _ in range(n_epochs):
        order = torch.randperm(len(X))
        for batch in order[: n_batches * batch_size].split(batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(X_test).argmax(1) == y_test).double().mean().item()
    return model[3].weight.norm().item() / start, accuracy


PAIRS = {
    "SGD": (
        lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
        lambda params: SGDP(params, lr=0.1, momentum=0.9, nesterov=True),
    ),
    "Adam": (
        lambda params: torch.optim.AdamW(params, lr=1e-2, weight_decay=0.0),
        lambda params: AdamP(params, lr=1e-2),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_weights_grow_five_times_less_at_equal_accuracy(name):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            results = [
                np.array([train(make, seed) for seed in range(6)])
                for make in PAIRS[name]
            ]
    finally:
        torch.set_num_threads(threads)
    plain, projected = results
    growth = plain[:, 0] - 1.0, projected[:, 0] - 1.0
    assert growth[0].mean() >= 5 * growth[1].mean()
    assert (growth[0] > 3 * growth[1]).all()
    gain = projected[:, 1] - plain[:, 1]
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    assert abs(gain.mean()) < max(3 * error, 0.005)
    assert projected[:, 1].mean() > 0.975
