"""Small transformers, for images and for characters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from statlearn.neural._generators import as_torch_generator
from statlearn.neural._training._inference import mode
from statlearn.neural.models._model_parts import (
    Seed,
    Sizes,
    as_images,
    building,
    start,
)
from statlearn.neural.models._transformer_parts import TransformerBlock
from statlearn.utils._numbers import closed_share, positive_integer, real_number


class TinyViT(nn.Module):
    r"""A vision transformer for small square images.

    Parameters
    ----------
    image_size : int, default=8
        Height and width of an image, in pixels; 8 suits the digits of scikit-learn.
    patch_size : int, default=2
        Height and width of a patch, a divisor of `image_size`.
    n_channels : int, default=1
        Channels of an image.
    n_outputs : int, default=10
        Columns of the output.
    width : int, default=32
        Width of a token, a multiple of `n_heads`.
    n_heads : int, default=2
        Heads of each attention.
    n_blocks : int, default=2
        Blocks of attention and MLP.
    mlp_width : int, default=64
        Width of the hidden layer of each MLP.
    qkv_bias : bool, default=True
        Whether queries, keys and values have a bias.
    dropout : float, default=0.0
        Share of what each block adds, in [0, 1], that training sets to zero.
    generator : torch.Generator, int or None, default=None
        Source of the start, or its seed. None draws from the global stream of torch.

    Raises
    ------
    ValueError
        For a size below 1, one that does not divide another as said above, or a
        `dropout` outside [0, 1].
    TypeError
        For a size that is not an integer.

    See Also
    --------
    CharLM : The same blocks on sequences of characters.
    ConvNet : Convolutions on the same images.

    Notes
    -----
    Layers are ``patches`` (linear, on the pixels of a patch, channels first),
    ``positions``, ``blocks.i`` with ``norm1``, ``attention.q``, ``.k``, ``.v``,
    ``.proj``, ``norm2``, ``mlp.fc1`` and ``mlp.fc2``, then ``norm`` and ``head``, which
    sees the mean over tokens. With D, M, B, K for width, MLP width, blocks and outputs,
    P numbers in a patch and T tokens there are

    .. math:: (P + 1 + T)\, D + B\, (4 D^2 + 2 D M + 9 D + M) + 2 D + (D + 1)\, K

    parameters, 3 B D less without `qkv_bias`; 18,154 by default. Time is O(B T D (T + D
    + M)) for each image.

    References
    ----------
    Alexey Dosovitskiy et al. An Image is Worth 16x16 Words: Transformers for Image
    Recognition at Scale. ICLR, 2021.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.models import TinyViT
    >>> model = TinyViT(generator=0)
    >>> model(torch.zeros(5, 64)).shape
    torch.Size([5, 10])
    >>> sum(parameter.numel() for parameter in model.parameters())
    18154
    """

    def __init__(
        self,
        image_size: int = 8,
        patch_size: int = 2,
        n_channels: int = 1,
        n_outputs: int = 10,
        *,
        width: int = 32,
        n_heads: int = 2,
        n_blocks: int = 2,
        mlp_width: int = 64,
        qkv_bias: bool = True,
        dropout: float = 0.0,
        generator: Seed = None,
    ) -> None:
        super().__init__()
        sizes = Sizes("TinyViT")
        self.image_size = sizes.one(image_size, "image_size")
        self.patch_size = sizes.one(patch_size, "patch_size")
        self.n_channels = sizes.one(n_channels, "n_channels")
        n_outputs = sizes.one(n_outputs, "n_outputs")
        sizes.divides(self.patch_size, "patch_size", self.image_size, "image_size")
        block = _block_maker(sizes, width, n_heads, mlp_width, dropout, qkv_bias, False)
        n_blocks = sizes.one(n_blocks, "n_blocks")
        source = as_torch_generator(generator, "TinyViT")
        n_tokens = (self.image_size // self.patch_size) ** 2
        with building():
            self.patches = nn.Linear(self.n_channels * self.patch_size**2, width)
            self.positions = nn.Embedding(n_tokens, width)
            self.blocks = nn.ModuleList(block() for _ in range(n_blocks))
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, n_outputs)
        start(self, source)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs of images.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, image_size, image_size)
            Images, or rows (n, n_channels * image_size ** 2) of a table of them.

        Returns
        -------
        outputs : Tensor of shape (n, n_outputs)
            Without an activation.
        """
        x = as_images(x, self.n_channels, self.image_size, "TinyViT")
        x = nn.functional.unfold(x, self.patch_size, stride=self.patch_size)
        x = self.patches(x.transpose(1, 2)) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class CharLM(nn.Module):
    r"""A causal transformer that predicts the next character.

    Parameters
    ----------
    n_characters : int
        Size of the alphabet; characters are the integers below it.
    context : int, default=64
        Longest sequence, in characters.
    width : int, default=32
        Width of a token, a multiple of `n_heads`.
    n_heads : int, default=2
        Heads of each attention.
    n_blocks : int, default=2
        Blocks of attention and MLP.
    mlp_width : int, default=128
        Width of the hidden layer of each MLP.
    dropout : float, default=0.0
        Share of what each block adds, in [0, 1], that training sets to zero.
    generator : torch.Generator, int or None, default=None
        Source of the start, or its seed. None draws from the global stream of torch.

    Raises
    ------
    ValueError
        For a size below 1, a `width` that `n_heads` does not divide, or a `dropout`
        outside [0, 1].
    TypeError
        For a size that is not an integer.

    See Also
    --------
    TinyViT : The same blocks on patches of images.
    statlearn.neural.losses.cross_entropy : Its loss, a mean over the tokens of a text.

    Notes
    -----
    Layers are ``characters`` and ``positions`` (embeddings), ``blocks.i`` as in
    :class:`TinyViT`, ``norm`` and ``head``, which does not share the weights of
    ``characters``. With D, M, B for width, MLP width and blocks, V characters and
    context C there are

    .. math:: (2 V + C)\, D + V + B\, (4 D^2 + 2 D M + 9 D + M) + 2 D

    parameters. Time is O(B L D (L + D + M)) for a sequence of length L.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.models import CharLM
    >>> model = CharLM(n_characters=5, context=8, generator=0)
    >>> model(torch.tensor([[0, 1, 2]])).shape
    torch.Size([1, 3, 5])
    >>> model.generate(torch.tensor([0, 1]), 4, generator=0).shape
    torch.Size([6])
    """

    def __init__(
        self,
        n_characters: int,
        *,
        context: int = 64,
        width: int = 32,
        n_heads: int = 2,
        n_blocks: int = 2,
        mlp_width: int = 128,
        dropout: float = 0.0,
        generator: Seed = None,
    ) -> None:
        super().__init__()
        sizes = Sizes("CharLM")
        self.n_characters = sizes.one(n_characters, "n_characters")
        self.context = sizes.one(context, "context")
        block = _block_maker(sizes, width, n_heads, mlp_width, dropout, True, True)
        n_blocks = sizes.one(n_blocks, "n_blocks")
        source = as_torch_generator(generator, "CharLM")
        with building():
            self.characters = nn.Embedding(self.n_characters, width)
            self.positions = nn.Embedding(self.context, width)
            self.blocks = nn.ModuleList(block() for _ in range(n_blocks))
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, self.n_characters)
        start(self, source)

    def forward(self, ids: Tensor) -> Tensor:
        """Return scores of the character after each position.

        Parameters
        ----------
        ids : Tensor of shape (n, length)
            Integers below `n_characters`, at most `context` of them in a row.

        Returns
        -------
        logits : Tensor of shape (n, length, n_characters)
            Those at a position depend on the characters up to it.
        """
        if ids.ndim != 2 or not 1 <= ids.shape[1] <= self.context:
            raise ValueError(
                f"The 'ids' of CharLM must have shape (n, length) with 1 to "
                f"{self.context} characters, its context. Got shape "
                f"{tuple(ids.shape)}; cut longer texts into pieces."
            )
        if ids.dtype not in (torch.int32, torch.int64):
            raise ValueError(
                f"The 'ids' of CharLM must be of type int32 or int64. Got {ids.dtype}; "
                f"pass ids.long()."
            )
        try:
            x = self.characters(ids) + self.positions.weight[: ids.shape[1]]
        except IndexError as error:  # a look beforehand would wait for the device
            raise ValueError(
                f"The 'ids' of CharLM must lie from 0 to {self.n_characters - 1}. Got "
                f"{ids.min()} to {ids.max()}; encode the characters as in training."
            ) from error
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    @torch.no_grad()
    def generate(
        self,
        prompt: Tensor,
        n: int,
        *,
        temperature: float = 1.0,
        generator: Seed = None,
    ) -> Tensor:
        """Continue texts by drawing one character after the other.

        Parameters
        ----------
        prompt : Tensor of shape (length,) or (n_texts, length)
            Integers below `n_characters`, at least one in a row.
        n : int
            Number of characters to add.
        temperature : float, default=1.0
            Softness, at least 0; at 0 the most probable character is taken.
        generator : torch.Generator, int or None, default=None
            Source of the draws, on the device of the model, or its seed. None draws
            from the global stream of torch.

        Returns
        -------
        ids : Tensor of shape (length + n,) or (n_texts, length + n)
            Prompt and continuation. The model sees the last `context` of them, without
            dropout, and computes no gradients.
        """
        n = positive_integer(n, "n", "CharLM.generate", "pass for example 100")
        softness = real_number(temperature, "temperature", "CharLM.generate")
        if not 0.0 <= softness < float("inf"):
            raise ValueError(
                f"The 'temperature' of CharLM.generate must be a finite number >= 0. "
                f"Got {temperature}; pass 0 for the most probable characters."
            )
        ids = self._read_prompt(prompt)
        source = as_torch_generator(generator, "CharLM.generate", ids.device)
        with mode(self, training=False):
            for _ in range(n):
                logits = self(ids[:, -self.context :])[:, -1]
                if softness == 0.0:
                    drawn = logits.argmax(-1, keepdim=True)
                else:
                    # In double, and from the largest on, whatever the temperature.
                    ahead = (logits - logits.amax(-1, keepdim=True)).double()
                    shares = torch.softmax(ahead / softness, dim=-1).to(logits.dtype)
                    drawn = torch.multinomial(shares, 1, generator=source)
                ids = torch.cat([ids, drawn], dim=1)
        return ids if prompt.ndim == 2 else ids[0]

    def _read_prompt(self, prompt: Tensor) -> Tensor:
        """Return the prompt as (n_texts, length), or say what it should be."""
        if not isinstance(prompt, Tensor):
            raise TypeError(
                f"The 'prompt' of CharLM.generate must be a tensor of integers. Got "
                f"{type(prompt).__name__}; pass torch.tensor(...)."
            )
        right = prompt.ndim in (1, 2) and prompt.numel() > 0
        right = right and not (prompt.is_floating_point() or prompt.is_complex())
        if not (right and prompt.min() >= 0 and prompt.max() < self.n_characters):
            raise ValueError(
                f"The 'prompt' of CharLM.generate must hold one or more integers from "
                f"0 to {self.n_characters - 1}. Got shape {tuple(prompt.shape)} of "
                f"{prompt.dtype}; encode the characters as in training."
            )
        return (prompt if prompt.ndim == 2 else prompt[None]).long()


def _block_maker(
    sizes: Sizes,
    width: int,
    n_heads: int,
    mlp_width: int,
    dropout: float,
    qkv_bias: bool,
    causal: bool,
) -> Callable[[], TransformerBlock]:
    """Return what makes blocks of checked sizes."""
    width, n_heads = sizes.one(width, "width"), sizes.one(n_heads, "n_heads")
    sizes.divides(n_heads, "n_heads", width, "width")
    mlp_width = sizes.one(mlp_width, "mlp_width")
    share = closed_share(dropout, "dropout", sizes.caller, "pass for example 0.1")
    return lambda: TransformerBlock(
        width, n_heads, mlp_width, qkv_bias=qkv_bias, causal=causal, dropout=share
    )
