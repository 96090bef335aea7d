"""Rules that keep the rows that are fitted well and drop the others."""

from __future__ import annotations

from math import isinf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._arrays import to_float64
from statlearn.utils._numbers import number_in, positive_number, real_number
from statlearn.weights._base import LossRule
from statlearn.weights._measure import limit_on, reweigh
from statlearn.weights._worst_case import tail_density

Array = NDArray[np.float64]

_TINY = float(np.finfo(np.float64).tiny)


def trimmed_weights(
    losses: Any,
    fraction: float = 0.1,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Leave out the rows of largest loss.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Current losses.
    fraction : float, default=0.1
        Share of the mass, that of the largest losses, which gets weight 0; in [0, 1).
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their losses, such as counts.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with a loss that is NaN or infinite: raise, or give it weight 0 and
        count it in a warning. A dropped row is no part of the mass.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Their sum is that of the base weights, n without them.

    Raises
    ------
    ValueError
        For a fraction outside [0, 1), a wrong shape, or losses that are not finite
        while `nonfinite` is "raise".

    See Also
    --------
    cvar_weights : Keeps the largest losses instead.
    scipy.stats.trim_mean : Cuts both ends of a sample.

    Notes
    -----
    The mean under the weights is the mean of the smallest losses of mass
    :math:`1 - f`. With squared residuals, refitting on these weights is a concentration
    step of least trimmed squares. Where :math:`f` cuts through rows they share the mass
    that is left in proportion to their base weights, so rows of equal loss have equal
    weights. Time is O(n), a selection; with base weights, rows near the boundary are
    sorted.

    References
    ----------
    Peter J. Rousseeuw. Least Median of Squares Regression. Journal of the American
    Statistical Association, 1984.

    Examples
    --------
    >>> from statlearn.weights import trimmed_weights
    >>> trimmed_weights([1.0, 2.0, 3.0, 50.0], 0.25).round(3)
    array([1.333, 1.333, 1.333, 0.   ])
    """
    hint = "pass for example 0.1 to leave out the worst tenth"
    fraction = number_in(fraction, "fraction", "trimmed_weights", hint, 0, 1, "left")
    return reweigh(
        losses,
        lambda values, base: tail_density(-values, 1.0 - fraction, base),
        base_weight=base_weight,
        nonfinite=nonfinite,
        caller="trimmed_weights",
    )


def self_paced_weights(
    losses: Any,
    lam: float = 1.0,
    *,
    mode: str = "hard",
    base_weight: Any = None,
    nonfinite: str = "raise",
) -> Any:
    r"""Weigh only rows whose loss is below a threshold.

    Parameters
    ----------
    losses : array-like or torch tensor of shape (n,)
        Current losses.
    lam : float, default=1.0
        Threshold, positive, in the unit of the losses; infinity admits all rows alike.
    mode : {"hard", "linear"}, default="hard"
        Whether rows below the threshold count alike, or the more the smaller their
        loss.
    base_weight : array-like of shape (n,), default=None
        Weights that rows have without their losses.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Their sum is that of the base weights, n without them.

    Raises
    ------
    ValueError
        For a threshold that is not positive, an unknown mode, a wrong shape, or losses
        that are not finite while `nonfinite` is "raise".

    Warns
    -----
    DegenerateWeightsWarning
        If no loss is below the threshold; the rows of smallest loss have the weight.

    See Also
    --------
    trimmed_weights : Keeps a share of the rows instead.

    Notes
    -----
    The weights are proportional to :math:`b_i v_i`, where v solves

    .. math:: \min_{v \in [0, 1]^n} \; \sum_i b_i (v_i l_i - \lambda g(v_i)) ,

    with :math:`g(v) = v` for hard weights, :math:`v_i = 1` where :math:`l_i < \lambda`,
    and :math:`g(v) = v - v^2 / 2` for linear ones, :math:`v_i = (1 - l_i / \lambda)_+`
    for losses >= 0.

    References
    ----------
    M. Pawan Kumar, Benjamin Packer, Daphne Koller. Self-Paced Learning for Latent
    Variable Models. NeurIPS, 2010.

    Lu Jiang, Deyu Meng, Teruko Mitamura, Alexander G. Hauptmann. Easy Samples First:
    Self-paced Reranking for Zero-Example Multimedia Search. ACM Multimedia, 2014.

    Examples
    --------
    >>> from statlearn.weights import self_paced_weights
    >>> self_paced_weights([1.0, 2.0, 3.0, 4.0], 2.5, mode="linear")
    array([3., 1., 0., 0.])
    """
    lam = real_number(lam, "lam", "self_paced_weights")
    if not lam > 0.0:
        raise ValueError(
            f"The 'lam' of self_paced_weights must be positive. Got {lam}; pass a loss "
            "below which a row counts as easy."
        )
    if mode not in ("hard", "linear"):
        raise ValueError(
            "The 'mode' of self_paced_weights must be 'hard' or 'linear'. Got "
            f"{mode!r}; pass one of them."
        )
    return reweigh(
        losses,
        lambda values, _: _self_paced_density(values, lam, mode),
        base_weight=base_weight,
        nonfinite=nonfinite,
        caller="self_paced_weights",
    )


def _self_paced_density(losses: Array, lam: float, mode: str) -> Array:
    if isinf(lam):
        return np.ones(len(losses))
    smallest = losses.min()
    if not smallest < lam:
        return limit_on(
            losses == smallest,
            "self_paced_weights",
            f"losses below lam={lam:.6g}",
            "raise 'lam', or let it start higher",
        )
    if mode == "hard":
        return (losses < lam).astype(np.float64)
    # Halved, since the difference of two numbers may overflow.
    density = np.maximum(0.5 * lam - 0.5 * losses, 0.0)
    density /= density.max()
    return density


class Trimmed(LossRule):
    """Leave out the rows of largest loss: a robust rule with a fixed share of dropouts.

    Use it if you know about how many rows may be wrong. Rows are chosen anew at each
    step, so a row left out may come back.

    Parameters
    ----------
    fraction : float, default=0.1
        Share of the mass with the largest losses that gets weight 0, in [0, 1).
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    trimmed_weights : The function on arrays.
    CVaR : Keeps the largest losses instead.
    scipy.stats.trim_mean : Cuts both ends of a sample.

    References
    ----------
    Peter J. Rousseeuw. Least Median of Squares Regression. Journal of the American
    Statistical Association, 1984.

    Examples
    --------
    >>> from statlearn.weights import Trimmed
    >>> Trimmed(fraction=0.25)([1.0, 2.0, 3.0, 50.0]).round(3)
    array([1.333, 1.333, 1.333, 0.   ])
    """

    def __init__(
        self, fraction: float = 0.1, *, warmup: int = 0, nonfinite: str = "raise"
    ) -> None:
        self.fraction = fraction
        self.warmup = warmup
        self.nonfinite = nonfinite

    def _loss_weights(self, losses: Any, base_weight: Any, step: int | None) -> Any:
        return trimmed_weights(
            losses, self.fraction, base_weight=base_weight, nonfinite=self.nonfinite
        )


class SelfPaced(LossRule):
    """Begin with easy rows and admit harder ones as training goes on.

    A row counts while its loss is below a threshold, which grows with the step.

    Parameters
    ----------
    lam : float, default=1.0
        Threshold at step 0, positive, in the unit of the losses.
    growth : float, default=1.0
        Positive factor of the threshold at each step; without a step it is not
        applied.
    mode : {"hard", "linear"}, default="hard"
        Whether rows below the threshold count alike, or the more the smaller their
        loss.
    warmup : int, default=0
        Steps of plain base weights before the rule sets in.
    nonfinite : {"raise", "drop"}, default="raise"
        What to do with losses that are NaN or infinite.

    See Also
    --------
    self_paced_weights : The function on arrays, with the problem it solves.
    Trimmed : Keeps a share of the rows instead.
    sklearn.semi_supervised.SelfTrainingClassifier : Admits rows without labels so.

    References
    ----------
    M. Pawan Kumar, Benjamin Packer, Daphne Koller. Self-Paced Learning for Latent
    Variable Models. NeurIPS, 2010.

    Examples
    --------
    >>> from statlearn.weights import SelfPaced
    >>> rule = SelfPaced(lam=1.5, growth=2.0)
    >>> rule([1.0, 2.0, 3.0, 4.0], step=0)
    array([4., 0., 0., 0.])
    >>> rule([1.0, 2.0, 3.0, 4.0], step=1)
    array([2., 2., 0., 0.])
    """

    def __init__(
        self,
        lam: float = 1.0,
        growth: float = 1.0,
        mode: str = "hard",
        *,
        warmup: int = 0,
        nonfinite: str = "raise",
    ) -> None:
        self.lam = lam
        self.growth = growth
        self.mode = mode
        self.warmup = warmup
        self.nonfinite = nonfinite

    def settled(self, step: int, evidence: Any = None) -> bool:
        """Tell whether the rule admits the same rows from a step on.

        Parameters
        ----------
        step : int
            Where training is.
        evidence : array-like of shape (n,), default=None
            Losses of the rows that count.

        Returns
        -------
        settled : bool
            With a growing threshold, whether it is above all finite losses; with a
            falling one, whether it is below all of them.
        """
        if not super().settled(step):
            return False
        threshold = self._threshold(step)
        if self.growth == 1.0 or isinf(threshold):
            return True
        if evidence is None:
            return False
        losses, _ = to_float64(evidence)
        losses = losses[np.isfinite(losses)]
        if self.growth > 1.0:
            return bool((losses < threshold).all())
        return bool((losses >= threshold).all())

    def _loss_weights(self, losses: Any, base_weight: Any, step: int | None) -> Any:
        return self_paced_weights(
            losses,
            self._threshold(step),
            mode=self.mode,
            base_weight=base_weight,
            nonfinite=self.nonfinite,
        )

    def _threshold(self, step: int | None) -> float:
        hint = "pass for example 1.1, or 1 for a constant threshold"
        growth = positive_number(self.growth, "growth", "SelfPaced", hint)
        lam = real_number(self.lam, "lam", "SelfPaced")
        if step is None or not lam > 0.0:
            return lam
        with np.errstate(over="ignore"):
            # A threshold stays positive however long it falls.
            return max(float(lam * np.float64(growth) ** step), _TINY)
