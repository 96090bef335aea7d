"""The table of merge rules: names, papers, parameters and needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from statlearn.merging._rules._arithmetic import average, task_arithmetic
from statlearn.merging._rules._breadcrumbs import breadcrumbs
from statlearn.merging._rules._consensus import consensus
from statlearn.merging._rules._data_driven import fisher_merge, regmean
from statlearn.merging._rules._karcher import karcher
from statlearn.merging._rules._model_stock import model_stock
from statlearn.merging._rules._pcb import pcb
from statlearn.merging._rules._random_drop import dare, della
from statlearn.merging._rules._robust_spectral import r_tsv_merge
from statlearn.merging._rules._sce import sce
from statlearn.merging._rules._slerp import nuslerp, slerp
from statlearn.merging._rules._spectral import iso_merge, tsv_merge
from statlearn.merging._rules._ties import ties

Rule = Callable[..., dict[str, Any]]


@dataclass(frozen=True, slots=True)
class MergeMethod:
    """A row of the table of merge rules.

    Attributes
    ----------
    name : str
        Name for ``merge_weights(method=...)``.
    function : callable
        The rule, ``function(base, models, **hyper)``.
    paper : str
        Where it was published.
    needs : tuple of str
        What it needs beyond one model: "base", "two models", "grams", "fishers".
    preset : mapping of str to object
        Parameters that the name stands for; they cannot be changed.
    by_array : bool
        Whether each array is merged alone, so that files can be merged in pieces.
    """

    name: str
    function: Rule
    paper: str
    needs: tuple[str, ...] = ("base",)
    preset: Mapping[str, Any] = field(default_factory=dict, hash=False)
    by_array: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "preset", MappingProxyType(dict(self.preset)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A view of a mapping can neither be pickled nor copied.
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values["preset"] = dict(self.preset)
        return type(self), tuple(values.values())

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the rule with their defaults."""
        return {
            name: self.preset.get(name, parameter.default)
            for name, parameter in inspect.signature(self.function).parameters.items()
            if name not in {"base", "models"}
        }


def list_merge_methods() -> list[MergeMethod]:
    """List the merge rules that go by a name.

    Returns
    -------
    list of MergeMethod
        Rows with name, paper, parameters and needs, sorted by name.

    See Also
    --------
    merge_weights : Calls a rule by its name.

    Examples
    --------
    >>> from statlearn.merging import list_merge_methods
    >>> [row.name for row in list_merge_methods() if "grams" in row.needs]
    ['regmean']
    """
    return sorted(MERGE_METHODS.values(), key=lambda row: row.name)


def find_method(method: str | Rule | MergeMethod, caller: str) -> MergeMethod:
    """Return the row of a name, or a row for the caller's own function."""
    if isinstance(method, MergeMethod):
        return method
    if not isinstance(method, str):
        if not callable(method):
            raise TypeError(
                f"The 'method' of {caller} must be the name of a rule or a function "
                f"rule(base, models, **options). Got {method!r}; pass 'r-tsvm'."
            )
        for row in MERGE_METHODS.values():
            if row.function is method and not row.preset:
                return row
        return MergeMethod(getattr(method, "__name__", "rule"), method, "", ())
    key = _key(method)
    for row in MERGE_METHODS.values():
        if key in {_key(row.name), "" if row.preset else _key(row.function.__name__)}:
            return row
    names = sorted(MERGE_METHODS)
    close = get_close_matches(method.lower(), names, n=1, cutoff=0.5)
    advice = f"did you mean {close[0]!r}?" if close else "pass one of them."
    if key in _ELSEWHERE:
        advice = f"pass {_ELSEWHERE[key]}."
    raise ValueError(
        f"The 'method' of {caller} must be one of {', '.join(names)}. Got {method!r}; "
        f"{advice}"
    )


def option_advice(row: MergeMethod, unknown: Sequence[str]) -> str:
    """Say what to do about parameters that a rule does not have.

    Parameters
    ----------
    row : MergeMethod
    unknown : sequence of str
        At least one name.
    """
    for name in unknown:
        for own, advice in _OPTIONS_ELSEWHERE.get(name, {}).items():
            if own in row.parameters:
                return advice
    return "leave them out or choose another rule."


