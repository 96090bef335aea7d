"""Warnings and errors that a user may want to catch or silence by class."""

from __future__ import annotations

__all__ = [
    "ClippedWeightsWarning",
    "CollinearityWarning",
    "CrossingError",
    "DegenerateWeightsWarning",
    "DroppedBiasesWarning",
    "DroppedRowsWarning",
    "EmptyClassWarning",
    "ExactFitWarning",
    "FactorMergingWarning",
    "LabelOrderWarning",
    "RareClassWarning",
    "RepetitionWarning",
    "SeparationWarning",
    "SmallCalibrationWarning",
    "StatlearnWarning",
]


class StatlearnWarning(UserWarning):
    """Base class of all warnings of this package.

    Silence it to silence them all. A fit that stops before it has converged warns
    with :class:`sklearn.exceptions.ConvergenceWarning` instead, as in scikit-learn.

    Examples
    --------
    >>> import warnings
    >>> from statlearn.exceptions import StatlearnWarning
    >>> warnings.filterwarnings("ignore", category=StatlearnWarning)
    """


class LabelOrderWarning(StatlearnWarning):
    """The order of the classes was guessed from the alphabet.

    Raised for string labels that carry no order of their own. Pass ``categories=``
    or an ordered categorical to state the order.
    """


class EmptyClassWarning(StatlearnWarning):
    """A class has no observation of positive weight in the data of a fit.

    The class keeps its place in the order, and its probability cannot be estimated
    from these data.
    """


class SeparationWarning(StatlearnWarning):
    """The data separate two groups of classes, so a coefficient has no finite value.

    The message names the features concerned. A positive ``alpha`` makes the
    solution finite.
    """


class CollinearityWarning(StatlearnWarning):
    """Columns of the design are linearly dependent.

    Predictions are still unique; single coefficients and their standard errors are
    not. The message names the columns concerned.
    """


class RareClassWarning(StatlearnWarning):
    """A class has too few observations for what was asked.

    Examples are fewer observations than folds of a cross-validation, or a test that
    needs each class on both sides of a split.
    """


class RepetitionWarning(StatlearnWarning):
    """Rows will be drawn more often than asked for, or not at all.

    Raised by samplers before they draw; the message says which rows, and how often.
    """


class DegenerateWeightsWarning(StatlearnWarning):
    """All weight lies on very few rows.

    Raised when a rule leaves weight on no row at all, and its limit is used, or when
    weights make an effective sample too small for what is computed from it.
    """


class DroppedRowsWarning(StatlearnWarning):
    """Rows were left out that cannot be used; the message counts them.

    Rows without a finite loss, where that was asked for, or transitions and episodes
    that were not recorded to their end.
    """


class ExactFitWarning(StatlearnWarning):
    """Half of the data or more lie exactly on a plane, so their scale is zero.

    The fit stops at that plane: rows on it have weight 1, all others weight 0.
    """


class FactorMergingWarning(StatlearnWarning):
    """Factors of low-rank updates are merged one by one.

    A product of merged factors is not the merged product; fold the adapters into the
    weights before merging.
    """


class SmallCalibrationWarning(StatlearnWarning):
    """Too few rows to calibrate a level or coverage, so that its bound is infinite.

    The message says how many rows are enough. A finite bound would have no guarantee.
    """


class ClippedWeightsWarning(StatlearnWarning):
    """Weights of a network lie beyond the bound that they are to have.

    They were moved inside it, so the network starts somewhat elsewhere; the message
    counts them and says which bound would hold all.
    """


class DroppedBiasesWarning(StatlearnWarning):
    """Biases that the new form of a layer has no place for were left out.

    The layer computes something else than before where they were not zero.
    """


class CrossingError(ValueError):
    """Fitted cumulative probabilities are not monotone and the policy is to refuse.

    Raised when a model with ``monotone="raise"`` predicts rows at which the
    boundaries cross; the message gives their number and the first of them.
    """
