"""One fitted model from several tuned ones, with the scale chosen on data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from statlearn.merging._rules._evidence import fisher_information, layer_grams
from statlearn.merging._rules._merge_weights import merged_for
from statlearn.merging._rules._merger_inputs import (
    AnyModel,
    Tables,
    candidate_scales,
    scorer_of,
    tables_of,
)
from statlearn.merging._rules._methods import MergeMethod, find_method
from statlearn.merging._state._entry import Array
from statlearn.merging._state._fitted_models import get_weights, is_neural, set_weights
from statlearn.merging._state._layouts import State, check_models, listed
from statlearn.merging._state._model_kinds import common_template, listed_models, thawed
from statlearn.merging._task_vectors._task_vector import cosine_matrix, task_vector
from statlearn.utils._delegate import Delegating
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import Interval, StrOptions, fit_context

# What data say about a model, by the parameter of the rule that takes it.
_EVIDENCE: dict[str, Callable[..., dict[str, Array]]] = {
    "grams": layer_grams,
    "fishers": fisher_information,
}
_OF_THE_MODELS = ("classes_", "n_features_in_", "feature_names_in_")
_OF_THE_BASE = ("task_vector_norms_", "cosines_")
_OF_THE_SEARCH = ("scales_", "scores_", "task_scores_")


class ModelMerger(Delegating):
    r"""Merge tuned models of one base into a fitted model.

    :func:`merge_weights` for models that predict: the scale of what is added to the
    base is chosen by a score on validation data, rules that need data get what they
    need, and the result predicts. Use it for models that were tuned from one base in
    small steps. Models of other starts have to be lined up first, see
    :class:`MatchedAveraging`; where the rows of all tasks are at hand, one model fitted
    to all of them is better as a rule.

    Parameters
    ----------
    method : str, MergeMethod or callable, default="r-tsvm"
        A name or row of :func:`list_merge_methods`, or a function ``rule(base, models,
        **options)`` on state dicts.
    scale : float or "auto", default="auto"
        Coefficient on what the rule adds to the base. "auto" searches it if there are a
        base and data with targets, and is 1.0 otherwise.
    scales : sequence of float of length n_scales, default=None
        Candidates of the search; None for 0.1, 0.2, ..., 1.6.
    weights : sequence of float of length n_models, default=None
        Weights of the models, for rules that take them; equal ones for None.
    density : float, default=None
        Share of an update that is kept, for rules that have it; None for the default
        of the rule.
    scoring : str or callable, default=None
        Name of a scorer, or function ``scoring(model, X, y)`` of which more is better.
        None is the ``score`` of the merged estimator. State dicts and torch modules
        need a function.
    options : mapping of str to object, default=None
        Further parameters of the rule, and `include`, `exclude` or `overrides` of
        :func:`merge_weights`.
    random_state : int, Generator, RandomState or None, default=None
        Randomness of rules that drop numbers at random.

    Attributes
    ----------
    merged_ : estimator, torch module or dict
        The merged model, of the kind of the models, or of the base if the models are
        state dicts.
    weights_ : dict of str to array or tensor
        Its weights.
    scale_ : float
        Scale that was used.
    scales_, scores_ : ndarray of shape (n_scales,)
        Candidates and their scores, if there was a search.
    task_scores_ : ndarray of shape (n_scales, n_tasks)
        Scores on each of the tables, if there was a search.
    task_vector_norms_ : ndarray of shape (n_models,)
        Euclidean distances of the models from the base, if there is one.
    cosines_ : ndarray of shape (n_models, n_models)
        Cosines between what tuning added to the base, if there is one.
    classes_ : ndarray of shape (n_classes,)
        Classes, if the models are classifiers.
    n_features_in_ : int
        Columns of the rows, if the models know.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if the models know them.

    See Also
    --------
    merge_weights : The merging alone, for any models.
    MatchedAveraging : For models that were trained apart.
    sklearn.ensemble.VotingClassifier : Averages predictions of all models.

    Notes
    -----
    `fit` takes models where estimators usually take rows, so this one does not go into
    pipelines and searches. To choose between rules, fit one for each and compare their
    :meth:`score` on held-out rows. Adapters such as LoRA are folded into the weights
    first, see :func:`get_weights`.

    All rules are linear in the scale: merged weights are :math:`\theta_0 + \lambda
    \tau`, so the search merges at two scales and moves along the line between them. It
    costs three merges and one score for each scale. Of scales with equal scores the one
    nearest to 1 is taken.

    References
    ----------
    G. Ilharco, M. T. Ribeiro, M. Wortsman, S. Gururangan, L. Schmidt, H. Hajishirzi,
    A. Farhadi. "Editing Models with Task Arithmetic". ICLR 2023.

    J. Yang, D. Jin, A. Tang, L. Shen, D. Zhu, Z. Chen, Z. Zhao, D. Wang, Q. Cui,
    Z. Zhang, J. Zhou, F. Wu, K. Kuang. "Mix Data or Merge Models? Balancing the
    Helpfulness, Honesty, and Harmlessness of Large Language Model via Model Merging".
    arXiv:2502.06876.

    Examples
    --------
    >>> import copy
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neural_network import MLPClassifier
    >>> from statlearn.merging import ModelMerger
    >>> X, y = load_digits(return_X_y=True)
    >>> views = [X / 16, 1 - X / 16]  # digits and their negatives
    >>> base = MLPClassifier((32,), max_iter=200, tol=0.01, random_state=0)
    >>> base = base.fit(views[0][:400], y[:400])
    >>> experts = [copy.deepcopy(base) for _ in views]
    >>> for _ in range(15):
    ...     for expert, rows in zip(experts, views):
    ...         expert = expert.partial_fit(rows[400:1000], y[400:1000])
    >>> held_out = [rows[1000:1400] for rows in views]
    >>> merger = ModelMerger("tsvm").fit(experts, base, held_out, [y[1000:1400]] * 2)
    >>> merger.score(views[1][1400:], y[1400:]) > base.score(views[1][1400:], y[1400:])
    True
    """

    _parameter_constraints: dict = {
        "method": [str, callable, MergeMethod],
        "scale": [Interval(Real, None, None, closed="neither"), StrOptions({"auto"})],
        "scales": ["array-like", None],
        "weights": ["array-like", None],
        "density": [Interval(Real, None, None, closed="neither"), None],
        "scoring": [str, callable, None],
        "options": [Mapping, None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        method="r-tsvm",
        *,
        scale="auto",
        scales=None,
        weights=None,
        density=None,
        scoring=None,
        options=None,
        random_state=None,
    ):
        self.method = method
        self.scale = scale
        self.scales = scales
        self.weights = weights
        self.density = density
        self.scoring = scoring
        self.options = options
        self.random_state = random_state

    @property
    def estimator(self) -> Any:
        """Merged model, which tells what this one can do.

        Returns
        -------
        estimator
            What all models can do before `fit`, when only the models could tell.
        """
        return getattr(self, "merged_", AnyModel)

    @property
    def estimator_(self) -> Any:
        """Merged model, under the name that predictions look for.

        Returns
        -------
        estimator, torch module or dict
            As `merged_`.
        """
        return self.merged_

    def __sklearn_tags__(self) -> Any:
        if isinstance(self.estimator, BaseEstimator):
            return super().__sklearn_tags__()
        return BaseEstimator.__sklearn_tags__(self)

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        models: Sequence[Any],
        base: Any = None,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
    ) -> ModelMerger:
        """Merge models, with the scale that scores best.

        Parameters
        ----------
        models : sequence of estimators, torch modules or mappings
            Fitted models of one kind and architecture, or their state dicts.
        base : estimator, torch module or mapping, default=None
            Model that the tuning started from. Rules such as "average" and "regmean"
            need none; there is no scale then.
        X : array-like of shape (n_samples, n_features), or list of them, default=None
            Rows for the search, and for rules that need data. A list with a table for
            each model, the rows of its task, counts every task the same.
        y : array-like of shape (n_samples,), or list of them, default=None
            Targets of the rows. Not needed where there is no search.
        sample_weight : array-like of shape (n_samples,), or list of them, default=None
            Weights of the rows in the score.

        Returns
        -------
        self : ModelMerger
            With the merged model.

        Raises
        ------
        NotFittedError
            If an estimator is not fitted.
        TypeError
            If models have no weights or are of several kinds, the rule does not know a
            parameter, or models that do not score themselves come without `scoring`.
        ValueError
            If models differ in classes, activations, features, names or shapes, or the
            rule needs a base, data or targets that were not passed.
        """
        row = find_method(self.method, "ModelMerger")
        models = [thawed(model) for model in listed_models(models, "ModelMerger")]
        base = thawed(base)
        template = common_template(models, base)
        origin = self._check_models(row, models, base)
        tables = tables_of(X, y, sample_weight, len(models))
        searches = self.scale == "auto" and base is not None and X is not None
        self._check_data(row, X, y, searches)
        score = scorer_of(template, self.scoring) if searches else None
        merge = partial(
            merged_for,
            "ModelMerger",
            base,
            models,
            self.method,
            weights=self.weights,
            density=self.density,
            **self._options(row, template, models, tables),
        )
        rng = as_generator(self.random_state)
        self._forget()
        if score is None:
            self.scale_ = 1.0 if self.scale == "auto" else float(self.scale)
        else:
            # Copies: all merges drop the same numbers, and the generator moves once.
            low = merge(scale=0.0, random_state=copy.deepcopy(rng))
            high = merge(scale=1.0, random_state=copy.deepcopy(rng))
            self._search(template, low, high, score, tables)
        self.weights_ = merge(scale=self.scale_, random_state=rng)
        self.merged_ = set_weights(template, self.weights_)
        if origin is not None:
            vectors = [task_vector(model, origin) for model in models]
            self.task_vector_norms_ = np.array([vector.norm() for vector in vectors])
            self.cosines_ = cosine_matrix(vectors, origin)
        for name in _OF_THE_MODELS:
            if hasattr(template, name):
                setattr(self, name, getattr(template, name))
        return self

    def _search(
        self,
        template: Any,
        low: State,
        high: State,
        score: Callable[..., float],
        tables: Tables,
    ) -> None:
        """Score the models on the line from scale 0 to scale 1 and beyond."""
        self.scales_ = candidate_scales(self.scales)
        start, direction = set_weights(template, low), task_vector(high, low)
        scores = np.empty((len(self.scales_), len(tables)))
        for row, scale in zip(scores, self.scales_, strict=True):
            moved = direction.apply(start, scale)
            row[:] = [score(moved, **table) for table in tables]
        if not np.isfinite(scores).all():
            bad = self.scales_[~np.isfinite(scores).all(axis=1)]
            raise ValueError(
                "The 'scoring' of ModelMerger must give finite numbers. Got others at "
                f"scales {bad.tolist()}; take them out of 'scales' or use another "
                "score."
            )
        self.task_scores_, self.scores_ = scores, scores.mean(axis=1)
        best = self.scales_[self.scores_ == self.scores_.max()]
        self.scale_ = float(best[np.abs(best - 1.0).argmin()])

    def _forget(self) -> None:
        """Drop what an earlier fit found and this one may not have."""
        for name in _OF_THE_MODELS + _OF_THE_BASE + _OF_THE_SEARCH:
            self.__dict__.pop(name, None)

    # --- checks and what the rule needs --------------------------------------

    def _check_models(
        self, row: MergeMethod, models: list[Any], base: Any
    ) -> State | None:
        """Compare the models, and return the weights of the base."""
        states = [get_weights(model) for model in models]
        if base is not None:
            origin = get_weights(base)
            check_models(origin, states, "ModelMerger")
            return origin
        check_models(states[0], states, "ModelMerger")
        if "base" in row.needs:
            raise ValueError(
                f"ModelMerger with method={row.name!r} merges what tuning added to a "
                "base. Got base=None; pass the model that the tuning started from, or "
                "use method='average'."
            )
        if self.scale not in ("auto", 1.0):
            raise ValueError(
                "The 'scale' of ModelMerger is a coefficient on what is added to a "
                f"base. Got {self.scale!r} and base=None; pass the base, or scale=1.0."
            )
        return None

    def _check_data(self, row: MergeMethod, X: Any, y: Any, searches: bool) -> None:
        """Refuse rows without targets where they are scored, and rules without rows."""
        if y is None and searches:
            raise ValueError(
                "ModelMerger needs targets to search the scale. Got X and y=None; pass "
                "the targets, or a number as 'scale'."
            )
        missing = [need for need in row.needs if need in _EVIDENCE]
        missing = [need for need in missing if need not in (self.options or {})]
        if missing and X is None:
            need = missing[0]
            raise ValueError(
                f"ModelMerger with method={row.name!r} needs data. Got X=None and no "
                f"{need!r} in 'options'; pass rows of each task as X, or what "
                f"{_EVIDENCE[need].__name__}(model, X) returns for each model."
            )

    def _options(
        self, row: MergeMethod, template: Any, models: list[Any], tables: Tables
    ) -> dict[str, Any]:
        """Return the parameters of the rule, with what data say about each model."""
        options = dict(self.options or {})
        own = {"method", "scale", "lam", "weights", "density", "random_state"}
        if doubled := sorted(own & options.keys()):
            raise ValueError(
                "The 'options' of ModelMerger are those that it does not have itself. "
                f"Got {listed(doubled)}; pass them to ModelMerger, 'lam' as 'scale'."
            )
        known = isinstance(template, BaseEstimator)
        if "grams" in row.needs and known and not is_neural(template):
            options.setdefault("layout", "sklearn")
        for need in row.needs:
            if need not in _EVIDENCE or need in options:
                continue
            if not known:
                raise TypeError(
                    f"ModelMerger reads {need!r} from data for scikit-learn models. "
                    f"Got {type(template).__name__}; pass options={{{need!r}: ...}} "
                    "with one mapping of arrays for each model."
                )
            rows = [table["X"] for table in tables]
            rows = rows * len(models) if len(rows) == 1 else rows
            options[need] = [
                _EVIDENCE[need](set_weights(template, get_weights(model)), X)
                for model, X in zip(models, rows, strict=True)
            ]
        return options