def _key(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", "_- "))


# --- the table ---------------------------------------------------------------

_TIES = (
    "P. Yadav, D. Tam, L. Choshen, C. Raffel, M. Bansal. TIES-Merging. NeurIPS 2023."
)
_DARE = (
    "L. Yu, B. Yu, H. Yu, F. Huang, Y. Li. Language Models are Super Mario. ICML 2024."
)
_DELLA = "P. T. Deep, R. Bhardwaj, S. Poria. DELLA-Merging. arXiv:2406.11617."
_BREADCRUMBS = "M. Davari, E. Belilovsky. Model Breadcrumbs. ECCV 2024."
_CONSENSUS = {"consensus": True}
_PLAIN = {"consensus": False}
_TWO = ("base", "two models")

_ROWS = (
    MergeMethod("average", average, "M. Wortsman et al. Model soups. ICML 2022.", ()),
    MergeMethod(
        "task-arithmetic",
        task_arithmetic,
        "G. Ilharco et al. Editing Models with Task Arithmetic. ICLR 2023.",
    ),
    MergeMethod("ties", ties, _TIES),
    MergeMethod("dare", dare, _DARE, preset=_PLAIN),
    MergeMethod("dare-ties", dare, _DARE, preset=_CONSENSUS),
    MergeMethod("della", della, _DELLA, preset=_CONSENSUS),
    MergeMethod("della-linear", della, _DELLA, preset=_PLAIN),
    MergeMethod("breadcrumbs", breadcrumbs, _BREADCRUMBS, preset=_PLAIN),
    MergeMethod("breadcrumbs-ties", breadcrumbs, _BREADCRUMBS, preset=_CONSENSUS),
    MergeMethod(
        "model-stock",
        model_stock,
        "D.-H. Jang, S. Yun, D. Han. Model Stock. ECCV 2024.",
        _TWO,
    ),
    MergeMethod(
        "slerp",
        slerp,
        "K. Shoemake. Animating rotation with quaternion curves. SIGGRAPH 1985.",
        ("two models",),
    ),
    MergeMethod(
        "nuslerp", nuslerp, "C. Goddard et al. Arcee's MergeKit. EMNLP 2024.", _TWO
    ),
    MergeMethod(
        "karcher",
        karcher,
        "H. Karcher. Riemannian center of mass. CPAM 1977.",
        (),
    ),
    MergeMethod("sce", sce, "F. Wan et al. FuseChat. arXiv:2408.07990."),
    MergeMethod(
        "pcb",
        pcb,
        "G. Du et al. Parameter Competition Balancing. NeurIPS 2024.",
        by_array=False,
    ),
    MergeMethod(
        "consensus",
        consensus,
        "K. Wang et al. Localizing Task Information. ICML 2024.",
    ),
    MergeMethod(
        "fisher",
        fisher_merge,
        "M. Matena, C. Raffel. Merging Models with Fisher-Weighted Averaging. "
        "NeurIPS 2022.",
        ("fishers",),
        by_array=False,
    ),
    MergeMethod(
        "regmean",
        regmean,
        "X. Jin et al. Dataless Knowledge Fusion. ICLR 2023.",
        ("grams",),
        by_array=False,
    ),
    MergeMethod(
        "tsvm",
        tsv_merge,
        "A. A. Gargiulo et al. Task Singular Vectors. CVPR 2025.",
    ),
    MergeMethod(
        "r-tsvm",
        r_tsv_merge,
        "J. Yang et al. Mix Data or Merge Models? arXiv:2502.06876 (reconstruction).",
    ),
    MergeMethod(
        "iso-c",
        iso_merge,
        "D. Marczak et al. No Task Left Behind. ICML 2025.",
    ),
)
# What other programs call the rules, by the key of the name, and how it is called here.
_ELSEWHERE = {
    "linear": "'average' with weights",
    "soup": "'average'",
    "modelsoup": "'average'",
    "modelsoups": "'average'",
    "uniform": "'average'",
    "darelinear": "'dare' with drop, the share of numbers that are dropped",
    "multislerp": "'karcher'",
    "fishermerging": "'fisher'",
}

# What other programs call parameters: for each of ours, what to do about it.
_OPTIONS_ELSEWHERE = {
    "density": {
        "drop": "pass drop=1 - density, the share of numbers that are dropped.",
        "topk": "pass topk.",
    },
    "drop_rate": {"drop": "pass drop."},
    "epsilon": {"eps": "pass eps."},
    "lambda_": {"lam": "pass scale."},
    "select_topk": {"topk": "pass topk."},
    "weight": {"weights": "pass weights, one number a model."},
}

# The rules by their names.
MERGE_METHODS: Mapping[str, MergeMethod] = MappingProxyType(
    {row.name: row for row in _ROWS}
)
