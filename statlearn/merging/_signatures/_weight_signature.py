"""Robust weight signatures: robustness to a corruption as a patch on weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from statlearn.merging._signatures._projection import difference, residual
from statlearn.merging._signatures._quantization import (
    Codes,
    QuantizationMethod,
    check_quantization,
    decode,
    encode,
)
from statlearn.merging._signatures._signature_file import (
    read_signature,
    write_signature,
)
from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._entry import Array
from statlearn.merging._state._fitted_models import get_weights, set_weights
from statlearn.merging._state._layer_choice import chosen_arrays
from statlearn.merging._state._layouts import check_models
from statlearn.merging._task_vectors._named_arrays import NamedArrays
from statlearn.utils._numbers import real_number


class WeightSignature(NamedArrays):
    """What robust training adds to weights beyond clean training, as a patch.

    Add signatures to compose robustness to several corruptions, scale one to change
    its strength, `quantize` and `save` them as small files, and put them on a model
    with :func:`apply_signature` or, for a while, with :func:`patched`.

    Parameters
    ----------
    arrays : mapping of str to array-like
        Changes under the names of the model's arrays. They are copied.

    Raises
    ------
    ValueError
        If an array holds NaN or infinity.

    See Also
    --------
    weight_signature : Extract one from a robust and a clean model.
    TaskVector : The whole difference of two models.

    Examples
    --------
    >>> from statlearn.merging import WeightSignature
    >>> signature = WeightSignature({"W0": [[0.5, -0.1], [0.0, 0.9]]})
    >>> signature.quantize(4)["W0"].round(3)
    array([[ 0.567, -0.1  ],
           [-0.1  ,  0.9  ]])
    >>> (0.5 * signature)["W0"][0]
    array([ 0.25, -0.05])
    """

    _codes: Mapping[str, Codes] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers, of the packed codes after `quantize`."""
        stored: Mapping[str, Array | Codes] = self._codes or self
        return sum(one.nbytes for one in stored.values())

    def scale(self, alpha: float) -> Self:
        """Return the signature with another strength.

        Parameters
        ----------
        alpha : float
            Factor on every number; 0 is no patch, 1 the whole one.

        Returns
        -------
        WeightSignature
            Of the same names.
        """
        return self * alpha

    def quantize(self, levels: int, method: QuantizationMethod = "linear") -> Self:
        """Return the signature with few different numbers in each array.

        Parameters
        ----------
        levels : int
            Levels in each array, 2 to 65535 (4 at least for "log"); 16 levels are
            saved as 4 bits a number.
        method : {"linear", "log", "tanh"}, default="linear"
            Scale on which the levels have equal distances: the number, the logarithm of
            its size with half of the levels for each sign and zeros kept, or its
            hyperbolic tangent.

        Returns
        -------
        WeightSignature
            Arithmetic on it gives plain signatures again.

        Raises
        ------
        ValueError
            If levels or method cannot be.
        """
        check_quantization(levels, method)
        return self._from_codes(
            {name: encode(array, int(levels), method) for name, array in self.items()}
        )

    @classmethod
    def _adopt(cls, arrays: dict[str, Array]) -> Self:
        """Make a signature of arrays that nobody else has; they are not copied."""
        signature = cls({})
        for array in arrays.values():
            array.flags.writeable = False
        signature._arrays = arrays
        return signature

    @classmethod
    def _from_codes(cls, codes: Mapping[str, Codes]) -> Self:
        arrays = {name: np.asarray(decode(coded)) for name, coded in codes.items()}
        signature = cls._adopt(arrays)
        signature._codes = dict(codes)
        return signature

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the signature to a file of NumPy arrays, without pickle.

        Parameters
        ----------
        path : str or path
            File to write, with the suffix ``.npz``. It appears whole or not at all.

        Raises
        ------
        ValueError
            If the suffix is another one.
        """
        write_signature(path, self._codes or self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a signature from a file that `save` wrote; no code in it is run.

        Parameters
        ----------
        path : str or path
            File with the suffix ``.npz``.

        Returns
        -------
        WeightSignature
            Equal to the one that was saved, quantised if that was.

        Raises
        ------
        ValueError
            If the file is no signature.
        """
        stored = read_signature(path)
        coded = {n: one for n, one in stored.items() if isinstance(one, Codes)}
        if coded:
            return cls._from_codes(coded)
        return cls({n: one for n, one in stored.items() if not isinstance(one, Codes)})


