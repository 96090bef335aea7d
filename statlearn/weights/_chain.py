"""Rules joined one after another, and the links that reshape weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

from sklearn.base import clone

from statlearn.utils._rules import kind_of
from statlearn.weights._base import Evidence, WeightingRule
from statlearn.weights._registry import get_rule
from statlearn.weights._vector import clip_ratio, temper


class Chain(WeightingRule):
    """Apply rules one after another.

    A rule multiplies its weights onto those before it: they are its base weights. A
    link that reshapes weights, such as :class:`ClipRatio`, acts on what all rules
    before it have made of the base weights.

    Parameters
    ----------
    *rules : str, WeightingRule or callable
        At least one, as :func:`get_rule` takes them. For grid search a rule goes by its
        class name in lower case, as in ``linupper__temperature``; a second one of the
        same class by ``linupper2``.

    Attributes
    ----------
    evidence_kind : {"loss", "residual", "group", "weight"}
        What the rules look at; rules on groups may join those on losses, and take
        their labels from ``groups``.

    See Also
    --------
    ClipRatio : Bound the ratio of weights.
    Temper : Flatten or sharpen weights.
    sklearn.pipeline.make_pipeline : The same for transformers of features.

    References
    ----------
    Daouda Sow, Herbert Woisetschläger, Saikiran Bulusu, Shiqiang Wang,
    Hans-Arno Jacobsen, Yingbin Liang. Dynamic Loss-Based Sample Reweighting for
    Improved Large Language Model Pretraining. ICLR, 2025.

    Examples
    --------
    >>> from statlearn.weights import Chain, ClipRatio, InverseFrequency, KLTilt
    >>> rule = Chain(InverseFrequency(), KLTilt(temperature=2.0), ClipRatio(2.0))
    >>> rule([0.1, 0.3, 2.0, 0.2], groups=["a", "a", "a", "b"]).round(3)
    array([0.655, 0.724, 1.31 , 1.31 ])
    """

    def __init__(self, *rules: Any) -> None:
        if not rules:
            raise ValueError(
                "The 'rules' of Chain must be at least one rule. Got none; pass one, "
                "as in Chain(LinUpper(), ClipRatio(10))."
            )
        self.rules = _joined(rules)

    @property
    def evidence_kind(self) -> Evidence:  # type: ignore[override]
        """What the rules look at."""
        kinds = {kind_of(rule) for rule in self.rules}
        order: tuple[Evidence, ...] = ("loss", "residual", "group", "weight")
        return next(kind for kind in order if kind in kinds)

    def settled(self, step: int, evidence: Any = None) -> bool:
        """Tell whether all rules weigh the same evidence alike from a step on.

        Parameters
        ----------
        step : int
            Where training is.
        evidence : array-like of shape (n,), default=None
            What the rules look at, of the rows that count.

        Returns
        -------
        settled : bool
            Whether every rule says so; a plain function says nothing.
        """
        return all(
            hasattr(rule, "settled") and rule.settled(step, evidence)
            for rule in self.rules
        )

    def _weights(self, evidence: Any, groups: Any, base_weight: Any, step: Any) -> Any:
        weights = base_weight
        if groups is None and self.evidence_kind != "group":
            self._refuse_group_rules()
        for position, rule in enumerate(self.rules):
            if kind_of(rule) == "weight":
                # As the first of its chain, a link acts on weights that are given.
                given = evidence if position == 0 else weights
                weights = rule(given, base_weight=base_weight, step=step)
            else:
                weights = rule(evidence, groups=groups, base_weight=weights, step=step)
        return weights

    def _refuse_group_rules(self) -> None:
        """Raise for a rule on groups that would take losses for labels."""
        for rule in self.rules:
            if kind_of(rule) == "group":
                raise ValueError(
                    f"The 'groups' of Chain must be given for {rule!r} beside a rule "
                    f"on a {self.evidence_kind}. Got None; pass one label for each "
                    "row, or the weights of the groups as base_weight."
                )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the rules and, if asked, each by its name with its parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the rules by name, and their parameters as
            ``name__parameter``.

        Returns
        -------
        params : dict
            From names to values.
        """
        params: dict[str, Any] = {"rules": self.rules}
        if deep:
            named = _named(self.rules)
            params |= named
            for name, rule in named.items():
                own = rule.get_params() if hasattr(rule, "get_params") else {}
                params |= {f"{name}__{key}": value for key, value in own.items()}
        return params

    def set_params(self, **params: Any) -> Chain:
        """Replace rules, or set parameters of theirs.

        Parameters
        ----------
        **params : object
            Names as in `get_params`; a rule may be a name of :func:`get_rule` too.

        Returns
        -------
        self : Chain
            This chain.
        """
        rules = _joined(params.pop("rules", self.rules))
        named = _named(rules)
        # Whole rules first: parameters are meant for the rules that will be there.
        for key, value in sorted(params.items(), key=lambda item: "__" in item[0]):
            name, _, parameter = key.partition("__")
            if name not in named:
                raise ValueError(
                    f"A parameter of Chain must start with one of {sorted(named)}. Got "
                    f"{key!r}; write it as in 'linupper__temperature'."
                )
            if parameter:
                named[name].set_params(**{parameter: value})
            else:
                named[name] = get_rule(value)
        self.rules = _joined(named.values())
        return self

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        return f"Chain({', '.join(map(repr, self.rules))})"[:N_CHAR_MAX]

    def __sklearn_clone__(self) -> Chain:
        return type(self)(*(clone(rule, safe=False) for rule in self.rules))


