"""Models as weights: merge them, patch them, match them up to a permutation.

State dicts, fitted scikit-learn models and torch modules go in, and the same kind
comes out; nothing here imports torch. :func:`merge_weights` combines several tuned
copies of one base model, :func:`weight_signature` extracts robustness as a patch, and
:func:`match_weights` lines the units of two networks up.
"""

from __future__ import annotations

from statlearn.merging._corruptions import corrupt
from statlearn.merging._task_vector import TaskVector, cosine_matrix, task_vector
from statlearn.merging._views import get_weights, set_weights
from statlearn.merging._weight_signature import (
    WeightSignature,
    apply_signature,
    patched,
    weight_signature,
)
from statlearn.merging.signature_patched_classifier import SignaturePatchedClassifier

__all__ = [
    "SignaturePatchedClassifier",
    "TaskVector",
    "WeightSignature",
    "apply_signature",
    "corrupt",
    "cosine_matrix",
    "get_weights",
    "patched",
    "set_weights",
    "task_vector",
    "weight_signature",
]
