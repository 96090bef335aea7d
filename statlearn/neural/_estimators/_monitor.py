"""Early stopping: the best epoch on rows that were held out, and when to give up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Monitor:
    """Keep the weights of the best epoch, and hear when there is no progress.

    Parameters
    ----------
    score : callable or None
        Gives the score of a module on held-out rows; None keeps nothing.
    patience : int
        Epochs in a row without progress after which training ends.
    tol : float
        What counts as progress.

    Attributes
    ----------
    scores : list of float
        Of each epoch.
    best : dict or None
        State of the best epoch.
    """

    def __init__(
        self, score: Callable[[], float] | None, patience: int, tol: float
    ) -> None:
        self._score, self._patience, self._tol = score, patience, tol
        self.scores: list[float] = []
        self.best: dict[str, Tensor] | None = None
        self._stale = 0

    def end_epoch(self, module: nn.Module) -> bool:
        """Score the module; return whether to stop."""
        if self._score is None:
            return False
        score, before = self._score(), max(self.scores, default=-float("inf"))
        self.scores.append(score)
        self._stale = 0 if score >= before + self._tol else self._stale + 1
        if score > before:
            state = module.state_dict()
            self.best = {name: part.detach().clone() for name, part in state.items()}
        return self.is_over

    @property
    def is_over(self) -> bool:
        """Whether there was no progress for too long."""
        return self._stale >= self._patience

    def lacks_end(self, n_epochs: int) -> bool:
        """Return whether the last of so many epochs has not been scored."""
        return self._score is not None and len(self.scores) < n_epochs

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "scores": list(self.scores),
            "stale": self._stale,
            "best": self.best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.scores = list(state["scores"])
        self._stale, self.best = state["stale"], state["best"]