def _joined(rules: Iterable[Any]) -> tuple[Any, ...]:
    """Return the rules of a chain, or say why they are none."""
    found = tuple(map(get_rule, rules))
    if {"loss", "residual"} <= {kind_of(rule) for rule in found}:
        raise ValueError(
            "The 'rules' of Chain must look at one kind of evidence. Got rules on "
            "losses and rules on residuals; keep one of the kinds."
        )
    return found


def _named(rules: Iterable[Any]) -> dict[str, Any]:
    """Return rules by the names that parameters know them by."""
    seen: Counter[str] = Counter()
    named = {}
    for rule in rules:
        name = type(rule).__name__.lower()
        seen[name] += 1
        named[f"{name}{seen[name]}" if seen[name] > 1 else name] = rule
    return named


class ClipRatio(WeightingRule):
    """Bound the ratio of the largest to the smallest positive weight, in a chain.

    Parameters
    ----------
    max_ratio : float, default=10.0
        At least 1.

    See Also
    --------
    clip_ratio : The function on arrays.
    Chain : Where it is used.

    References
    ----------
    Edward L. Ionides. Truncated Importance Sampling. Journal of Computational and
    Graphical Statistics, 2008.

    Examples
    --------
    >>> from statlearn.weights import Chain, ClipRatio, KLTilt
    >>> weights = Chain(KLTilt(), ClipRatio(2.0))([0.0, 1.0, 5.0])
    >>> bool(weights.max() <= 2.0 * weights.min())
    True
    """

    evidence_kind: ClassVar[Evidence] = "weight"

    def __init__(self, max_ratio: float = 10.0) -> None:
        self.max_ratio = max_ratio

    def _weights(self, evidence: Any, groups: Any, base_weight: Any, step: Any) -> Any:
        return clip_ratio(evidence, self.max_ratio, base_weight=base_weight)


class Temper(WeightingRule):
    """Flatten or sharpen the weights of a chain by a power.

    Parameters
    ----------
    temperature : float, default=2.0
        1 changes nothing, infinity makes all positive weights equal, values below 1
        sharpen.

    See Also
    --------
    temper : The function on arrays.
    Chain : Where it is used.

    References
    ----------
    Edward L. Ionides. Truncated Importance Sampling. Journal of Computational and
    Graphical Statistics, 2008.

    Examples
    --------
    >>> from statlearn.weights import Chain, InverseFrequency, Temper
    >>> Chain(InverseFrequency(), Temper(2.0))(["a", "a", "a", "a", "b"]).round(3)
    array([0.833, 0.833, 0.833, 0.833, 1.667])
    """

    evidence_kind: ClassVar[Evidence] = "weight"

    def __init__(self, temperature: float = 2.0) -> None:
        self.temperature = temperature

    def _weights(self, evidence: Any, groups: Any, base_weight: Any, step: Any) -> Any:
        return temper(evidence, self.temperature, base_weight=base_weight)
