"""SGD with momentum that does not inflate scale-invariant weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.optim.sgd import sgd

from statlearn.neural.optim._blocks import Block
from statlearn.neural.optim._projected import (
    ProjectedOptimizer,
    choose_kernel,
    require_below_one,
    require_finite,
)
from statlearn.neural.optim._projection import remove_rows
from statlearn.utils._numbers import real_number


class SGDP(ProjectedOptimizer):
    r"""SGD whose steps do not lengthen weights that act by their direction alone.

    For networks with batch, layer or weight normalisation that are trained by SGD with
    momentum, such as residual networks on images. Weights in front of a normalisation
    grow with each step of momentum, and the longer they are the less a step turns
    them; this leaves out the part of the step along such a weight.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        Parameters, or groups of them with options of their own.
    lr : float
        Learning rate.
    momentum : float, default=0.0
        Memory of the past gradients, in [0, 1).
    dampening : float, default=0.0
        Share of each gradient that does not enter the momentum.
    weight_decay : float, default=0.0
        Decoupled decay: each step takes the share
        ``lr * weight_decay / (1 - momentum)`` of a weight.
    nesterov : bool, default=False
        Whether the step looks ahead by one gradient.
    eps : float, default=1e-8
        Added to lengths that are divided by.
    delta : float, default=0.1
        Tolerance of the test, see `is_scale_invariant`. With 0 nothing is projected.
    wd_ratio : float, default=0.1
        Factor in [0, 1] of the decay of weights that are projected in this step.
    maximize : bool, default=False
        Whether to go up instead of down.
    foreach : bool, default=None
        As in ``torch.optim.SGD``: False updates one tensor at a time, True many by the
        multi-tensor operations. None takes the fused kernel on the CPU, and True
        elsewhere.
    project_buffer : bool, default=False
        Whether the momentum is projected together with the step if `nesterov` is
        False, as the authors' code does. Their paper, like the default, projects the
        step and keeps the momentum.

    Attributes
    ----------
    param_groups : list of dict
        Parameters and their options.
    state : dict
        For each parameter "momentum_buffer" of its shape; empty without momentum.

    Raises
    ------
    ValueError
        If an option is out of range.

    See Also
    --------
    AdamP : The same for Adam.
    project_update : The projection alone, for optimizers of your own.
    torch.optim.SGD : What this resembles without the projection.

    Notes
    -----
    With the gradient :math:`g`, momentum :math:`\mu` and dampening :math:`\kappa`,

    .. math::

        b &\leftarrow \mu b + (1 - \kappa) g, \qquad
        q = b \quad\text{or, for Nesterov,}\quad q = g + \mu b, \\
        w &\leftarrow \left(1 - \frac{\eta \lambda \rho}{1 - \mu}\right) w
            - \eta \Pi_w(q).

    Where `is_scale_invariant` finds a view for :math:`w` and :math:`g`, :math:`\Pi_w`
    projects each row as `project_update` does, and :math:`\rho` is `wd_ratio`;
    elsewhere :math:`\Pi_w(q) = q` and :math:`\rho = 1`. Tensors with fewer than two
    axes are never projected.

    Two differences from ``torch.optim.SGD`` remain without a projection: the decay is
    decoupled and divided by :math:`1 - \mu`, and the momentum starts from zero, so that
    the first gradient is dampened too.

    Without decay and projection :math:`\|w\|^2` of a scale-invariant weight grows by
    :math:`\eta^2 (\|b_t\|^2 + 2 \sum_{k<t} \mu^{t-k} \|b_k\|^2)` in step t, in the long
    run :math:`1 + 2\mu/(1-\mu)` times as much as with it, where it is
    :math:`\eta^2 \|\Pi_w(q_t)\|^2`.

    A step takes :math:`O(N)` for N entries: 7 passes of N entries through memory, where
    a fused SGD needs 5.

    ``torch.compile`` leaves the step as it is, which depends on the outcome of the
    test; compile the model.

    Bring a schedule: lengths that grow make steps smaller by and by, and at a constant
    high learning rate it is this that is missing.

    References
    ----------
    Heo, Chun, Oh, Han, Yun, Kim, Uh and Ha, "AdamP: Slowing Down the Slowdown for
    Momentum Optimizers on Scale-invariant Weights", ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.optim import SGDP
    >>> for optimizer_class in (torch.optim.SGD, SGDP):
    ...     w = torch.tensor([[3.0, 4.0]], requires_grad=True)  # of length 5
    ...     optimizer = optimizer_class([w], lr=1.0, momentum=0.9)
    ...     for _ in range(200):
    ...         optimizer.zero_grad()
    ...         loss = (w[0, 0] / w.norm()).square()  # of the direction alone
    ...         loss.backward()
    ...         optimizer.step()
    ...     print(f"{loss.item():.4f} at length {w.norm().item():.1f}")
    0.0000 at length 9.7
    0.0000 at length 5.3
    """

    _state_names = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        eps: float = 1e-8,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
        maximize: bool = False,
        foreach: bool | None = None,
        project_buffer: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "eps": eps,
            "delta": delta,
            "wd_ratio": wd_ratio,
            "maximize": maximize,
            "foreach": foreach,
            "project_buffer": project_buffer,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for known in self.state.values():
            if "momentum" in known:  # as the authors' code calls it
                known["momentum_buffer"] = known.pop("momentum")

    def _check_options(self, options: dict[str, Any]) -> None:
        super()._check_options(options)
        require_below_one(options["momentum"], "momentum", "SGDP")
        require_finite(
            real_number(options["dampening"], "dampening", "SGDP"), "dampening", "SGDP"
        )

    def _start(
        self, group: dict[str, Any], param: Tensor, state: dict[str, Any]
    ) -> None:
        if group["momentum"]:
            super()._start(group, param, state)

    def _decay(self, group: dict[str, Any]) -> float:
        return super()._decay(group) / (1.0 - group["momentum"])

    def _advance(
        self, group: dict[str, Any], blocks: list[Block], updates: list[Tensor]
    ) -> None:
        momentum, lr = group["momentum"], float(group["lr"])
        if not momentum and not group["nesterov"]:
            lr *= 1.0 - group["dampening"]  # torch ignores it without a momentum
        buffers = [block.states[0] if momentum else None for block in blocks]
        grads, kernel = [block.grad for block in blocks], choose_kernel(group, blocks)
        if group["nesterov"] and kernel["foreach"] is not False:
            grads = [grad.clone() for grad in grads]  # torch adds the momentum to them
        sgd(
            updates,
            grads,
            buffers,
            **kernel,
            weight_decay=0.0,
            momentum=momentum,
            lr=lr,
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
        )
        if not group["project_buffer"] or group["nesterov"]:
            return
        for block in blocks:
            if block.weight_norm is not None and block.states:
                remove_rows(
                    [block.weight], block.states, [block.weight_norm], group["eps"]
                )
