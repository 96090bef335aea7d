"""A loss that draws weights to the middle between boundaries."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from statlearn.neural._precision import widened
from statlearn.neural._select import Selector
from statlearn.neural.quantization._quantized import Quantized, quantized_weights


def dampening_loss(
    model: nn.Module, *, include: Selector = None, exclude: Selector = None
) -> Tensor:
    r"""Return the squared distance of weights from their levels.

    A baseline against oscillation: add a multiple of it to the loss of the task.

    Parameters
    ----------
    model : Module
        With quantised weights.
    include, exclude : selector, default=None
        Which weights take part, as in :func:`quantize_model`.

    Returns
    -------
    Tensor
        Of no axes, with a gradient by the stored weights; none by the levels, and none
        for weights beyond the last of them.

    Raises
    ------
    ValueError
        If nothing is quantised.

    See Also
    --------
    IterativeFreezing : The other baseline.
    ConfidenceGuidedAnnealing : Freezes weights without a term of the loss.

    Notes
    -----
    With levels q and ends :math:`q_{\min}, q_{\max}` of each row, held fixed,

    .. math:: \sum_w \big(q(w) - \operatorname{clip}(w, q_{\min}, q_{\max})\big)^2 .

    References
    ----------
    Markus Nagel, Marios Fournarakis, Yelysei Bondarenko, Tijmen Blankevoort. Overcoming
    Oscillations in Quantization-Aware Training. ICML, 2022.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from statlearn.neural.quantization import dampening_loss, quantize_model
    >>> model = nn.Linear(4, 1, bias=False)
    >>> _ = nn.init.constant_(model.weight, 1.0)
    >>> names = quantize_model(model, bits=1)
    >>> dampening_loss(model)
    tensor(0., grad_fn=...)
    """
    weights = quantized_weights(
        model, include=include, exclude=exclude, caller="dampening_loss"
    )
    return torch.stack([_distance(weight) for weight in weights]).sum()


def _distance(weight: Quantized) -> Tensor:
    stored = weight.read()
    grid = weight.quantizer.grid
    with torch.no_grad():
        step = weight.quantizer.step(stored)
        levels = weight.quantizer.encode(stored).dequantize()
        ends = [(code + grid.offset) * step for code in (grid.low, grid.high)]
    return (levels - widened(stored).clamp(*ends)).square().sum()
