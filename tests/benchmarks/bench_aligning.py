"""Weight aligning: herding, the alignment itself, and a step against a full refit.

The peer of herding is the same rule written row by row in NumPy, as reference codes
have it; that of the alignment is a copy of the weights; that of a step is a
LogisticRegression on all rows so far, which is what one does without a memory.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from _race import bar, finish, race
from statlearn.continual import IncrementalClassifier, align_weights, herding

SEED = 0
N_CLASSES, N_FEATURES = 20, 64


def herding_by_rows(features, m):
    phi = np.array([row / np.linalg.norm(row) for row in features])
    mean = phi.mean(axis=0)
    w, order = mean.copy(), []
    while len(order) < m:
        best = max(range(len(phi)), key=lambda i: float(w @ phi[i]))
        w = w + mean - phi[best]
        if best not in order:
            order.append(best)
    return np.array(order)


def compare_herding():
    features = np.abs(np.random.default_rng(SEED).normal(size=(2000, 64)))
    found = {}
    result = race(
        "Herding",
        {
            "statlearn": lambda: found.update(ours=herding(features, 20)),
            "row by row": lambda: found.update(peer=herding_by_rows(features, 20)),
        },
        size="20 of 2000 rows of 64 features",
        repeats=5,
    )
    same = float(np.mean(found["ours"] == found["peer"]))
    return [
        bar(
            "row by row / statlearn",
            result.ratio("row by row", "statlearn", "cpu"),
            at_least=10,
        ),
        bar("same rows", same, at_least=1),
    ]


def align():
    W = np.random.default_rng(SEED).normal(size=(1000, 20_000))
    result = race(
        "Alignment",
        {
            "one copy": W.copy,
            "norms of rows": lambda: np.linalg.norm(W, axis=1),
            "statlearn": lambda: align_weights(W, 500),
        },
        size="1000 classes of 20000 features",
        repeats=7,
    )
    unit = result.median("one copy", "cpu") + result.median("norms of rows", "cpu")
    ratio = result.median("statlearn", "cpu") / unit
    return [bar("statlearn / (one copy + norms of rows)", ratio, at_most=4)]


def stream(n_rows):
    generator = np.random.default_rng(SEED)
    y = np.arange(n_rows) % N_CLASSES
    centres = generator.normal(size=(N_CLASSES, N_FEATURES))
    return 0.5 * centres[y] + generator.normal(size=(n_rows, N_FEATURES)), y


def last_step(n_rows):
    """Compare the last of ten steps with a fit to all rows."""
    X, y = stream(n_rows)
    before, last = y < N_CLASSES - 2, y >= N_CLASSES - 2
    kept = IncrementalClassifier(memory_size=400).fit(X[before], y[before])
    state = dict(vars(kept))
    alpha = kept.alpha

    def step():
        model = IncrementalClassifier(memory_size=400)
        model.__dict__.update(state)
        return model.partial_fit(X[last], y[last])

    def refit():
        peer = LogisticRegression(
            C=1.0 / (alpha * n_rows), fit_intercept=False, max_iter=1000
        )
        return peer.fit(X, y)

    result = race(
        "Two new classes",
        {"partial_fit": step, "LogisticRegression on all rows": refit},
        size=f"{n_rows} rows of {N_CLASSES} classes and {N_FEATURES} features",
        repeats=3,
    )
    test, truth = stream(2 * n_rows)
    test, truth = test[n_rows:], truth[n_rows:]
    scores = {
        "partial_fit": step().score(test, truth),
        "all": refit().score(test, truth),
    }
    print(f"  accuracy {scores}", flush=True)
    return result.ratio("LogisticRegression on all rows", "partial_fit", "cpu")


def large_fit():
    X, y = stream(100_000)
    alpha = IncrementalClassifier().alpha
    peer = LogisticRegression(
        C=1.0 / (alpha * len(y)), fit_intercept=False, max_iter=1000, tol=1e-5
    )
    result = race(
        "First step",
        {
            "LogisticRegression": lambda: peer.fit(X, y),
            "statlearn": lambda: IncrementalClassifier().fit(X, y),
        },
        size=f"100000 rows of {N_CLASSES} classes and {N_FEATURES} features",
        repeats=3,
    )
    ratio = result.ratio("statlearn", "LogisticRegression", "cpu")
    return [bar("statlearn / LogisticRegression", ratio, at_most=3)]


def main() -> None:
    steps = [
        bar("all rows / partial_fit", last_step(n_rows), at_least=limit)
        for n_rows, limit in ((20_000, 2), (100_000, 2))
    ]
    finish(*compare_herding(), *align(), *steps, *large_fit())


if __name__ == "__main__":
    main()
