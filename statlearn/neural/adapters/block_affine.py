r"""Block-affine adapters: the frozen weight guides its own update.

The recipe: cut the frozen weight into r x r blocks, multiply each by a small trained
matrix, and add that matrix too. The matrices start at zero, so the layer starts where
it was, and no other start is needed.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from statlearn.neural._weight_map import WeightMap
from statlearn.neural.adapters._block_products import (
    formed_by_columns,
    formed_by_rows,
    formed_by_sums,
    is_cheaper_formed,
    linear_by_columns,
    linear_by_rows,
    linear_by_sums,
)
from statlearn.utils._numbers import positive_integer

ALIASES = {"bat": "col", "miss": "additive"}
VARIANTS = ("col", "row", "free", "ab", "additive", "mini")

# Groups of rows that each see inputs of their own stop paying beyond one token for four
# numbers of a block's side, measured with r from 8 to 64.
_ROWS_PER_TOKEN = 4


class BlockAffine(WeightMap):
    r"""Adapt a frozen weight by affine maps of its r x r blocks.

    A parameter-efficient adapter with one to a few small matrices in place of the two
    factors of LoRA. Which variant serves depends on the shift: `row` mixes the inputs
    within a block, which suits inputs that moved; `col` mixes within groups of outputs
    and is the variant of the paper; `additive` is the cheapest. None of them is better
    than LoRA in general, and on small networks at equal size they often are not.

    Parameters
    ----------
    out_features, in_features : int
        Shape (o, i) of the weight.
    r : int
        Side of a block, at most `in_features`. It must divide both sides of the weight,
        but for the variants "additive" and "mini".
    variant : {"col", "row", "free", "ab", "additive", "mini"}, default="col"
        What is trained, see Notes. "bat" is another word for "col", "miss" for
        "additive".
    mini_r : int, default=None
        For "mini" alone: number m of columns of D, a divisor of `out_features`.
    dtype : torch.dtype, default=None
        Of the trained numbers; None for torch's default.
    device : torch.device, default=None
        Of the trained numbers.

    Attributes
    ----------
    A : Parameter of shape (in_features / r, r, r)
        Factors of the variant "ab".
    B : Parameter of shape (n_blocks, r, r)
        Blocks of "col" (out_features / r of them), "row" and "ab" (in_features / r) and
        "free" (one).
    D : Parameter of shape (r, out_features) or (r, mini_r)
        Terms of "additive" and "mini".

    Raises
    ------
    TypeError
        If a size is not an integer.
    ValueError
        If `r` is less than 1, larger than `in_features` or no divisor where it has to
        be one, `mini_r` does not divide `out_features`, or the variant is unknown.

    See Also
    --------
    apply_bone : Puts it on the linear layers of a model.
    LowRank : LoRA and PiSSA, the baselines.
    peft.MissConfig : The same for models of the hub.

    Notes
    -----
    With blocks :math:`W_{ab}` in row group a and column group b, and :math:`D^+`
    repeated to the length that is needed, the layer computes with

    ============ ============================================= ==================
    variant      weight                                        trained numbers
    ============ ============================================= ==================
    col          :math:`W_{ab} + W_{ab} B_a + B_a`             o r
    row          :math:`W_{ab} + W_{ab} B_b + B_b`             i r
    free         :math:`W_{ab} + W_{ab} B + B`                 r r
    ab           :math:`W_{ab} + W_{ab} A_b + B_b`             2 i r
    additive     :math:`W_{kj} + D_{j \bmod r, k}`             o r
    mini         :math:`W_{kj} + D_{j \bmod r, k \bmod m}`     r m
    ============ ============================================= ==================

    On the names: the method of the paper's abstract is what peft calls "bat", here
    "col". What peft calls Bone by default, and later MiSS, is "additive", a low-rank
    update with a fixed first factor that does not look at the weight.

    For n tokens, forming the weight of "col" takes o i r multiply-adds and one copy of
    the weight; few tokens (n below r / 4) are multiplied without forming it, at twice
    the cost of the layer. "row", "free" and "ab" become W (x + z) with z from n i r
    multiply-adds, the additive variants need n r (o + i / r), and none of these forms
    the weight unless no gradient is recorded and there are more tokens than outputs.
    In half precision a formed weight is computed in float32.

    There is no scale beside the blocks, unlike LoRA's alpha, and no dropout.

    References
    ----------
    Kang. Bone: Block-Affine Adaptation of Large Language Models. arXiv 2409.15371,
    2024.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.adapters import BlockAffine
    >>> adapter = BlockAffine(4, 4, r=2, variant="row")
    >>> weight = torch.arange(16.0).reshape(4, 4)
    >>> torch.equal(adapter(weight), weight)
    True
    >>> adapter.B.shape
    torch.Size([2, 2, 2])
    """

    A: Tensor
    B: Tensor
    D: Tensor

    def __init__(
        self,
        out_features: int,
        in_features: int,
        r: int,
        *,
        variant: str = "col",
        mini_r: int | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.out_features = _size(out_features, "out_features")
        self.in_features = _size(in_features, "in_features")
        self.r = positive_integer(r, "r", "BlockAffine", "pass for example 8")
        self.variant = _variant(variant)
        self.mini_r = mini_r
        self._check_sizes()
        for name, shape in self._shapes().items():
            zeros = torch.zeros(shape, dtype=dtype, device=device)
            self.register_parameter(name, nn.Parameter(zeros))

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of what is trained, by name."""
        r = self.r
        outer, inner = self.out_features // r, self.in_features // r
        shapes: dict[str, dict[str, tuple[int, ...]]] = {
            "col": {"B": (outer, r, r)},
            "row": {"B": (inner, r, r)},
            "free": {"B": (1, r, r)},
            "ab": {"A": (inner, r, r), "B": (inner, r, r)},
            "additive": {"D": (r, self.out_features)},
            "mini": {"D": (r, self.mini_r or 0)},
        }
        return shapes[self.variant]

    def _check_sizes(self) -> None:
        """Refuse blocks that do not fit the weight."""
        shape = (self.out_features, self.in_features)
        if self.r > self.in_features:
            raise ValueError(
                f"The 'r' of BlockAffine must be at most 'in_features'. Got r={self.r} "
                f"for a weight of shape {shape}; choose {self.in_features} or less."
            )
        pads = self.variant in ("additive", "mini")
        if not pads and any(side % self.r for side in shape):
            common = math.gcd(*shape)
            divisors = [d for d in range(1, common + 1) if common % d == 0]
            raise ValueError(
                f"The 'r' of BlockAffine must divide both sides of the weight for "
                f"variant {self.variant!r}. Got r={self.r} for a weight of shape "
                f"{shape}; choose one of {divisors}, or variant='additive', which "
                f"takes any."
            )
        if self.variant != "mini":
            if self.mini_r is not None:
                raise ValueError(
                    f"The 'mini_r' of BlockAffine must be None unless the variant is "
                    f"'mini'. Got {self.mini_r!r} for {self.variant!r}; leave it out."
                )
            return
        m = positive_integer(
            self.mini_r, "mini_r", "BlockAffine", "variant 'mini' needs a number"
        )
        if self.out_features % m:
            raise ValueError(
                f"The 'mini_r' of BlockAffine must divide 'out_features'. Got {m} for "
                f"{self.out_features} outputs; choose a divisor."
            )

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
                f"The weight of this BlockAffine must have shape "
                f"{(self.out_features, self.in_features)}. Got {tuple(weight.shape)}; "
                f"make one for the layer, BlockAffine(*weight.shape, r={self.r})."
            )
        if self.variant == "col":
            return formed_by_rows(weight, self.B)
        if self.variant in ("additive", "mini"):
            return formed_by_sums(weight, self.D)
        factors = self.A if self.variant == "ab" else self.B
        return formed_by_columns(weight, factors, self.B)

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
        n_tokens = x.numel() // self.in_features
        if self._forms(n_tokens):
            return F.linear(x, self(weight), bias)
        tokens = x.reshape(n_tokens, self.in_features)
        if self.variant == "col":
            y = linear_by_rows(tokens, weight, bias, self.B.to(x.dtype))
        elif self.variant in ("additive", "mini"):
            y = linear_by_sums(tokens, weight, bias, self.D.to(x.dtype))
        else:
            B = self.B.to(x.dtype)
            A = self.A.to(x.dtype) if self.variant == "ab" else B
            y = linear_by_columns(tokens, weight, bias, A, B)
        return y.view(*x.shape[:-1], self.out_features)

    def _forms(self, n_tokens: int) -> bool:
        """Say whether the weight is to be formed for so many tokens."""
        if self.variant == "col":
            return _ROWS_PER_TOKEN * n_tokens > self.r
        return is_cheaper_formed(n_tokens, self.out_features)

    def extra_repr(self) -> str:
        """Return the sizes for the printed form of a model.

        Returns
        -------
        str
            Without the name of the class.
        """
        mini = "" if self.mini_r is None else f", mini_r={self.mini_r}"
        return (
            f"{self.out_features}, {self.in_features}, r={self.r}, "
            f"variant={self.variant!r}{mini}"
        )


def _size(value: Any, name: str) -> int:
    return positive_integer(value, name, "BlockAffine", "pass BlockAffine(*w.shape, r)")


def _variant(variant: Any) -> str:
    """Return the word of a variant that is used here."""
    known = ALIASES.get(variant, variant) if isinstance(variant, str) else None
    if known not in VARIANTS:
        raise ValueError(
            f"The 'variant' of BlockAffine must be one of {', '.join(VARIANTS)}, or "
            f"'bat' for 'col', 'miss' for 'additive'. Got {variant!r}; choose one."
        )
    return known
