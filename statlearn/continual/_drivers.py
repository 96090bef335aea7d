"""How the learning rate of an estimator is set from outside, and its state read.

An estimator is driven by the first of these that it offers: a method
``set_learning_rate(eta)`` of its own, a parameter ``eta0`` as in scikit-learn's
stochastic gradient descent, or ``learning_rate_init`` as in its neural networks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statlearn.continual._checkpoint import plain_state
from statlearn.utils._validation import as_numbers

# scikit-learn refuses a rate of zero, which this one is to all purposes.
_TINY = float(np.finfo(np.float64).tiny)


class _Driver:
    """Set the rate of an estimator, reset its optimizer, read and write its state.

    Parameters
    ----------
    estimator : estimator
        The clone that is trained.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def prepare(self, batch_size: int) -> None:
        """Make one call of ``partial_fit`` one step, at the rate that is set."""

    def set_rate(self, eta: float) -> None:
        """Set the learning rate of the next step."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget what the optimizer remembers of earlier steps."""

    def state(self) -> Any:
        """Return all that later steps depend on, as plain numbers and arrays."""
        parameters = self.estimator.get_params(deep=False)
        return plain_state(self.estimator, leave_out=parameters)

    def restore(self, state: Any) -> None:
        """Take up a state; the estimator has made a step before."""
        vars(self.estimator).update(state)


class HookDriver(_Driver):
    """Drive an estimator by its own methods."""

    def set_rate(self, eta: float) -> None:
        """Set the learning rate of the next step."""
        self.estimator.set_learning_rate(eta)

    def reset(self) -> None:
        """Forget what the optimizer remembers, if the estimator knows how to."""
        getattr(self.estimator, "reset_optimizer", lambda: None)()

    def state(self) -> Any:
        """Return what the estimator says is its state."""
        return self.estimator.state_dict()

    def restore(self, state: Any) -> None:
        """Hand a state back to the estimator."""
        self.estimator.load_state_dict(state)


class GradientDescentDriver(_Driver):
    """Drive SGDClassifier and SGDRegressor, whose optimizer has no memory."""

    def prepare(self, batch_size: int) -> None:
        """Make the rate that is set the one that is used."""
        self.estimator.learning_rate = "constant"  # of no account to a Perceptron

    def set_rate(self, eta: float) -> None:
        """Set the learning rate of the next step."""
        self.estimator.eta0 = max(eta, _TINY)


class NetworkDriver(_Driver):
    """Drive MLPClassifier and MLPRegressor, whose optimizer copies the rate."""

    def prepare(self, batch_size: int) -> None:
        """Make a batch one step, and the rate that is set the one that is used."""
        self.estimator.batch_size = batch_size
        self.estimator.learning_rate = "constant"

    def set_rate(self, eta: float) -> None:
        """Set the learning rate of the next step."""
        eta = max(eta, _TINY)
        self.estimator.learning_rate_init = eta
        optimizer = getattr(self.estimator, "_optimizer", None)
        if optimizer is not None:
            # Adam reads the first of these, gradient descent the second.
            optimizer.learning_rate_init = optimizer.learning_rate = eta

    def reset(self) -> None:
        """Drop the optimizer; the next step makes a new one."""
        vars(self.estimator).pop("_optimizer", None)

    def state(self) -> Any:
        """Return the state of the network and of its optimizer."""
        return {
            "network": super().state(),
            "optimizer": plain_state(self.estimator._optimizer),
        }

    def restore(self, state: Any) -> None:
        """Take up the state of the network and of its optimizer."""
        super().restore(state["network"])
        vars(self.estimator._optimizer).update(state["optimizer"])


def driver_of(estimator: Any) -> type[_Driver]:
    """Return the driver of an estimator, or say what it should offer."""
    if not hasattr(estimator, "partial_fit"):
        raise TypeError(
            f"The 'estimator' of ContinualLearner must have partial_fit. Got "
            f"{type(estimator).__name__}, which cannot be trained in steps; pass for "
            f"example SGDClassifier(loss='log_loss') or MLPClassifier()."
        )
    if hasattr(estimator, "set_learning_rate"):
        return HookDriver
    parameters = estimator.get_params(deep=False)
    if "eta0" in parameters:
        return GradientDescentDriver
    if "learning_rate_init" in parameters:
        return NetworkDriver
    raise TypeError(
        f"The 'estimator' of ContinualLearner must let its learning rate be set: by a "
        f"method set_learning_rate(eta), or a parameter 'eta0' or "
        f"'learning_rate_init'. Got {type(estimator).__name__}, which has none of "
        f"them; add the method in a subclass."
    )


def require_state(estimator: Any) -> None:
    """Raise if the state of an estimator cannot be written to a checkpoint."""
    if not hasattr(estimator, "set_learning_rate"):
        return
    for name in ("state_dict", "load_state_dict"):
        if not callable(getattr(estimator, name, None)):
            raise TypeError(
                f"The 'estimator' of ContinualLearner must have state_dict() and "
                f"load_state_dict(state) with a checkpoint, since it sets its learning "
                f"rate itself. Got {type(estimator).__name__} without {name}; add "
                f"both, or pass checkpoint=None."
            )


def rate_of(estimator: Any, schedule: Any) -> float:
    """Return the learning rate that an estimator was given, as the highest one."""
    if callable(schedule):
        return 1.0  # of no account: the schedule gives the rates itself
    caller = type(estimator).__name__
    for name in ("eta0", "learning_rate_init"):
        rate = getattr(estimator, name, None)
        if rate is None or hasattr(estimator, "set_learning_rate"):
            continue
        number = as_numbers(rate)
        if number.ndim or not 0.0 < number < np.inf:
            raise ValueError(
                f"The '{name}' of {caller} must be a finite number > 0, since "
                f"ContinualLearner takes it as the highest learning rate. Got "
                f"{rate!r}; correct it, or pass eta_max to ContinualLearner."
            )
        return float(number)
    raise ValueError(
        f"The 'eta_max' of ContinualLearner must be given for an estimator with a "
        f"method set_learning_rate. Got None for {caller}; pass the highest learning "
        f"rate."
    )
