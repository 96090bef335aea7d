"""Numbers of the section on scale-invariant weights.

A quotient of quadratic forms, where the length of the weight follows an identity, and
networks of digits. All of torch comes through `statlearn.neural`, and within functions:
the tour has to load without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from statlearn.schedules import Cosine
from statlearn.tour._section import Progress

FloatArray = NDArray[np.float64]

# --- the quotient
DESCENT, HEAVY, PROJECTED = "gradient descent", "momentum", "SGDP"
MEMORY, QUOTIENT_RATE, N_STEPS = 0.9, 0.01, 200

# --- digits
#: Each optimizer with the one that is the same but projects.
PAIRS = {"SGD": "SGDP", "AdamW": "AdamP"}
RATES = {"SGD": 0.3, "SGDP": 0.3, "AdamW": 0.01, "AdamP": 0.01}
#: Power of the length that a step is divided by: gradients shrink with it, Adam's
#: steps do not.
POWERS = {"SGD": 2, "SGDP": 2, "AdamW": 1, "AdamP": 1}
#: Names of `is_scale_invariant`, the last for its None.
VIEWS = ("channel", "layer", "neither")
NORMALISED, BARE = "batch normalisation", "no normalisation"
N_EPOCHS = 6

_WIDTHS, _BATCH, _N_TRAIN = (128, 128), 125, 1000


@dataclass(frozen=True, slots=True)
class Descent:
    """What came of minimising the quotient.

    Attributes
    ----------
    lengths : ndarray of shape (n_steps + 1,)
        Of the weight.
    error : float
        Largest distance of a squared length's growth from the identity.
    angle : float
        To the solution at the end, in degrees.
    """

    lengths: FloatArray
    error: float
    angle: float


@dataclass(frozen=True, slots=True)
class Training:
    """What came of training a network.

    Attributes
    ----------
    norms : ndarray of shape (n_steps + 1,)
        Of the weight of the second layer.
    accuracy : float
        On the images left out.
    views : dict of str to dict of str to float
        For each parameter, the share of steps by the view that passes the test.
    """

    norms: FloatArray
    accuracy: float
    views: dict[str, dict[str, float]]

    @property
    def growth(self) -> float:
        """Length at the end over that at the start, less one."""
        return float(self.norms[-1] / self.norms[0] - 1.0)


@dataclass(frozen=True, slots=True)
class Study:
    """What came of both.

    Attributes
    ----------
    descents : dict of str to Descent
        By method.
    trainings : dict of str to tuple of Training
        By optimizer, one for each seed.
    views : dict of str to dict of str to dict of str to float
        For a network with and one without normalisation, those of a training.
    """

    descents: dict[str, Descent]
    trainings: dict[str, tuple[Training, ...]]
    views: dict[str, dict[str, dict[str, float]]]

    def growths(self, name: str) -> FloatArray:
        """Growth of the weight by an optimizer, (n_seeds,)."""
        return np.array([each.growth for each in self.trainings[name]])

    def accuracies(self, name: str) -> FloatArray:
        """Accuracy of an optimizer, (n_seeds,)."""
        return np.array([each.accuracy for each in self.trainings[name]])

    def factor(self, plain: str) -> float:
        """How many times less the weight grows with the projection."""
        return float(self.growths(plain).mean() / self.growths(PAIRS[plain]).mean())

    def gain(self, plain: str) -> tuple[float, float]:
        """Mean gain in accuracy by the projection, half width of its 95 % interval."""
        gains = self.accuracies(PAIRS[plain]) - self.accuracies(plain)
        n = len(gains)
        if n < 2:
            return float(gains.mean()), np.inf
        error = gains.std(ddof=1) / np.sqrt(n)
        return float(gains.mean()), float(stats.t.ppf(0.975, n - 1) * error)

    def left_over(self, name: str) -> FloatArray:
        """Share of each scheduled step that the length leaves, (n_steps,)."""
        norms = np.array([each.norms[:-1] for each in self.trainings[name]])
        return np.asarray(((norms[:, :1] / norms) ** POWERS[name]).mean(axis=0))

    def claims(self) -> dict[str, bool]:
        """Which claims hold, in the order of the section."""
        gains = [self.gain(plain) for plain in PAIRS]
        return {
            "lengths follow the identity": bool(
                max(each.error for each in self.descents.values()) < 1e-9
            ),
            "projected weights grow less than a third as much": bool(
                min(self.factor(plain) for plain in PAIRS) > 3.0
            ),
            "accuracy rises, by 95 % intervals": bool(
                all(mean > width for mean, width in gains)
            ),
        }


def learn(progress: Progress, n_seeds: int) -> Study:
    """Minimise the quotient, and train networks by all optimizers."""
    with progress.step("loading torch"):
        import statlearn.neural.optim  # noqa: F401  (before its threads are limited)
    # Products of small matrices: a second thread costs more than it brings.
    with threadpool_limits(limits=1):
        descents = {
            DESCENT: descend(0.0, delta=0.0),
            HEAVY: descend(MEMORY, delta=0.0),
            PROJECTED: descend(MEMORY, delta=0.1),
        }
        jobs = [(name, seed) for name in RATES for seed in range(n_seeds)]
        digits = load_digits(return_X_y=True)
        found = {job: train(*job, digits) for job in progress.track(jobs, "training")}
        views = {
            NORMALISED: found["AdamP", 0].views,
            BARE: train("AdamP", 0, digits, norm=None).views,
        }
    trainings = {
        name: tuple(found[name, seed] for seed in range(n_seeds)) for name in RATES
    }
    return Study(descents, trainings, views)


# --- the quotient ------------------------------------------------------------


def descend(memory: float, *, delta: float) -> Descent:
    """Minimise w'Aw / w'w by momentum; nothing is projected for a `delta` of 0."""
    from statlearn.neural.models import MLP
    from statlearn.neural.optim import SGDP

    ground = np.random.default_rng(0).normal(size=(5, 5))
    form = ground @ ground.T
    weight = MLP(5, (), 1, bias=False, generator=0).double().head.weight
    weight.data.fill_(5**-0.5)
    matrix = weight.new_tensor(form)
    optimizer = SGDP([weight], QUOTIENT_RATE, memory, delta=delta, eps=0.0)
    path = [weight.detach().numpy()[0].copy()]
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        value = ((weight @ matrix) * weight).sum() / (weight * weight).sum()
        value.backward()
        optimizer.step()
        path.append(weight.detach().numpy()[0].copy())
    places = np.array(path)
    squares = (places**2).sum(axis=1)
    remembered = 0.0 if delta else memory
    growth = grown(((places[1:] - places[:-1]) ** 2).sum(axis=1), remembered)
    best = np.linalg.eigh(form)[1][:, 0]
    cosine = abs(places[-1] @ best) / np.sqrt(squares[-1])
    return Descent(
        np.sqrt(squares),
        float(np.abs(np.diff(squares) - growth).max()),
        float(np.degrees(np.arccos(min(cosine, 1.0)))),
    )


def grown(steps: FloatArray, memory: float) -> FloatArray:
    """Growth of a squared length in each step, by the squared steps, (n_steps,).

    A step that is orthogonal to the weight adds its square. By momentum it also has a
    part along the weight, out of all steps before.
    """
    past, growth = 0.0, np.empty_like(steps)
    for number, step in enumerate(steps):
        growth[number] = step + 2.0 * past
        past = memory * (past + step)
    return growth


# --- digits ------------------------------------------------------------------


def schedule_of(n_steps: int) -> FloatArray:
    """Factor of the learning rate in each step, from 1 to 0 along a cosine."""
    return np.asarray(_cosine(1.0, n_steps)(np.arange(n_steps)))


def _cosine(rate: float, n_steps: int) -> Cosine:
    return Cosine(rate, eta_min=0.0, n_steps=n_steps, warmup=0)


def train(
    name: str, seed: int, digits: tuple[Any, Any], *, norm: str | None = "batch"
) -> Training:
    """Train a network on digits and watch its weights before each step."""
    from statlearn.neural._estimators._optimizers import make_optimizer
    from statlearn.neural._loop import TrainingLoop
    from statlearn.neural._training._batches import Batches
    from statlearn.neural._training._inference import predict
    from statlearn.neural.losses import cross_entropy
    from statlearn.neural.models import MLP

    X, y = (digits[0] / 16.0).astype(np.float32), digits[1]
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[:_N_TRAIN], order[_N_TRAIN:]
    model = MLP(X.shape[1], _WIDTHS, 10, norm=norm, generator=seed)
    rate = RATES[name]
    optimizer = make_optimizer(name.lower(), model.parameters(), rate, 0.0, name)
    norms = [_length(model)]
    counts: dict[str, Counter[str]] = {}
    if name == "AdamP" and seed == 0:
        optimizer.register_step_pre_hook(partial(_note_views, model, counts))
    batches = Batches(X[train], y[train], batch_size=_BATCH)
    TrainingLoop(
        model,
        lambda model, batch: cross_entropy(model(batch[0]), batch[1]),
        optimizer,
        schedule=_cosine(rate, N_EPOCHS * len(batches)),
        callbacks=[_noting(norms, model)],
        random_state=seed,
    ).run(batches, N_EPOCHS)
    right = predict(model, X[test]).argmax(1).numpy() == y[test]
    shares = {
        parameter: {view: count[view] / count.total() for view in VIEWS}
        for parameter, count in counts.items()
    }
    return Training(np.array(norms), float(right.mean()), shares)


def _length(model: Any) -> float:
    return float(model.layers[1].weight.detach().norm())


def _noting(norms: list[float], model: Any) -> Callable[[Any], None]:
    """Return a callback that adds the length of the weight to a list."""

    def note(progress: Any) -> None:
        norms.append(_length(model))

    return note


def _note_views(model: Any, counts: dict[str, Counter[str]], *step: Any) -> None:
    """Count which view of each parameter passes the test in this step."""
    from statlearn.neural.optim import is_scale_invariant

    for name, parameter in model.named_parameters():
        view = is_scale_invariant(parameter, parameter.grad) or VIEWS[-1]
        counts.setdefault(name, Counter())[view] += 1
