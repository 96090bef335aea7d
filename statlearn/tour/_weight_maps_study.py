"""Numbers of the section on maps of weights, and which claims they support."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from statlearn.tour import _weight_maps_runs as runs
from statlearn.tour._section import Progress
from statlearn.tour._weight_maps_runs import Bounding, FloatArray, Quantising

#: What counts as a gain of accuracy.
POINT = 0.01


@dataclass(frozen=True, slots=True)
class Study:
    """What came of all three; arrays have an axis of seeds.

    Attributes
    ----------
    before : dict of str to ndarray of shape (n_seeds,)
        For each view, the accuracy of the network that was not adapted.
    adapted : dict of (str, str) to ndarray of shape (n_seeds,)
        Accuracy by method and view.
    n_trained : dict of str to int
        Numbers that a method trains.
    back : bool
        Whether merging and taking off left every bit of every network in place.
    bounded : dict of str to tuple of Bounding
        By the names of `RATES`.
    quantised : dict of str to tuple of Quantising
        By quantiser, and with annealing.
    """

    before: dict[str, FloatArray]
    adapted: dict[tuple[str, str], FloatArray]
    n_trained: dict[str, int]
    back: bool
    bounded: dict[str, tuple[Bounding, ...]]
    quantised: dict[str, tuple[Quantising, ...]]

    def learnt(self, name: str) -> FloatArray:
        """Accuracy after learning from wrong labels, (n_seeds,)."""
        return np.array([each.accuracy for each in self.bounded[name]])

    def near_zero(self, name: str) -> float:
        """Mean share of weights near zero."""
        return float(np.mean([each.near_zero for each in self.bounded[name]]))

    def coded(self, name: str, what: str) -> FloatArray:
        """Return one figure of a quantiser, (n_seeds,)."""
        return np.array([getattr(each, what) for each in self.quantised[name]])

    def claims(self) -> dict[str, bool]:
        """Which claims hold, in the order of the section."""
        lead = {
            (name, view): self.adapted[name, view].mean()
            - max(self.adapted[peer, view].mean() for peer in (runs.LORA, runs.PISSA))
            for name in (runs.ROW, runs.COL)
            for view in runs.VIEWS
        }
        loose, held = (
            self.coded(name, "drift") for name in (runs.STATSQ, runs.ANNEALED)
        )
        return {
            "one block-affine variant beats LoRA and PiSSA on both views": any(
                min(lead[name, view] for view in runs.VIEWS) > 0.0
                for name in (runs.ROW, runs.COL)
            ),
            "merging and taking off change no bit": self.back,
            "bounded weights stay within and leave zero": bool(
                all(
                    np.abs(each.weights).max() <= each.bound
                    for each in self.bounded[runs.BOUNDED]
                )
                and self.near_zero(runs.BOUNDED) < self.near_zero(runs.PLAIN)
            ),
            "they beat a plain network at the same rate": bool(
                self.learnt(runs.BOUNDED).mean()
                > self.learnt(runs.PLAIN).mean() + POINT
            ),
            "... and at a tuned rate": bool(
                self.learnt(runs.BOUNDED).mean()
                > self.learnt(runs.SLOWER).mean() + POINT
            ),
            "a learned scale flips more weights": bool(
                self.coded(runs.LSQ, "oscillating").mean()
                > self.coded(runs.STATSQ, "oscillating").mean()
            ),
            "annealing holds scales ten times as still": bool(
                (loose > 10.0 * held).all()
            ),
            "annealing raises accuracy": bool(
                self.coded(runs.ANNEALED, "accuracy").mean()
                > self.coded(runs.STATSQ, "accuracy").mean() + POINT
            ),
        }


def learn(progress: Progress, n_seeds: int) -> Study:
    """Adapt, bound and quantise a network for each seed."""
    with progress.step("loading torch"):
        import statlearn.neural.models  # noqa: F401  (before its threads are limited)
    # Products of small matrices: a second thread costs more than it brings.
    with threadpool_limits(limits=1):
        seeds = range(n_seeds)
        bases = [runs.train_base(seed) for seed in progress.track(seeds, "training")]
        jobs = [(m, v) for m in runs.METHODS for v in runs.VIEWS]
        adapted = {
            job: [runs.adapt(base, seed, *job) for seed, base in enumerate(bases)]
            for job in progress.track(jobs, "adapting")
        }
        bounded = {
            name: tuple(runs.bound(name, seed) for seed in seeds)
            for name in progress.track(runs.RATES, "bounding")
        }
        coded = [
            runs.quantise(base, seed)
            for seed, base in progress.track(list(enumerate(bases)), "quantising")
        ]
        before = {
            view: np.array(
                [
                    runs.accuracy_of(m, runs.viewed(runs.parts(s)[2], view))
                    for s, m in enumerate(bases)
                ]
            )
            for view in runs.VIEWS
        }
    return Study(
        before,
        {job: np.array([each[0] for each in found]) for job, found in adapted.items()},
        {name: adapted[name, runs.VIEWS[0]][0][1] for name in runs.METHODS},
        all(each[2] for found in adapted.values() for each in found),
        bounded,
        {name: tuple(each[name] for each in coded) for name in coded[0]},
    )
