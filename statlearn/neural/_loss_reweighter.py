"""Rules of weights in the training of networks, over all processes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from statlearn.neural._training._distributed import World
from statlearn.utils._arrays import is_tensor, to_float64, to_labels
from statlearn.utils._rules import kind_of
from statlearn.utils._validation import read_rule_weights
from statlearn.weights import WeightingRule, get_rule

_HALVES = (torch.float16, torch.bfloat16)


class LossReweighter:
    r"""Turn the losses of a batch into one, weighted by a rule.

    For a training loop of your own: it takes the place of the mean. Among several
    processes the rule sees the losses of all of them, so that the weights are those of
    one process with the whole batch.

    Parameters
    ----------
    rule : str, WeightingRule or callable, default="linupper"
        A rule on losses, on groups or on weights, or a chain of such, see
        :func:`~statlearn.weights.get_rule`.
    gather : bool, default=True
        Whether to weigh the rows of all processes of the default group of
        ``torch.distributed`` together. Every process must then make each call.
        False weighs the rows of each process among themselves.

    Attributes
    ----------
    weights_ : tensor of shape (n,)
        Weights of this process's rows in the last call; over their total, if that is
        beyond what float32 holds.

    See Also
    --------
    statlearn.compose.LossReweighted : The same for estimators of scikit-learn.
    torch.nn.CrossEntropyLoss : Losses of rows, with ``reduction="none"``.

    Notes
    -----
    With weights :math:`w_i` of the rule and base weights within them, the value is
    :math:`\sum_i w_i \ell_i / \sum_i w_i`. No gradient flows through the weights.

    With N processes that share a batch, process k returns
    :math:`N \sum_{i \in k} w_i \ell_i / \sum_i w_i`. Averaged over processes, as
    ``DistributedDataParallel`` does with gradients, this is the weighted mean over the
    whole batch, also where processes have different numbers of rows. An exchange takes
    two rounds: numbers of rows, and the rows' losses and weights in float64.

    A row of weight zero is not multiplied by it but left out, so that its loss may be
    NaN. Its gradient still passes through the layers; leave such rows out of the batch
    if they hold NaN. A batch without any weight has the loss 0.

    Rules compute in float64 on the CPU. Rules on residuals need residuals and their
    scale, which losses do not tell.

    References
    ----------
    Daouda Sow, Herbert Woisetschläger, Saikiran Bulusu, Shiqiang Wang,
    Hans-Arno Jacobsen, Yingbin Liang. Dynamic Loss-Based Sample Reweighting for
    Improved Large Language Model Pretraining. ICLR, 2025.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural import LossReweighter
    >>> losses = torch.tensor([0.1, 0.2, 3.0], requires_grad=True)
    >>> reweighter = LossReweighter("trimmed")
    >>> loss = reweighter(losses)
    >>> loss.backward()
    >>> bool(torch.allclose(losses.grad, reweighter.weights_ / 3))
    True
    """

    weights_: Tensor

    def __init__(self, rule: Any = "linupper", *, gather: bool = True) -> None:
        self.rule = rule
        self.gather = gather
        self._rule = get_rule(rule)
        self._kind = kind_of(self._rule)
        if self._kind == "residual":
            raise ValueError(
                f"The 'rule' of LossReweighter must look at losses, groups or weights. "
                f"Got {self._rule!r}, a rule on residuals; pass for example "
                f"'linupper' or 'trimmed', or train with a robust loss."
            )

    def __repr__(self) -> str:
        return f"LossReweighter({self.description}, gather={self.gather})"

    @property
    def description(self) -> str:
        """The rule as a text that is the same in another process."""
        if isinstance(self._rule, WeightingRule):
            return repr(self._rule)
        return getattr(self._rule, "__qualname__", type(self._rule).__qualname__)

    def __call__(
        self,
        losses: Tensor,
        *,
        step: int | None = None,
        groups: Any = None,
        base_weight: Any = None,
    ) -> Tensor:
        """Return the weighted mean loss.

        Parameters
        ----------
        losses : tensor of shape (n,)
            Loss of each row of this process.
        step : int, default=None
            Where training is, for rules with a warm-up or a schedule.
        groups : array-like of shape (n,), default=None
            Labels, for rules that look at groups.
        base_weight : array-like of shape (n,), default=None
            Non-negative weights that rows have without the rule.

        Returns
        -------
        loss : tensor of shape ()
            To call ``backward`` on. Float32 at least.

        Raises
        ------
        TypeError
            If the losses are no tensor of floating-point numbers.
        ValueError
            For another shape, losses that are not finite where they have weight, or
            bad weights.
        """
        losses = checked_losses(losses, "LossReweighter")
        world = World(losses.device)
        weights = self._of_own(losses, base_weight, groups, step)
        total, size = weights.sum().item(), 1
        if self.gather and world.size > 1:
            (total,), size = world.sums(total), world.size
        # Before they lose what double precision can hold, very small and large units.
        shares = (weights / (total or 1.0)).to(losses)
        self.weights_ = weights.to(losses) if in_single(total) else shares
        return weighted_sum(losses, shares) * size

    def weigh(
        self,
        losses: Tensor,
        *,
        step: int | None = None,
        groups: Any = None,
        base_weight: Any = None,
    ) -> Tensor:
        """Return the weights of this process's rows, and keep them.

        Parameters
        ----------
        losses : tensor of shape (n,)
            Loss of each row of this process.
        step : int, default=None
            Where training is.
        groups : array-like of shape (n,), default=None
            Labels.
        base_weight : array-like of shape (n,), default=None
            Weights that rows have without the rule.

        Returns
        -------
        weights : tensor of shape (n,)
            Zeros if no row has a base weight.
        """
        self.weights_ = self._of_own(losses, base_weight, groups, step).to(losses)
        return self.weights_

    def _of_own(
        self, losses: Tensor, base_weight: Any, groups: Any, step: int | None
    ) -> Tensor:
        """Return the weights (n,) of this process's rows, in float64 on the CPU."""
        rows, own = _columns(losses, base_weight), slice(None)
        labels = None if groups is None else _labels(groups, len(losses))
        world = World(losses.device)
        if self.gather and world.size > 1:
            rows, own = world.gather(rows)
            if labels is not None:
                labels = world.gather_labels(labels)
        return self._of_all(rows, labels, step, given=base_weight is not None)[own]

    def _of_all(
        self, rows: Tensor, labels: list[Any] | None, step: int | None, *, given: bool
    ) -> Tensor:
        """Return the weights (m,) of rows (m, 2): losses and base weights."""
        evidence, base = rows[:, 0], rows[:, 1] if given else None
        if not len(rows) or (base is not None and not base.any()):
            return torch.zeros_like(evidence)
        if self._kind == "weight":
            evidence = rows[:, 1]
        elif self._kind == "group" and labels is None:
            raise ValueError(
                f"The 'groups' of LossReweighter must be given for {self._rule!r}. Got "
                f"None; pass one label for each row."
            )
        found = self._rule(
            evidence.cpu().numpy(),
            groups=labels,
            base_weight=None if base is None else base.cpu().numpy(),
            step=step,
        )
        return torch.as_tensor(read_rule_weights(found, len(rows), "LossReweighter"))


