"""Attention and its block, as the small transformers use them."""

from __future__ import annotations

from torch import Tensor, nn

from statlearn.neural.models._model_parts import Sizes


class Attention(nn.Module):
    r"""Self-attention with a linear layer each for queries, keys, values and output.

    Parameters
    ----------
    width : int
        Width of a token, a multiple of `n_heads`.
    n_heads : int
        Heads, each of ``width // n_heads`` consecutive rows of ``q``, ``k`` and ``v``.
    qkv_bias : bool, default=True
        Whether queries, keys and values have a bias.
    causal : bool, default=False
        Whether a token sees those before it and itself only.

    Raises
    ------
    ValueError
        For a size below 1, or a `width` that `n_heads` does not divide.
    TypeError
        For a size that is not an integer.

    See Also
    --------
    torch.nn.MultiheadAttention : The same with one stacked weight, and masks.

    Notes
    -----
    Separate layers let a map be attached to one of the four weights. There are
    4 D (D + 1) parameters for width D, 3 D less without `qkv_bias`.
    Time is O(L D (L + D)) for a sequence of length L. Built alone, layers start as
    torch starts them, from its global stream.

    References
    ----------
    Ashish Vaswani et al. Attention Is All You Need. NIPS, 2017.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.models import Attention
    >>> Attention(8, n_heads=2)(torch.zeros(1, 5, 8)).shape
    torch.Size([1, 5, 8])
    """

    def __init__(
        self, width: int, n_heads: int, *, qkv_bias: bool = True, causal: bool = False
    ) -> None:
        super().__init__()
        sizes = Sizes("Attention")
        width = sizes.one(width, "width")
        self.n_heads = sizes.one(n_heads, "n_heads")
        sizes.divides(self.n_heads, "n_heads", width, "width")
        self.causal = causal
        self.q = nn.Linear(width, width, bias=qkv_bias)
        self.k = nn.Linear(width, width, bias=qkv_bias)
        self.v = nn.Linear(width, width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens mixed with those they attend to.

        Parameters
        ----------
        x : Tensor of shape (n, length, width)
            Tokens.

        Returns
        -------
        mixed : Tensor of shape (n, length, width)
            What is added to the tokens.
        """
        q, k, v = (
            layer(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        mixed = nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=self.causal
        )
        return self.proj(mixed.transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    """Two linear layers, GELU between them, on each token: ``fc1`` and ``fc2``.

    Parameters
    ----------
    width : int
        Width of a token.
    mlp_width : int
        Width between the layers.
    """

    def __init__(self, width: int, mlp_width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, mlp_width)
        self.fc2 = nn.Linear(mlp_width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added to the tokens.

        Parameters
        ----------
        x : Tensor of shape (n, length, width)
            Tokens.

        Returns
        -------
        added : Tensor of shape (n, length, width)
            Without an activation.
        """
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class TransformerBlock(nn.Module):
    """Attention and MLP, each on normalised tokens and added to them.

    Parameters
    ----------
    width : int
        Width of a token, a multiple of `n_heads`.
    n_heads : int
        Heads of the attention.
    mlp_width : int
        Width of the hidden layer of the MLP.
    qkv_bias : bool, default=True
        Whether queries, keys and values have a bias.
    causal : bool, default=False
        Whether a token sees those before it and itself only.
    dropout : float, default=0.0
        Share of what is added that training sets to zero.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        mlp_width: int,
        *,
        qkv_bias: bool = True,
        causal: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, n_heads, qkv_bias=qkv_bias, causal=causal)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, mlp_width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens with what attention and MLP add.

        Parameters
        ----------
        x : Tensor of shape (n, length, width)
            Tokens.

        Returns
        -------
        tokens : Tensor of shape (n, length, width)
            Not normalised.
        """
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.mlp(self.norm2(x)))
