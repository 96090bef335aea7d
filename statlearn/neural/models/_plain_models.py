"""Small models without attention."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from statlearn.neural._generators import as_torch_generator
from statlearn.neural.models._model_parts import (
    ACTIVATIONS,
    NORMS,
    Seed,
    Sizes,
    as_images,
    building,
    choice,
    start,
)
from statlearn.utils._numbers import closed_share


class MLP(nn.Module):
    r"""Fully connected layers.

    Parameters
    ----------
    n_features : int
        Columns of the input.
    hidden : int or iterable of int, default=(64, 64)
        Widths of the hidden layers; none of them leaves a linear model.
    n_outputs : int, default=1
        Columns of the output.
    norm : {None, "batch", "layer"}, default=None
        Normalisation between each hidden layer and its activation.
    activation : {"relu", "gelu", "silu", "tanh"}, default="relu"
        Function after each hidden layer.
    dropout : float, default=0.0
        Share of hidden units, in [0, 1], that training sets to zero.
    bias : bool, default=True
        Whether linear layers have a bias.
    generator : torch.Generator, int or None, default=None
        Source of the start, or its seed. None draws from the global stream of torch.

    Raises
    ------
    ValueError
        For a size below 1, a `dropout` outside [0, 1] or an unknown name.
    TypeError
        For a size that is not an integer.

    See Also
    --------
    ConvNet : For images.
    sklearn.neural_network.MLPClassifier : An estimator with its own training.

    Notes
    -----
    Layers are ``layers.0``, ``layers.1``, ... (hidden), ``norms.0``, ... and ``head``.
    With widths :math:`d_0` (features), :math:`d_1, \dots, d_L` and :math:`d_{L+1}`
    (outputs) there are :math:`\sum_{l=1}^{L+1} (d_{l-1} + b)\, d_l + 2 v \sum_{l=1}^{L}
    d_l` parameters, where b = 1 with bias and v = 1 with norm, else 0.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.models import MLP
    >>> model = MLP(4, hidden=(8,), n_outputs=3, generator=0)
    >>> model(torch.zeros(5, 4)).shape
    torch.Size([5, 3])
    >>> [name for name, _ in model.named_parameters()]
    ['layers.0.weight', 'layers.0.bias', 'head.weight', 'head.bias']
    """

    def __init__(
        self,
        n_features: int,
        hidden: int | Iterable[int] = (64, 64),
        n_outputs: int = 1,
        *,
        norm: str | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        bias: bool = True,
        generator: Seed = None,
    ) -> None:
        super().__init__()
        sizes = Sizes("MLP")
        n_features = sizes.one(n_features, "n_features")
        widths = sizes.several(hidden, "hidden")
        n_outputs = sizes.one(n_outputs, "n_outputs")
        normalise = choice(NORMS["rows"], norm, "norm", "MLP")
        activate = choice(ACTIVATIONS, activation, "activation", "MLP")
        share = closed_share(dropout, "dropout", "MLP", "pass for example 0.1")
        source = as_torch_generator(generator, "MLP")
        ends = [n_features, *widths]
        with building():
            self.layers = nn.ModuleList(
                nn.Linear(into, out, bias=bias)
                for into, out in zip(ends[:-1], widths, strict=True)
            )
            self.norms = nn.ModuleList(normalise(width) for width in widths)
            self.activation = activate()
            self.dropout = nn.Dropout(share)
            self.head = nn.Linear(ends[-1], n_outputs, bias=bias)
        start(self, source)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs of rows.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            Rows.

        Returns
        -------
        outputs : Tensor of shape (n, n_outputs)
            Without an activation.
        """
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.dropout(self.activation(norm(layer(x))))
        return self.head(x)


class ConvNet(nn.Module):
    r"""Convolutions of width three for small square images.

    Parameters
    ----------
    image_size : int, default=8
        Height and width of an image, in pixels.
    n_channels : int, default=1
        Channels of an image.
    n_outputs : int, default=10
        Columns of the output.
    widths : int or iterable of int, default=(16, 32)
        Channels after each convolution. Between convolutions height and width are
        halved, by the maximum of two by two pixels.
    norm : {None, "batch", "layer"}, default="batch"
        Normalisation after each convolution: of channels over the batch, or of all
        channels and pixels of an image.
    activation : {"relu", "gelu", "silu", "tanh"}, default="relu"
        Function after each convolution.
    dropout : float, default=0.0
        Share of features before the head, in [0, 1], that training sets to zero.
    bias : bool, default=True
        Whether convolutions and head have a bias.
    generator : torch.Generator, int or None, default=None
        Source of the start, or its seed. None draws from the global stream of torch.

    Raises
    ------
    ValueError
        For a size below 1, images too small to be halved so often, a `dropout` outside
        [0, 1] or an unknown name.
    TypeError
        For a size that is not an integer.

    See Also
    --------
    TinyViT : Attention between patches of the same images.

    Notes
    -----
    Layers are ``convs.0``, ``convs.1``, ..., ``norms.0``, ... and ``head``, which sees
    the mean over pixels. With channels :math:`c_0, c_1, \dots, c_L` and K outputs there
    are :math:`\sum_{l=1}^{L} (9\, c_{l-1} + b + 2 v)\, c_l + (c_L + b)\, K` parameters,
    where b = 1 with bias and v = 1 with norm, else 0; 5,226 by default.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.models import ConvNet
    >>> model = ConvNet(generator=0)
    >>> model(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        image_size: int = 8,
        n_channels: int = 1,
        n_outputs: int = 10,
        *,
        widths: int | Iterable[int] = (16, 32),
        norm: str | None = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
        bias: bool = True,
        generator: Seed = None,
    ) -> None:
        super().__init__()
        sizes = Sizes("ConvNet")
        self.image_size = sizes.one(image_size, "image_size")
        self.n_channels = sizes.one(n_channels, "n_channels")
        n_outputs = sizes.one(n_outputs, "n_outputs")
        stages = sizes.several(widths, "widths", empty=False)
        if self.image_size < 2 ** (len(stages) - 1):
            raise ValueError(
                f"The 'image_size' of ConvNet must be at least "
                f"{2 ** (len(stages) - 1)} to be halved between {len(stages)} "
                f"convolutions. Got {image_size}; pass fewer 'widths'."
            )
        normalise = choice(NORMS["images"], norm, "norm", "ConvNet")
        activate = choice(ACTIVATIONS, activation, "activation", "ConvNet")
        share = closed_share(dropout, "dropout", "ConvNet", "pass for example 0.1")
        source = as_torch_generator(generator, "ConvNet")
        with building():
            self.convs = nn.ModuleList(
                nn.Conv2d(into, out, 3, padding=1, bias=bias)
                for into, out in zip(
                    [self.n_channels, *stages[:-1]], stages, strict=True
                )
            )
            self.norms = nn.ModuleList(normalise(width) for width in stages)
            self.activation = activate()
            self.dropout = nn.Dropout(share)
            self.head = nn.Linear(stages[-1], n_outputs, bias=bias)
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
        x = as_images(x, self.n_channels, self.image_size, "ConvNet")
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = nn.functional.max_pool2d(x, 2) if i else x
            x = self.activation(norm(conv(x)))
        return self.head(self.dropout(x.mean((2, 3))))
