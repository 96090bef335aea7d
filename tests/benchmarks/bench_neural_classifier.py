"""NeuralClassifier against other networks of the same layers, batches and epochs.

MLPClassifier multiplies matrices in NumPy and has no graph to build; skorch trains the
same torch module with Adam. All of them make the same number of steps.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from _race import bar, finish, race
from statlearn.neural import NeuralClassifier
from statlearn.neural.models import MLP

BATCH = 128
# A graph costs as much as the products of a small network.
BARS = {"MLPClassifier": 2.5, "skorch": 1.0}


def skorch_fit(X, y, epochs):
    """Return a fit of skorch, None where it is not installed."""
    try:
        from skorch import NeuralNetClassifier
    except ImportError:
        return None
    n_outputs = int(y.max()) + 1

    def fit():
        return NeuralNetClassifier(
            MLP,
            module__n_features=X.shape[1],
            module__hidden=(100,),
            module__n_outputs=n_outputs,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=0.0,
            lr=1e-3,
            batch_size=BATCH,
            max_epochs=epochs,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
        ).fit(X, y)

    return fit


def compare(label: str, X, y, *, epochs: int, repeats: int) -> list[bool]:
    X, y = X.astype(np.float32), y.astype(np.int64)

    def ours():
        model = NeuralClassifier(max_epochs=epochs, batch_size=BATCH, random_state=0)
        return model.fit(X, y)

    def peer():
        return MLPClassifier(
            alpha=0.0, batch_size=BATCH, max_iter=epochs, tol=0.0, random_state=0
        ).fit(X, y)

    contestants = {"NeuralClassifier": ours, "MLPClassifier": peer}
    if (other := skorch_fit(X, y, epochs)) is not None:
        contestants["skorch"] = other
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name, fit in contestants.items():
            print(f"  {name}: training accuracy {fit().score(X, y):.4f}")
        result = race(
            f"{label}, {epochs} epochs",
            contestants,
            size=f"{X.shape[0]}x{X.shape[1]}",
            repeats=repeats,
            warmup=0,
        )
    return [
        bar(
            f"NeuralClassifier / {name}",
            result.ratio("NeuralClassifier", name, "cpu"),
            at_most=BARS[name],
        )
        for name in list(contestants)[1:]
    ]


def main() -> None:
    torch.set_num_threads(1)
    digits, y_digits = load_digits(return_X_y=True)
    X, y = make_classification(
        100_000, 50, n_informative=20, n_classes=5, random_state=0
    )
    finish(
        *compare("digits", digits / 16, y_digits, epochs=20, repeats=5),
        *compare("made", X, y, epochs=1, repeats=3),
    )


if __name__ == "__main__":
    main()
