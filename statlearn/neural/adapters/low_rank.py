r"""Low-rank adapters, LoRA and PiSSA: the baselines of every other adapter.

The recipe: add the product of two thin matrices to the frozen weight. LoRA starts one
of them at zero; PiSSA starts both at the largest singular directions of the weight and
takes their product out of it.
"""

from __future__ import annotations

from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from statlearn.neural._generators import Seed, as_torch_generator
from statlearn.neural._select import Selector
from statlearn.neural._weight_map import WeightMap
from statlearn.neural.adapters._attach import attach_to_linear, made_for
from statlearn.neural.adapters._block_products import is_cheaper_formed, widest
from statlearn.utils._numbers import positive_integer, positive_number


class LowRank(WeightMap):
    r"""Adapt a frozen weight by a trained matrix of low rank (LoRA, PiSSA).

    The adapter to compare others with. :meth:`principal` makes one that starts as PiSSA
    does, and learns faster in its first steps.

    Parameters
    ----------
    out_features, in_features : int
        Shape (o, i) of the weight.
    r : int
        Rank of the update.
    alpha : float, default=None
        The update is scaled by ``alpha / r``; None for a scale of one.
    generator : torch.Generator, int or None, default=None
        Draws the start of A, on its own device, or its seed; None for torch's own.
    dtype : torch.dtype, default=None
        Of the trained numbers; None for torch's default.
    device : torch.device, default=None
        Of the trained numbers.

    Attributes
    ----------
    A : Parameter of shape (r, in_features)
        First factor, uniform between -1 and 1 over the root of `in_features` at the
        start.
    B : Parameter of shape (out_features, r)
        Second factor, zero at the start.
    A_start, B_start : Tensor like A and B, or None
        Where the factors of PiSSA started.
    scale : float
        ``alpha / r``.

    Raises
    ------
    TypeError
        If a size is not an integer, `alpha` no number, or `generator` of another kind.
    ValueError
        If a size is less than 1, or `alpha` is not positive and finite.

    See Also
    --------
    BlockAffine : Adapters that are guided by the weight.
    apply_lora, apply_pissa : Put it on the linear layers of a model.
    peft.LoraConfig : The same for models of the hub.

    Notes
    -----
    The layer computes with :math:`W + s B A`, :math:`s = \alpha / r`, and with the
    start of PiSSA with :math:`W + s (B A - B_0 A_0)`. PiSSA stores the residual
    :math:`W - s B_0 A_0` in place of W; here W stays as it is, so that the start is
    exact and the bits of W come back, for two thin products more. The trained numbers
    are r (o + i), the state of PiSSA twice as many. For n tokens the update takes
    n r (o + i) multiply-adds; it is formed only where no gradient is recorded and there
    are more tokens than outputs. There is no dropout.

    References
    ----------
    Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen. LoRA: Low-Rank Adaptation of
    Large Language Models. ICLR, 2022.

    Meng, Wang and Zhang. PiSSA: Principal Singular Values and Singular Vectors
    Adaptation of Large Language Models. NeurIPS, 2024.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.adapters import LowRank
    >>> weight = torch.eye(4)
    >>> adapter = LowRank(4, 4, r=1, generator=torch.Generator().manual_seed(0))
    >>> torch.equal(adapter(weight), weight)
    True
    >>> torch.equal(LowRank.principal(weight, r=1)(weight), weight)
    True
    """

    A_start: Tensor | None
    B_start: Tensor | None

    def __init__(
        self,
        out_features: int,
        in_features: int,
        r: int,
        *,
        alpha: float | None = None,
        generator: Seed = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        hint = "pass LowRank(*weight.shape, r)"
        self.out_features = positive_integer(
            out_features, "out_features", "LowRank", hint
        )
        self.in_features = positive_integer(in_features, "in_features", "LowRank", hint)
        self.r = positive_integer(r, "r", "LowRank", "pass for example 8")
        self.scale = _scale(alpha, self.r)
        bound = self.in_features**-0.5
        source = as_torch_generator(generator, "LowRank")
        place = device if source is None else source.device
        A = torch.empty(self.r, self.in_features, dtype=dtype, device=place)
        B = torch.zeros(self.out_features, self.r, dtype=dtype, device=device)
        A.uniform_(-bound, bound, generator=source)
        self.A = nn.Parameter(A.to(B.device))
        self.B = nn.Parameter(B)
        self.register_buffer("A_start", None)
        self.register_buffer("B_start", None)

    @classmethod
    def principal(cls, weight: Tensor, r: int, *, alpha: float | None = None) -> Self:
        """Make an adapter that starts at the largest singular directions of a weight.

        Parameters
        ----------
        weight : Tensor of shape (out_features, in_features)
            The weight that will be adapted.
        r : int
            Rank, at most the smaller side of the weight.
        alpha : float, default=None
            As in the class.

        Returns
        -------
        LowRank
            With the type and device of the weight.

        Raises
        ------
        ValueError
            If the weight is not finite or has too few singular values.
        """
        made = made_for(cls, weight, r=r, alpha=alpha)
        if made.r > min(weight.shape):
            raise ValueError(
                f"The 'r' of LowRank.principal must be at most the smaller side of the "
                f"weight. Got r={made.r} for shape {tuple(weight.shape)}; choose "
                f"{min(weight.shape)} or less."
            )
        if not torch.isfinite(weight).all():
            raise ValueError(
                "The weight of LowRank.principal must be finite. Got NaN or infinity; "
                "repair the model first."
            )
        left, values, right = torch.linalg.svd(
            widest(weight.detach())[0], full_matrices=False
        )
        root = (values[: made.r] / made.scale).sqrt()
        with torch.no_grad():
            made.A.copy_(root.unsqueeze(1) * right[: made.r])
            made.B.copy_(left[:, : made.r] * root)
        made.A_start = made.A.detach().clone()
        made.B_start = made.B.detach().clone()
        return made

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight that the layer uses.

        Parameters
        ----------
        weight : Tensor of shape (out_features, in_features)
            The frozen weight.

        Returns
        -------
        Tensor of shape (out_features, in_features)
            Formed, in the weight's type.

        Raises
        ------
        ValueError
            If the weight has another shape.
        """
        if weight.shape != (self.out_features, self.in_features):
            raise ValueError(
                f"The weight of this LowRank must have shape "
                f"{(self.out_features, self.in_features)}. Got {tuple(weight.shape)}; "
                f"make one for the layer, LowRank(*weight.shape, r={self.r})."
            )
        wide, A, B = widest(weight, self.A, self.B)
        update = B @ A
        if self.A_start is not None and self.B_start is not None:
            update = update - self.B_start.to(B.dtype) @ self.A_start.to(A.dtype)
        return torch.add(wide, update, alpha=self.scale).to(weight.dtype)

    def linear(self, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
        """Return what a linear layer computes, the cheaper way.

        Parameters
        ----------
        weight : Tensor of shape (out_features, in_features)
            The frozen weight.
        bias : Tensor of shape (out_features,), or None
            Added to the product.
        x : Tensor of shape (..., in_features)
            Tokens.

        Returns
        -------
        Tensor of shape (..., out_features)
            Equal to ``F.linear(x, self(weight), bias)`` up to rounding.
        """
        if is_cheaper_formed(x.numel() // self.in_features, self.out_features):
            return F.linear(x, self(weight), bias)
        update = _thin(x, self.A, self.B)
        if self.A_start is not None and self.B_start is not None:
            update = update - _thin(x, self.A_start, self.B_start)
        return torch.add(F.linear(x, weight, bias), update, alpha=self.scale)

    def extra_repr(self) -> str:
        """Return the sizes for the printed form of a model.

        Returns
        -------
        str
            Without the name of the class.
        """
        start = "" if self.A_start is None else ", start='principal'"
        return (
            f"{self.out_features}, {self.in_features}, r={self.r}, "
            f"alpha={self.scale * self.r:g}{start}"
        )


def apply_lora(
    module: nn.Module,
    r: int = 8,
    *,
    alpha: float | None = None,
    include: Selector = None,
    exclude: Selector = None,
    freeze_rest: bool = True,
    generator: Seed = None,
) -> list[str]:
    """Freeze a model and put LoRA on its linear layers, in place.

    Parameters
    ----------
    module : Module
        The pretrained model.
    r : int, default=8
        Rank of the updates.
    alpha : float, default=None
        Updates are scaled by ``alpha / r``; None for a scale of one.
    include, exclude : str, pattern, callable or list of these, default=None
        As in :func:`apply_bone`.
    freeze_rest : bool, default=True
        Whether all other parameters, biases and heads too, stop being trained.
    generator : torch.Generator, int or None, default=None
        Draws the start of the first factors, on its own device, or its seed; None for
        torch's own.

    Returns
    -------
    list of str
        Names of the weights with an adapter, in the order of the module.

    Raises
    ------
    TypeError
        If a named layer is not linear, or `generator` is of another kind.
    ValueError
        If a parameter is out of range, a layer has such an adapter already, or nothing
        is selected; the model is as it was then.

    See Also
    --------
    apply_pissa : The same with a start that learns faster.
    statlearn.neural.fold, statlearn.neural.strip : Merge it, take it off.
    peft.LoraConfig : The same for models of the hub.

    Notes
    -----
    What is said at :func:`apply_bone` of packed attention weights and of ``BatchNorm``
    holds here too.

    References
    ----------
    Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen. LoRA: Low-Rank Adaptation of
    Large Language Models. ICLR, 2022.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural import count_trainable
    >>> from statlearn.neural.adapters import apply_lora
    >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    >>> apply_lora(model, r=2, include="0"), count_trainable(model)
    (['0.weight'], (48, 243))
    """
    source = as_torch_generator(generator, "apply_lora")
    make = partial(made_for, LowRank, r=r, alpha=alpha, generator=source)
    return attach_to_linear(
        module, make, include, exclude, freeze_rest=freeze_rest, caller="apply_lora"
    )


def apply_pissa(
    module: nn.Module,
    r: int = 8,
    *,
    alpha: float | None = None,
    include: Selector = None,
    exclude: Selector = None,
    freeze_rest: bool = True,
) -> list[str]:
    """Freeze a model and put PiSSA on its linear layers, in place.

    Parameters
    ----------
    module : Module
        The pretrained model.
    r : int, default=8
        Number of singular directions that are trained.
    alpha : float, default=None
        Updates are scaled by ``alpha / r``; None for a scale of one.
    include, exclude : str, pattern, callable or list of these, default=None
        As in :func:`apply_bone`.
    freeze_rest : bool, default=True
        Whether all other parameters, biases and heads too, stop being trained.

    Returns
    -------
    list of str
        Names of the weights with an adapter, in the order of the module.

    Raises
    ------
    TypeError
        If a named layer is not linear.
    ValueError
        If `r` exceeds the smaller side of a weight, a weight is not finite, a layer has
        such an adapter already, or nothing is selected; the model is as it was then.

    See Also
    --------
    apply_lora : The same from a start at zero.
    LowRank.principal : One adapter.
    peft.LoraConfig : With ``init_lora_weights="pissa"``.

    Notes
    -----
    Takes a full singular value decomposition of each weight, min(o, i) o i operations,
    once. What is said at :func:`apply_bone` of packed attention weights and of
    ``BatchNorm`` holds here too.

    References
    ----------
    Meng, Wang and Zhang. PiSSA: Principal Singular Values and Singular Vectors
    Adaptation of Large Language Models. NeurIPS, 2024.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural.adapters import apply_pissa
    >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    >>> apply_pissa(model, r=2, include="0")
    ['0.weight']
    """
    make = partial(LowRank.principal, r=r, alpha=alpha)
    return attach_to_linear(
        module, make, include, exclude, freeze_rest=freeze_rest, caller="apply_pissa"
    )


def _thin(x: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """Multiply tokens with two thin matrices: x (..., i), A (r, i), B (o, r)."""
    return F.linear(F.linear(x, A.to(x.dtype)), B.to(x.dtype))


def _scale(alpha: float | None, r: int) -> float:
    """Return the factor on the update."""
    if alpha is None:
        return 1.0
    hint = "pass None for a scale of one"
    return positive_number(alpha, "alpha", "LowRank", hint) / r