def checked_losses(losses: Any, caller: str) -> Tensor:
    """Return losses (n,) in float32 at least, or say what they should be."""
    if not isinstance(losses, Tensor) or not losses.is_floating_point():
        got = losses.dtype if isinstance(losses, Tensor) else type(losses).__name__
        raise TypeError(
            f"The losses of {caller} must be a tensor of floating-point numbers. Got "
            f"{got}; return one loss for each row, as from reduction='none'."
        )
    if losses.dim() != 1:
        raise ValueError(
            f"The losses of {caller} must have shape (n,), one for each row. Got shape "
            f"{tuple(losses.shape)}; use reduction='none', and the mean over all "
            f"dimensions but the first."
        )
    return losses.float() if losses.dtype in _HALVES else losses


def counted_rows(base: Any, caller: str, n: int | None = None) -> Tensor:
    """Return on the CPU which rows (n,) have a base weight above zero, checked."""
    try:
        weight = torch.as_tensor(base).detach().to("cpu", torch.float64)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TypeError(
            f"The sample weights of a batch of {caller} must be numbers. Got "
            f"{type(base).__name__} ({error}); pass a tensor, one weight a row."
        ) from error
    lowest = weight.min().item() if weight.numel() else 0.0
    total = weight.sum().item()
    if (
        weight.dim() != 1
        or n not in (None, len(weight))
        or not lowest >= 0.0
        or not in_single(total)
    ):
        raise ValueError(
            f"The sample weights of a batch of {caller} must be finite numbers >= 0, "
            f"shape ({n or 'n'},) for one a row, with a sum that float32 can hold. Got "
            f"shape {tuple(weight.shape)} with the lowest {lowest} and the sum "
            f"{total}; correct or rescale them, or leave these rows out."
        )
    return weight > 0.0


def in_single(total: float) -> bool:
    """Return whether single precision, which losses have, holds a sum of weights."""
    single = torch.tensor(total, dtype=torch.float32).item()
    return math.isfinite(single) and (single > 0.0 or total == 0.0)


def weighted_sum(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Return the sum of losses (n,), of which those without weight are left out."""
    if weights is None:
        return losses.sum()
    zero = losses.new_zeros(())
    return torch.where(weights > 0, losses * weights, zero).sum()


def _columns(losses: Tensor, base_weight: Any) -> Tensor:
    """Return losses and base weights (n, 2) in float64; ones if none are given."""
    evidence = losses.detach().to("cpu", torch.float64)
    if base_weight is None:
        return torch.stack([evidence, torch.ones_like(evidence)], dim=1)
    base = torch.as_tensor(to_float64(base_weight)[0])
    if base.shape != evidence.shape:
        raise ValueError(
            f"The 'base_weight' of LossReweighter must have one number for each of "
            f"{len(evidence)} losses. Got shape {tuple(base.shape)}; pass weights of "
            f"the same rows."
        )
    return torch.stack([evidence, base], dim=1)


def _labels(groups: Any, n: int) -> list[Any]:
    labels = list(to_labels(groups).tolist()) if is_tensor(groups) else list(groups)
    if len(labels) != n:
        raise ValueError(
            f"The 'groups' of LossReweighter must have one label for each of {n} "
            f"losses. Got {len(labels)}; pass labels of the same rows."
        )
    return labels
