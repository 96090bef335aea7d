"""Losses of scores of classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from statlearn.neural.losses._loss_rows import pair, row_mean, token_mean
from statlearn.utils._numbers import closed_share, positive_number


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    mask: Tensor | None = None,
) -> Tensor:
    r"""Return the cross-entropy of each sample, a mean over its tokens.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes) or (n, length, n_classes)
        Scores before softmax, classes last; any number of axes may stand for `length`.
    target : Tensor of shape (n,) or (n, length), or of the shape of `logits`
        Integer labels, or floating-point probabilities of the classes.
    label_smoothing : float, default=0.0
        Share of the target, in [0, 1], that is spread evenly over all classes.
    ignore_index : int, default=-100
        Integer label of tokens that do not count.
    mask : Tensor of shape (n,) or (n, length), default=None
        Weight of each token in the mean of its sample, at least 0; a boolean mask is
        True for tokens that count.

    Returns
    -------
    losses : Tensor of shape (n,)
        In nats. A sample of which no token counts has loss 0.

    Raises
    ------
    ValueError
        If shapes disagree, a label is no class, `label_smoothing` is not a share, or a
        mask on the CPU has a negative weight or NaN.
    TypeError
        If floating-point targets have the shape of labels.

    See Also
    --------
    distillation : Against the probabilities of a teacher, with a temperature.
    binary_cross_entropy_with_logits : For labels that do not exclude each other.
    torch.nn.functional.cross_entropy : The same with classes on the second axis.

    Notes
    -----
    With scores z, probabilities p of the target, K classes and smoothing s, a token has
    the loss

    .. math:: -\sum_k \{(1 - s)\, p_k + s / K\} \log \mathrm{softmax}(z)_k .

    Samples of different length count alike. To let every token of a batch count alike,
    weigh samples by ``mask.sum(1)``. Time and memory are linear in the size of the
    logits.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.losses import cross_entropy
    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    >>> cross_entropy(logits, torch.tensor([0, 1]))
    tensor([0.1269, 0.6931])
    """
    caller = "cross_entropy"
    smoothing = closed_share(label_smoothing, "label_smoothing", caller, "pass 0.1")
    is_label = not target.is_floating_point()
    wanted = logits.shape[:-1] if is_label else logits.shape
    if logits.ndim < 2 or target.shape != wanted:
        raise _target_refused(logits, target, caller)
    n_classes = logits.shape[-1]
    # Bytes would turn the default of `ignore_index` into label 156.
    target = target.long() if is_label else target.to(logits.dtype)
    try:
        losses = F.cross_entropy(
            logits.reshape(-1, n_classes),
            target.reshape(-1) if is_label else target.reshape(-1, n_classes),
            ignore_index=ignore_index,
            reduction="none",
            label_smoothing=smoothing,
        )
    except IndexError as error:
        raise ValueError(
            f"The 'target' of {caller} must hold labels from 0 to {n_classes - 1}, or "
            f"the 'ignore_index' {ignore_index}. Got labels from {target.min()} to "
            f"{target.max()}; encode the labels, or let the model return more classes."
        ) from error
    losses = losses.reshape(logits.shape[:-1])
    counts = target != ignore_index if is_label else None
    return token_mean(losses, counts, mask, caller)


def binary_cross_entropy_with_logits(
    logits: Tensor, target: Tensor, *, pos_weight: Tensor | None = None
) -> Tensor:
    r"""Return the binary cross-entropy of each sample, a mean over its outputs.

    Parameters
    ----------
    logits : Tensor of shape (n,) or (n, n_outputs)
        Scores before the logistic function.
    target : Tensor of the shape of `logits`
        Labels 0 and 1, booleans, or probabilities in [0, 1].
    pos_weight : Tensor of shape (n_outputs,) or (), default=None
        Factor on the part of the loss that belongs to label 1.

    Returns
    -------
    losses : Tensor of shape (n,)
        In nats.

    Raises
    ------
    ValueError
        If shapes disagree, that of `pos_weight` too. A column (n, 1) may meet a vector
        (n,).

    See Also
    --------
    cross_entropy : For classes that exclude each other.
    torch.nn.functional.binary_cross_entropy_with_logits : Before the mean over outputs.

    Notes
    -----
    With score z, target y and factor c an output has the loss

    .. math:: -c\, y \log \sigma(z) - (1 - y) \log \sigma(-z) ,

    computed without overflow.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.losses import binary_cross_entropy_with_logits
    >>> binary_cross_entropy_with_logits(torch.tensor([0.0, 2.0]), torch.tensor([1, 1]))
    tensor([0.6931, 0.1269])
    """
    caller = "binary_cross_entropy_with_logits"
    logits, target = pair(logits, target, caller)
    if pos_weight is not None:
        n_outputs = logits.shape[-1] if logits.ndim > 1 else 1
        pos_weight = torch.as_tensor(pos_weight).to(logits)
        if pos_weight.shape not in ((), (n_outputs,)):
            raise ValueError(
                f"The 'pos_weight' of {caller} must have shape ({n_outputs},), one "
                f"factor for each output, or (). Got shape {tuple(pos_weight.shape)}; "
                f"weigh samples by multiplying the losses."
            )
    losses = F.binary_cross_entropy_with_logits(
        logits, target, reduction="none", pos_weight=pos_weight
    )
    return row_mean(losses)


def distillation(
    logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    r"""Return how far each sample is from the softened classes of a teacher.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes) or (n, length, n_classes)
        Scores of the student before softmax, classes last.
    teacher_logits : Tensor of the shape of `logits`
        Scores of the teacher, to whom no gradient flows.
    temperature : float, default=1.0
        Softness; larger ones compare the small probabilities too.
    mask : Tensor of shape (n,) or (n, length), default=None
        Weight of each token in the mean of its sample, as for :func:`cross_entropy`.

    Returns
    -------
    losses : Tensor of shape (n,)
        At least 0, and 0 where student and teacher agree. A class of probability 0 for
        the teacher does not count.

    Raises
    ------
    ValueError
        If `temperature` is not positive, shapes disagree, or a mask on the CPU has a
        negative weight or NaN.

    See Also
    --------
    cross_entropy : Against labels; the usual training loss is a mixture of both.
    torch.nn.functional.kl_div : On logarithms of probabilities.

    Notes
    -----
    With probabilities q of the teacher and p of the student, softmax of their scores
    divided by the temperature T, a token has the loss

    .. math:: T^2 \sum_k q_k \log (q_k / p_k) .

    The factor keeps gradients on the scale of :func:`cross_entropy` whatever T; they
    are those of the cross-entropy against q, which differs by the entropy of q.

    References
    ----------
    Geoffrey Hinton, Oriol Vinyals, Jeff Dean. Distilling the Knowledge in a Neural
    Network. NIPS Deep Learning Workshop, 2014.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.losses import distillation
    >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    >>> distillation(student, teacher, temperature=2.0)
    tensor([0.1212])
    """
    soft = positive_number(
        temperature, "temperature", "distillation", "pass for example 1"
    )
    if logits.ndim < 2 or logits.shape != teacher_logits.shape:
        raise ValueError(
            f"The 'teacher_logits' of distillation must have the shape of 'logits', "
            f"(n, n_classes) or (n, length, n_classes). Got "
            f"{tuple(teacher_logits.shape)} and {tuple(logits.shape)}; score the same "
            f"samples and classes with both."
        )
    own = F.log_softmax(logits / soft, dim=-1)
    teacher = F.log_softmax(teacher_logits.detach().to(logits.dtype) / soft, dim=-1)
    losses = F.kl_div(own, teacher, reduction="none", log_target=True)
    # 0 log 0 is 0, also where the student's probability is 0 too.
    losses = losses.masked_fill(teacher.exp() == 0.0, 0.0).sum(-1)
    return token_mean(soft * soft * losses, None, mask, "distillation")


def _target_refused(logits: Tensor, target: Tensor, caller: str) -> Exception:
    """Return the error for targets that do not fit scores of classes."""
    shape, labels = tuple(logits.shape), tuple(logits.shape[:-1])
    if target.is_floating_point() and tuple(target.shape) == labels != ():
        return TypeError(
            f"The 'target' of {caller} must be integer labels of shape {labels}, or "
            f"probabilities of shape {shape}. Got labels as {target.dtype}; pass "
            f"target.long()."
        )
    return ValueError(
        f"The 'target' of {caller} must be integer labels of shape {labels}, or "
        f"probabilities of shape {shape}, for scores of shape (n, n_classes) or (n, "
        f"length, n_classes). Got shape {tuple(target.shape)} of {target.dtype}; put "
        f"the classes of the scores on the last axis."
    )
