"""Corruptions of rows, to train robust models on and to measure them with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from sklearn.utils import check_array

from statlearn.utils._rng import as_generator

Array = NDArray[Any]


class _Rows(NamedTuple):
    """Rows with what a corruption may ask about them."""

    values: Array  # (n, d)
    low: float
    high: float
    image_shape: tuple[int, ...]
    rng: np.random.Generator

    def chosen(self, share: float) -> NDArray[np.bool_]:
        """Pick this share of all numbers at random."""
        return self.rng.random(self.values.shape) < share


def _gaussian_noise(rows: _Rows, share: float) -> Array:
    noise = rows.rng.standard_normal(rows.values.shape)
    return rows.values + share * (rows.high - rows.low) * noise


def _impulse(rows: _Rows, share: float) -> Array:
    ends = np.where(rows.rng.random(rows.values.shape) < 0.5, rows.low, rows.high)
    return np.where(rows.chosen(share), ends, rows.values)


def _dropout(rows: _Rows, share: float) -> Array:
    return np.where(rows.chosen(share), rows.values.mean(axis=0), rows.values)


def _contrast(rows: _Rows, factor: float) -> Array:
    centre = rows.values.mean(axis=1, keepdims=True)
    return centre + factor * (rows.values - centre)


def _blur(rows: _Rows, sigma: float) -> Array:
    images = rows.values.reshape(-1, *rows.image_shape)
    # Two axes at most are places; a third one holds the channels.
    places = (0, *(sigma if axis < 2 else 0 for axis in range(len(rows.image_shape))))
    blurred = ndimage.gaussian_filter(images, places, mode="nearest")
    return np.asarray(blurred).reshape(rows.values.shape)


# Strength at the severities 1 to 5. Those of noise, impulses and contrast are the
# usual ones for images; the widths of the blur are for images of 8 to 32 pixels.
CORRUPTIONS: dict[str, tuple[Callable[[_Rows, float], Array], tuple[float, ...]]] = {
    "gaussian_noise": (_gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    "impulse": (_impulse, (0.03, 0.06, 0.09, 0.17, 0.27)),
    "dropout": (_dropout, (0.05, 0.1, 0.2, 0.3, 0.5)),
    "contrast": (_contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
    "blur": (_blur, (0.4, 0.7, 1.0, 1.4, 1.8)),
}


def corrupt(
    X: ArrayLike,
    kind: str,
    severity: int = 3,
    *,
    image_shape: Sequence[int] | None = None,
    random_state: Any = None,
) -> NDArray[Any]:
    """Corrupt rows of numbers, such as flattened images.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Clean rows; they are not changed.
    kind : {"gaussian_noise", "impulse", "dropout", "contrast", "blur"}
        Noise on every number; some numbers at an end of the range; some numbers at the
        mean of their column; all numbers nearer to the mean of their row; a Gaussian
        filter over each image.
    severity : int, default=3
        From 1 (weak) to 5 (strong).
    image_shape : sequence of int, default=None
        Height and width, and channels if there are any, of the image in each row, for
        "blur". Without it neighbouring columns are blurred.
    random_state : int, Generator, RandomState or None, default=None
        Randomness of noise, impulses and dropout.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Corrupted rows within the range of the clean ones, in their floating type.

    Raises
    ------
    ValueError
        If kind, severity or the shape of the images cannot be.

    See Also
    --------
    SignaturePatchedClassifier : Trains on corrupted rows to find signatures.

    Notes
    -----
    Strengths are relative to the range of all numbers of `X`, so the unit of the rows
    does not matter; corrupt all rows that are compared in one call. O(n d).

    References
    ----------
    D. Hendrycks, T. Dietterich. "Benchmarking Neural Network Robustness to Common
    Corruptions and Perturbations". ICLR 2019.

    Examples
    --------
    >>> from statlearn.merging import corrupt
    >>> corrupt([[0.0, 1.0], [0.5, 0.5]], "contrast", severity=2).round(2)
    array([[0.35, 0.65],
           [0.5 , 0.5 ]])
    """
    if kind not in CORRUPTIONS:
        raise ValueError(
            f"The 'kind' of corrupt must be one of {', '.join(CORRUPTIONS)}. Got "
            f"{kind!r}; pass one of them, or write your own function of X."
        )
    corruption, strengths = CORRUPTIONS[kind]
    whole = isinstance(severity, (int, np.integer)) and not isinstance(severity, bool)
    if not whole or not 1 <= severity <= len(strengths):
        raise ValueError(
            "The 'severity' of corrupt must be a whole number from 1 to "
            f"{len(strengths)}. Got {severity!r}; pass 3 for a medium one."
        )
    values = check_array(X, dtype=[np.float64, np.float32, np.float16], input_name="X")
    shape = _image_shape(image_shape, values.shape[1])
    low, high = float(values.min()), float(values.max())
    rows = _Rows(values, low, high, shape, as_generator(random_state))
    corrupted = corruption(rows, strengths[severity - 1])
    return np.clip(corrupted, low, high).astype(values.dtype, copy=False)


def _image_shape(shape: Sequence[int] | None, n_features: int) -> tuple[int, ...]:
    if shape is None:
        return (n_features,)
    lengths = tuple(int(length) for length in shape)
    if len(lengths) not in {2, 3} or np.prod(lengths) != n_features:
        raise ValueError(
            "The 'image_shape' of corrupt must be height and width, or these and "
            f"channels, of images with {n_features} numbers. Got {lengths}; correct it."
        )
    return lengths
