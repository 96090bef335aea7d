"""The contract of a weighting rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from sklearn.base import BaseEstimator

from statlearn.utils._numbers import integer_in, real_number
from statlearn.weights._measure import reweigh, uniform_density

Evidence = Literal["loss", "residual", "group", "weight"]
Temperature = float | Callable[[int], float]


class WeightingRule(BaseEstimator):
    """Base class of the rules that turn evidence into weights.

    A rule has hyper-parameters and no data of its own: what depends on time takes the
    ``step``. It is a scikit-learn estimator without ``fit``, so it can be cloned,
    printed and grid-searched inside the estimator that uses it, as in
    ``weighting__temperature``.

    A subclass states what it looks at in `evidence_kind` and implements
    ``_weights(evidence, groups, base_weight, step)``. If it looks at the step in
    another way than by a parameter ``warmup`` or a schedule among its parameters, it
    also implements `settled`.

    Attributes
    ----------
    evidence_kind : {"loss", "residual", "group", "weight"}
        What the rule looks at: losses (larger is worse), residuals divided by their
        scale, group labels, or the weights that an earlier rule of a chain gave.

    See Also
    --------
    Chain : One rule after another.
    get_rule : A rule by its name.
    sklearn.utils.class_weight.compute_sample_weight : Weights from labels only.

    Notes
    -----
    Laws that every rule keeps: weights are finite, non-negative, of mean one (of the
    total of the base weights, if there are any); they follow a permutation of the rows;
    an integer base weight is the same as repeated rows, and a row of base weight zero
    is the same as no row; equal evidence gives equal weights.

    Estimators that fit until weights stand still go on while a rule is not `settled`. A
    plain function used as a rule may have an attribute of that name, with the same two
    arguments; without it, its weights are compared with those that it would give at the
    last step of the fit.

    References
    ----------
    Daouda Sow, Herbert Woisetschläger, Saikiran Bulusu, Shiqiang Wang,
    Hans-Arno Jacobsen, Yingbin Liang. Dynamic Loss-Based Sample Reweighting for
    Improved Large Language Model Pretraining. ICLR, 2025.

    Examples
    --------
    >>> from statlearn.weights import LinUpper, WeightingRule
    >>> issubclass(LinUpper, WeightingRule)
    True
    """

    evidence_kind: ClassVar[Evidence] = "loss"

    def __call__(
        self,
        evidence: Any,
        *,
        groups: Any = None,
        base_weight: Any = None,
        step: int | None = None,
    ) -> Any:
        """Return the weights of the rows.

        Parameters
        ----------
        evidence : array-like or torch tensor of shape (n,)
            What the rule looks at.
        groups : array-like of shape (n,), default=None
            Group labels, for rules that look at groups.
        base_weight : array-like of shape (n,), default=None
            Weights that rows have without the rule: counts, sampling weights.
        step : int, default=None
            Where training is, for a warm-up or a schedule. None stands for a step
            after the warm-up.

        Returns
        -------
        weights : ndarray or tensor of shape (n,)
            Of the type of the evidence, of mean one; their total is that of the base
            weights where those are given. No gradient flows through them.
        """
        return self._weights(evidence, groups, base_weight, step)

    def settled(self, step: int, evidence: Any = None) -> bool:
        """Tell whether the rule weighs the same evidence alike from a step on.

        Parameters
        ----------
        step : int
            Where training is.
        evidence : array-like of shape (n,), default=None
            What the rule looks at, of the rows that count. Rules that need it to tell
            answer False without.

        Returns
        -------
        settled : bool
            False during a warm-up, and while a schedule still changes. A schedule that
            is a plain function never settles.
        """
        if step < getattr(self, "warmup", 0):
            return False
        schedules = filter(callable, self.get_params(deep=False).values())
        return all(
            hasattr(schedule, "settled") and schedule.settled(step)
            for schedule in schedules
        )

    def _weights(self, evidence: Any, groups: Any, base_weight: Any, step: Any) -> Any:
        raise NotImplementedError(
            f"A WeightingRule must implement _weights(evidence, groups, base_weight, "
            f"step). {type(self).__name__} does not; add the method."
        )


class LossRule(WeightingRule):
    """Base class of the rules on losses: warm-up, then weights.

    A subclass has ``warmup`` and ``nonfinite`` among its parameters and implements
    ``_loss_weights(losses, base_weight, step)``.
    """

    warmup: int
    nonfinite: str

    def _weights(self, evidence: Any, groups: Any, base_weight: Any, step: Any) -> Any:
        warmup = integer_in(
            self.warmup, "warmup", type(self).__name__, "pass a number of steps", 0
        )
        if step is not None and step < warmup:
            return reweigh(
                evidence,
                uniform_density,
                base_weight=base_weight,
                nonfinite=self.nonfinite,
                caller=type(self).__name__,
            )
        return self._loss_weights(evidence, base_weight, step)

    def _loss_weights(self, losses: Any, base_weight: Any, step: int | None) -> Any:
        raise NotImplementedError


def temperature_at(temperature: Temperature, step: int | None, caller: str) -> float:
    """Return a temperature, looked up in its schedule at a step.

    Parameters
    ----------
    temperature : float or callable
    step : int or None
    caller : str
        For messages.

    Raises
    ------
    ValueError
        If a schedule is given and no step.
    """
    if not callable(temperature):
        return real_number(temperature, "temperature", caller)
    if step is None:
        raise ValueError(
            f"The 'step' of {caller} must be a number, since its temperature is a "
            "schedule. Got None; pass step=0, 1, 2, ... as training goes on."
        )
    return real_number(temperature(step), "temperature", caller)


class Uniform(LossRule):
    """Give every row its base weight: the plain mean.

    Parameters
    ----------
    warmup : int, default=0
        Taken for the sake of a common interface; it changes nothing.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    LinUpper : Damp rows that are fitted already.

    References
    ----------
    Vladimir Vapnik. Principles of Risk Minimization for Learning Theory. NeurIPS, 1991.

    Examples
    --------
    >>> from statlearn.weights import Uniform
    >>> Uniform()([0.2, 0.5, 4.0], base_weight=[1, 2, 1])
    array([1., 2., 1.])
    """

    def __init__(self, *, warmup: int = 0, nonfinite: str = "raise") -> None:
        self.warmup = warmup
        self.nonfinite = nonfinite

    def _loss_weights(self, losses: Any, base_weight: Any, step: int | None) -> Any:
        return reweigh(
            losses,
            uniform_density,
            base_weight=base_weight,
            nonfinite=self.nonfinite,
            caller="Uniform",
        )