def weight_signature(
    robust: Any,
    clean: Any,
    base: Any = None,
    *,
    projection: bool = True,
    layers: float | Iterable[str] | None = None,
) -> WeightSignature:
    r"""Extract what robust training adds to weights beyond clean training.

    Parameters
    ----------
    robust : estimator, torch module or mapping
        Model that was tuned on corrupted data.
    clean : estimator, torch module or mapping
        Model that was tuned on clean data, from the same base, with the same start of
        its last layer, in small steps.
    base : estimator, torch module or mapping, default=None
        Model that both were tuned from. Without it nothing is known of what clean
        training does, and the signature is the plain difference of the two models.
    projection : bool, default=True
        Whether to keep only what is orthogonal, array by array, to what clean training
        did to the base. Otherwise the signature is the plain difference.
    layers : int, float or iterable of str, default=None
        Layers with a signature: the first `layers` of them, this share of them
        (at least one), or shell patterns of names; all for None. Others may differ in
        shape. Robustness to corruptions sits in the first layers.

    Returns
    -------
    WeightSignature
        Changes of the arrays of these layers, as float64 whatever the models hold.
        Integers and running statistics have none.

    Raises
    ------
    TypeError
        If a model has no weights, or `layers` is of another type.
    ValueError
        If names or shapes differ, a number is not finite, or layers are unknown.

    See Also
    --------
    apply_signature : Put signatures on a model.
    patched : The same for a while.
    SignaturePatchedClassifier : All steps for a classifier with ``partial_fit``.

    Notes
    -----
    With the updates :math:`a = \theta_{clean} - \theta_0` and
    :math:`b = \theta_{robust} - \theta_0` of one array the signature is
    :math:`b - a\,(a^\top b)/(a^\top a)`, and :math:`b` if :math:`a = 0`. Costs are
    O(d): one pass for two inner products, one for the projection, and the memory of the
    result, twice the bytes of a float32 model. A change of one number alone is
    parallel to any other, so arrays with one number have the signature zero. After
    patching a network with normalisation layers, estimate their running statistics
    again.

    References
    ----------
    R. Cai, Z. Zhang, Z. Wang. "Robust Weight Signatures: Gaining Robustness as Easy as
    Patching Weights?". ICML 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import weight_signature
    >>> base = {"w": np.zeros(2)}
    >>> clean, robust = {"w": np.array([1.0, 0.0])}, {"w": np.array([0.8, 0.5])}
    >>> weight_signature(robust, clean, base)["w"]
    array([0. , 0.5])
    >>> weight_signature(robust, clean, projection=False)["w"]
    array([-0.2,  0.5])
    """
    caller = "weight_signature"
    tuned, plain = get_weights(robust), get_weights(clean)
    models = [tuned] if base is None else [tuned, get_weights(base)]
    called = ("the clean model", "the robust model", "the base")[: len(models) + 1]
    if layers is None:  # all names count, also those without a signature
        check_models(plain, models, caller, called=called)
    chosen = chosen_arrays(plain, layers, caller)
    check_models(plain, models, caller, keep=set(chosen).__contains__, called=called)
    project = projection and base is not None
    signature: dict[str, Array] = {}
    for name in chosen:
        arrays = [to_array(state[name]) for state in (plain, *models)]
        change = residual(name, *arrays) if project else difference(name, *arrays[:2])
        signature[name] = change
    return WeightSignature._adopt(signature)


