"""Models as weights: merge them, patch them, match them up to a permutation.

State dicts, fitted scikit-learn models and torch modules go in, and the same kind
comes out; nothing here imports torch. :func:`merge_weights` combines several tuned
copies of one base model, :func:`weight_signature` extracts robustness as a patch, and
:func:`match_weights` lines the units of two networks up.
"""

from __future__ import annotations

from statlearn.merging._activation_matching import match_activations
from statlearn.merging._alignment import alignment, singular_spectrum
from statlearn.merging._arithmetic import average, task_arithmetic
from statlearn.merging._barrier import (
    BarrierCurve,
    interpolate,
    loss_barrier,
)
from statlearn.merging._breadcrumbs import breadcrumbs
from statlearn.merging._centres import karcher, model_stock
from statlearn.merging._corruptions import corrupt
from statlearn.merging._data_driven import fisher_merge, regmean
from statlearn.merging._evidence import fisher_information, layer_grams
from statlearn.merging._geometry import nuslerp, slerp
from statlearn.merging._many import MatchManyResult, match_many
from statlearn.merging._masks import consensus, pcb
from statlearn.merging._matching import MatchResult, match_weights
from statlearn.merging._merge_weights import merge_weights
from statlearn.merging._methods import MERGE_METHODS, MergeMethod, list_merge_methods
from statlearn.merging._permute import (
    apply_permutation,
    compose_permutations,
    invert_permutations,
)
from statlearn.merging._plot import BarrierDisplay, SingularAlignmentDisplay
from statlearn.merging._random_drop import dare, della
from statlearn.merging._robust_spectral import r_tsv_merge
from statlearn.merging._sce import sce
from statlearn.merging._spec_builders import (
    residual_spec,
    sequential_spec,
    spec_for,
)
from statlearn.merging._spec_check import check_function_preserved
from statlearn.merging._spectral import iso_merge, sti, tsv_merge
from statlearn.merging._storage import (
    StoredWeights,
    merge_files,
    open_weights,
    save_weights,
)
from statlearn.merging._task_vector import TaskVector, cosine_matrix, task_vector
from statlearn.merging._task_vector_plot import TaskVectorDisplay
from statlearn.merging._ties import ties
from statlearn.merging._views import get_weights, set_weights
from statlearn.merging._weight_signature import (
    WeightSignature,
    apply_signature,
    patched,
    weight_signature,
)
from statlearn.merging.model_merger import ModelMerger
from statlearn.merging.permutation_averaging import MatchedAveraging
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
