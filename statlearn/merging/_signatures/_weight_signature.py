"""Robust weight signatures: robustness to a corruption as a patch on weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
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
from statlearn.merging._state._fitted_models import get_weights
from statlearn.merging._state._layer_choice import chosen_arrays
from statlearn.merging._state._layouts import check_models
from statlearn.merging._task_vectors._named_arrays import NamedArrays


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
        FileExistsError
            If there is a folder of this name.
        FileNotFoundError
            If the folder around it does not exist.
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
    states = {"clean": get_weights(clean), "robust": get_weights(robust)}
    if base is not None:
        states["base"] = get_weights(base)
    plain, *models = states.values()
    called = ("the clean model", "the robust model", "the base")[: len(states)]
    if layers is None:  # all names count, also those without a signature
        check_models(plain, models, caller, called=called)
    chosen = chosen_arrays(plain, layers, caller)
    check_models(plain, models, caller, keep=set(chosen).__contains__, called=called)
    project = projection and base is not None
    signature: dict[str, Array] = {}
    for name in chosen:
        arrays = {who: to_array(state[name]) for who, state in states.items()}
        if project:
            signature[name] = residual(name, **arrays)
        else:
            robust, clean = arrays["robust"], arrays["clean"]
            signature[name] = difference(name, robust=robust, clean=clean)
    return WeightSignature._adopt(signature)
