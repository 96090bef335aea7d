"""Models as weights: merge them, patch them, match them up to a permutation.

State dicts, fitted scikit-learn models and torch modules go in, and the same kind
comes out; nothing here imports torch. :func:`merge_weights` combines several tuned
copies of one base model, :func:`weight_signature` extracts robustness as a patch, and
:func:`match_weights` lines the units of two networks up.
"""

from __future__ import annotations

from statlearn.merging._comparison._alignment import alignment, singular_spectrum
from statlearn.merging._comparison._alignment_plot import SingularAlignmentDisplay
from statlearn.merging._comparison._barrier import (
    BarrierCurve,
    interpolate,
    loss_barrier,
)
from statlearn.merging._comparison._barrier_plot import BarrierDisplay
from statlearn.merging._files._storage import (
    StoredWeights,
    merge_files,
    open_weights,
    save_weights,
)
from statlearn.merging._matching._activation_matching import match_activations
from statlearn.merging._matching._match_many import MatchManyResult, match_many
from statlearn.merging._matching._permute import (
    apply_permutation,
    compose_permutations,
    invert_permutations,
)
from statlearn.merging._matching._spec_builders import (
    residual_spec,
    sequential_spec,
    spec_for,
)
from statlearn.merging._matching._spec_check import check_function_preserved
from statlearn.merging._matching._weight_matching import MatchResult, match_weights
from statlearn.merging._rules._arithmetic import average, task_arithmetic
from statlearn.merging._rules._breadcrumbs import breadcrumbs
from statlearn.merging._rules._consensus import consensus
from statlearn.merging._rules._data_driven import fisher_merge, regmean
from statlearn.merging._rules._evidence import fisher_information, layer_grams
from statlearn.merging._rules._karcher import karcher
from statlearn.merging._rules._merge_weights import merge_weights
from statlearn.merging._rules._methods import (
    MERGE_METHODS,
    MergeMethod,
    list_merge_methods,
)
from statlearn.merging._rules._model_stock import model_stock
from statlearn.merging._rules._pcb import pcb
from statlearn.merging._rules._random_drop import dare, della
from statlearn.merging._rules._robust_spectral import r_tsv_merge
from statlearn.merging._rules._sce import sce
from statlearn.merging._rules._slerp import nuslerp, slerp
from statlearn.merging._rules._spectral import iso_merge, sti, tsv_merge
from statlearn.merging._rules._ties import ties
from statlearn.merging._signatures._corruptions import corrupt
from statlearn.merging._signatures._patching import apply_signature, patched
from statlearn.merging._signatures._weight_signature import (
    WeightSignature,
    weight_signature,
)
from statlearn.merging._state._fitted_models import get_weights, set_weights
from statlearn.merging._task_vectors._task_vector import (
    TaskVector,
    cosine_matrix,
    task_vector,
)
from statlearn.merging._task_vectors._task_vector_plot import TaskVectorDisplay
from statlearn.merging.matched_averaging import MatchedAveraging
from statlearn.merging.model_merger import ModelMerger
from statlearn.merging.permutation_spec import PermutationSpec, mlp_spec
from statlearn.merging.signature_patched_classifier import SignaturePatchedClassifier
from statlearn.merging.weight_matcher import WeightMatcher

__all__ = [
    "MERGE_METHODS",
    "BarrierCurve",
    "BarrierDisplay",
    "MatchManyResult",
    "MatchResult",
    "MatchedAveraging",
    "MergeMethod",
    "ModelMerger",
    "PermutationSpec",
    "SignaturePatchedClassifier",
    "SingularAlignmentDisplay",
    "StoredWeights",
    "TaskVector",
    "TaskVectorDisplay",
    "WeightMatcher",
    "WeightSignature",
    "alignment",
    "apply_permutation",
    "apply_signature",
    "average",
    "breadcrumbs",
    "check_function_preserved",
    "compose_permutations",
    "consensus",
    "corrupt",
    "cosine_matrix",
    "dare",
    "della",
    "fisher_information",
    "fisher_merge",
    "get_weights",
    "interpolate",
    "invert_permutations",
    "iso_merge",
    "karcher",
    "layer_grams",
    "list_merge_methods",
    "loss_barrier",
    "match_activations",
    "match_many",
    "match_weights",
    "merge_files",
    "merge_weights",
    "mlp_spec",
    "model_stock",
    "nuslerp",
    "open_weights",
    "patched",
    "pcb",
    "r_tsv_merge",
    "regmean",
    "residual_spec",
    "save_weights",
    "sce",
    "sequential_spec",
    "set_weights",
    "singular_spectrum",
    "slerp",
    "spec_for",
    "sti",
    "task_arithmetic",
    "task_vector",
    "ties",
    "tsv_merge",
    "weight_signature",
]