def apply_signature(
    model: Any,
    *signatures: WeightSignature,
    alpha: float | Sequence[float] | None = None,
) -> Any:
    """Return a model with signatures added to its weights.

    Parameters
    ----------
    model : estimator, torch module or mapping
        Clean model of the signatures' architecture; it is not changed.
    *signatures : WeightSignature
        One or several; their order does not matter.
    alpha : float or sequence of float, default=None
        Strength, of all or of each; None is 1 for one signature and 1/n for n. It is
        the factor itself; the published code multiplies by it twice, so that its alpha
        acts as the square.

    Returns
    -------
    estimator, torch module or dict
        What was passed, with new weights in the data types of the old ones.

    Raises
    ------
    TypeError
        If something is no signature.
    ValueError
        If there are no signatures, a number of strengths that is not theirs, or a
        signature of another architecture.

    See Also
    --------
    patched : Change the model itself, for a while.
    weight_signature : Extract a signature.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import WeightSignature, apply_signature
    >>> noise, blur = WeightSignature({"w": [1.0]}), WeightSignature({"w": [3.0]})
    >>> apply_signature({"w": np.array([10.0])}, noise, blur)
    {'w': array([12.])}
    """
    return combine(signatures, alpha, "apply_signature").apply(model)


@contextmanager
def patched(
    model: Any,
    *signatures: WeightSignature,
    alpha: float | Sequence[float] | None = None,
) -> Iterator[Any]:
    """Change a model itself within a ``with`` block, and restore it to the bit.

    Parameters
    ----------
    model : estimator, torch module or mutable mapping
        Clean model of the signatures' architecture.
    *signatures : WeightSignature
        One or several.
    alpha : float or sequence of float, default=None
        Strength, as in :func:`apply_signature`.

    Yields
    ------
    estimator, torch module or mutable mapping
        The model, patched. After the block, also if it ends in an error, it has the
        numbers that it had before.

    Raises
    ------
    TypeError
        If something is no signature, or the model is a mapping that cannot change.
    ValueError
        If the signatures do not fit the model.

    See Also
    --------
    apply_signature : Leave the model alone and return a patched copy.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import WeightSignature, patched
    >>> model = {"w": np.array([0.1])}
    >>> with patched(model, WeightSignature({"w": [0.2]})):
    ...     print(model["w"].round(6))
    [0.3]
    >>> model["w"]
    array([0.1])
    """
    if isinstance(model, Mapping) and not isinstance(model, MutableMapping):
        raise TypeError(
            "patched changes the model itself, here a mapping of names to arrays. Got "
            f"{type(model).__name__}, which cannot change; use apply_signature."
        )
    weights = get_weights(model)
    changed = combine(signatures, alpha, "patched").apply(dict(weights))
    if isinstance(model, MutableMapping):
        before = dict(model)
        model.update(changed)
        try:
            yield model
        finally:
            model.update(before)
        return
    # Copies, since the arrays of a module or an estimator may be written into.
    original = set_weights(dict(weights), weights)
    set_weights(model, changed, copy=False)
    try:
        yield model
    finally:
        set_weights(model, original, copy=False)


def combine(
    signatures: Sequence[WeightSignature],
    alpha: float | Sequence[float] | None,
    caller: str,
) -> WeightSignature:
    """Return the sum of signatures, each times its strength."""
    for one in signatures:
        if not isinstance(one, WeightSignature):
            raise TypeError(
                f"{caller} adds objects of class WeightSignature. Got "
                f"{type(one).__name__}; make one with weight_signature."
            )
    if not signatures:
        raise ValueError(
            f"{caller} needs at least one signature. Got none; pass signatures after "
            "the model."
        )
    total, *others = (
        strength * one
        for one, strength in zip(
            signatures, _strengths(alpha, len(signatures), caller), strict=True
        )
    )
    for one in others:
        total = total + one
    return total


def _strengths(
    alpha: float | Sequence[float] | None, n_signatures: int, caller: str
) -> list[float]:
    if alpha is None:
        return [1.0 / n_signatures] * n_signatures
    if np.ndim(alpha) == 0:
        return [real_number(alpha, "alpha", caller)] * n_signatures
    strengths = [real_number(one, "alpha", caller) for one in np.asarray(alpha).flat]
    if len(strengths) != n_signatures:
        raise ValueError(
            f"The 'alpha' of {caller} must be one number, or one a signature, here "
            f"{n_signatures}. Got {len(strengths)}; pass as many as signatures."
        )
    return strengths
