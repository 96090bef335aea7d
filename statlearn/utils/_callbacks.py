"""What callbacks of scikit-learn hear of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from statlearn.utils._sklearn import CallbackSupportMixin


class Watch:
    """Tell callbacks of each block of steps, and hear whether they ask to stop.

    Parameters
    ----------
    learner : estimator
        Whose callbacks they are.
    X, y : array-likes
        Rows of the task as they were given, by which scores can be computed.
    """

    def __init__(self, learner: CallbackSupportMixin, X: Any, y: Any) -> None:
        self._given = {"estimator": learner, "X": X, "y": y}
        self._learner = learner

    def begin(self, n_blocks: int) -> None:
        """Begin the task, which has at most so many blocks."""
        self._task = self._learner._init_callback_context(max_subtasks=n_blocks)
        self._task.call_on_fit_task_begin(**self._given)

    def begin_block(self) -> None:
        """Begin a block of steps."""
        self._block = self._task.subcontext(task_name="block")
        self._block.call_on_fit_task_begin(**self._given)

    def end_block(self, state: Callable[[], dict[str, Any]]) -> bool:
        """End a block; return whether the task is to stop here.

        Parameters
        ----------
        state : callable
            Gives what the learner would know if it stopped; called if one asks for it.
        """
        return self._block.call_on_fit_task_end(
            **self._given, reconstruction_attributes=state
        )

    def end(self) -> None:
        """End the task, after which the learner knows all that it has learnt."""
        self._task.call_on_fit_task_end(**self._given, reconstruction_attributes={})
