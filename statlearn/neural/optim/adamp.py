"""Adam with decoupled decay that does not inflate scale-invariant weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.adam import adam

from statlearn.neural._precision import wide_dtype
from statlearn.neural.optim._blocks import Block
from statlearn.neural.optim._projected import (
    ProjectedOptimizer,
    choose_kernel,
    require_below_one,
    step_count,
)


class AdamP(ProjectedOptimizer):
    r"""Adam whose steps do not lengthen weights that act by their direction alone.

    A drop-in replacement for ``torch.optim.AdamW`` in networks with batch, layer or
    weight normalisation. Weights in front of a normalisation grow with each step of
    momentum, and the longer they are the less a step turns them; this leaves out the
    part of the step along such a weight. In networks without normalisation, where few
    gradients pass the test by chance, it is almost AdamW.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        Parameters, or groups of them with options of their own.
    lr : float, default=1e-3
        Learning rate.
    betas : tuple of two floats, default=(0.9, 0.999)
        Memories of the mean and of the mean square of the gradient, in [0, 1).
    eps : float, default=1e-8
        Added to the root of the mean square, and to lengths that are divided by.
    weight_decay : float, default=0.0
        Decoupled decay: each step takes the share ``lr * weight_decay`` of a weight.
        Mind that ``torch.optim.AdamW`` has 0.01 by default.
    delta : float, default=0.1
        Tolerance of the test, see `is_scale_invariant`. With 0 nothing is projected.
    wd_ratio : float, default=0.1
        Factor in [0, 1] of the decay of weights that are projected in this step: as
        they do not grow, they need little of it.
    nesterov : bool, default=False
        Whether the step looks ahead by one gradient.
    maximize : bool, default=False
        Whether to go up instead of down.
    foreach : bool, default=None
        As in ``torch.optim.Adam``: False updates one tensor at a time, True many by
        the multi-tensor operations. None takes the fused kernel on the CPU, which is
        the fastest, and True elsewhere.

    Attributes
    ----------
    param_groups : list of dict
        Parameters and their options.
    state : dict
        For each parameter "step", the number of steps, and "exp_avg" and "exp_avg_sq"
        of its shape and type, the latter in float32 for half precision.

    Raises
    ------
    ValueError
        If an option is out of range.

    See Also
    --------
    SGDP : The same for SGD with momentum.
    project_update : The projection alone, for optimizers of your own.
    torch.optim.AdamW : What this is without the projection.

    Notes
    -----
    With the gradient :math:`g`, step t and all operations by entry,

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \\
        q &= m \Big/ \left(\sqrt{v / (1 - \beta_2^t)} + \varepsilon\right), \\
        w &\leftarrow (1 - \eta \lambda \rho)\, w
            - \frac{\eta}{1 - \beta_1^t} \Pi_w(q).

    Nesterov's form has :math:`\beta_1 m + (1 - \beta_1) g` for m in q. Where
    `is_scale_invariant` finds a view for :math:`w` and :math:`g`, :math:`\Pi_w`
    projects each row as `project_update` does, and :math:`\rho` is `wd_ratio`;
    elsewhere :math:`\Pi_w(q) = q` and :math:`\rho = 1`. Tensors with fewer than two
    axes are never projected. Half precision is computed in float32 and rounded once
    to what is stored; v is stored in float32, since squares of small gradients are
    zero in float16, and changes by a thousandth are lost in either type. Sparse and
    complex gradients are refused.

    A step takes :math:`O(N)` for N entries. Counted in passes of N entries through
    memory, Adam as a loop of operations reads and writes 18: 3 for m, 5 for v, 6 for
    the root, its scaling and :math:`\varepsilon`, 4 for w. A fused Adam needs 7: reads
    of g, m, v and w, writes of m, v and w. A projected step here needs 9, as g and w
    are read once more for the test: rows go through the kernel in blocks that stay in
    the cache, and one set of row sums serves both views. So its price is 9/7 of a
    fused Adam and 1/2 of the loop while memory is the limit.

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
    >>> from torch import nn
    >>> from statlearn.neural.optim import AdamP
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(
    ...     nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1)
    ... )
    >>> optimizer = AdamP(model.parameters(), lr=0.01, weight_decay=0.01)
    >>> X = torch.randn(64, 4)
    >>> for _ in range(100):
    ...     optimizer.zero_grad()
    ...     loss = (model(X)[:, 0] - X[:, 0].abs()).square().mean()
    ...     loss.backward()
    ...     optimizer.step()
    >>> loss.item() < 0.02
    True
    """

    _state_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
        nesterov: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "delta": delta,
            "wd_ratio": wd_ratio,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
        }
        super().__init__(params, defaults)

    def _check_options(self, options: dict[str, Any]) -> None:
        super()._check_options(options)
        betas = options["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(
                f"The 'betas' of AdamP must be two numbers in [0, 1). Got {betas!r}; "
                f"pass for example (0.9, 0.999)."
            )
        for position, beta in enumerate(betas):
            require_below_one(beta, f"betas[{position}]", "AdamP")

    def _start(
        self, group: dict[str, Any], param: Tensor, state: dict[str, Any]
    ) -> None:
        state["step"] = step_count(0.0)
        super()._start(group, param, state)
        # As squares of small numbers are zero in half precision, and small changes of
        # a mean that is stored in it are lost.
        state["exp_avg_sq"] = state["exp_avg_sq"].to(wide_dtype(param.dtype))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what another optimizer has seen.

        Parameters
        ----------
        state_dict : dict
            What `state_dict` gave, also that of ``torch.optim.AdamW``.
        """
        super().load_state_dict(state_dict)
        # That has rounded all states to the type of their parameter.
        groups = zip(state_dict["param_groups"], self.param_groups, strict=True)
        for saved, group in groups:
            for key, param in zip(saved["params"], group["params"], strict=True):
                known = state_dict["state"].get(key, {})
                if "exp_avg_sq" in known:
                    self.state[param]["exp_avg_sq"] = known["exp_avg_sq"].to(
                        device=param.device, dtype=wide_dtype(param.dtype)
                    )

    def _advance(
        self, group: dict[str, Any], blocks: list[Block], updates: list[Tensor]
    ) -> None:
        beta1, beta2 = group["betas"]
        grads = [block.grad for block in blocks]
        means = [block.states[0] for block in blocks]
        if group["nesterov"]:
            # The average of the average: the kernel takes one more step of a copy.
            share = beta1 - 1.0 if group["maximize"] else 1.0 - beta1
            torch._foreach_mul_(means, beta1)
            torch._foreach_add_(means, grads, alpha=share)
            means = [mean.clone() for mean in means]
        adam(
            updates,
            grads,
            means,
            [block.states[1] for block in blocks],
            [],
            [cast("Tensor", block.step) for block in blocks],
            **choose_kernel(group, blocks),
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=float(group["lr"]),
            weight_decay=0.0,
            eps=group["eps"],
            maximize=group["maximize"],
        )
