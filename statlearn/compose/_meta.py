"""What estimators that weigh the rows of another one have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import assert_all_finite, column_or_1d, indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.multiclass import check_classification_targets

from statlearn.compose._rounds import GroupedRows
from statlearn.utils._delegate import Delegating, weight_keyword
from statlearn.utils._sklearn import CallbackSupportMixin
from statlearn.utils._validation import read_sample_weight, require_target

Array = NDArray[np.float64]


class RowWeighter(CallbackSupportMixin, MetaEstimatorMixin, Delegating):
    """Base of the estimators that fit another one with weights of their own."""

    # What the fitted estimator may know about its training data.
    _learnt: ClassVar[tuple[str, ...]] = (
        "classes_",
        "n_features_in_",
        "feature_names_in_",
    )

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what this estimator and the one inside ask of metadata.

        Returns
        -------
        routing : MetadataRouter
            Requests of `fit`; those of the estimator inside are handed on to it.
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return router.add(estimator=self.estimator, method_mapping=mapping)

    # -- fitting ----------------------------------------------------------------

    def _read_target(self, y: Any) -> tuple[NDArray[Any], Any]:
        """Return the target as an array (n,), and as the estimator gets it."""
        require_target(y, type(self).__name__)
        labels = column_or_1d(y, warn=True)
        # An ordered categorical must reach the estimator as it is.
        return labels, y if getattr(y, "ndim", 1) == 1 else labels

    def _read_base(self, sample_weight: Any, labels: NDArray[Any]) -> Array | None:
        if sample_weight is None:
            return None
        return read_sample_weight(sample_weight, labels, type(self).__name__)

    def _weight_keyword(self) -> str:
        keyword = weight_keyword(self.estimator)
        if keyword is None:
            raise TypeError(
                f"The 'estimator' of {type(self).__name__} must accept sample_weight "
                f"in fit. Got {type(self.estimator).__name__}, which does not; choose "
                f"an estimator that does, or, if it hands weights on to another one "
                f"and metadata routing is enabled, call "
                f"set_fit_request(sample_weight=True) on the latter."
            )
        return keyword

    def _inner_params(self, fit_params: dict[str, Any]) -> dict[str, Any]:
        """Return the metadata for the ``fit`` of the estimator inside."""
        if not fit_params or not get_config()["enable_metadata_routing"]:
            return fit_params
        params = dict(process_routing(self, "fit", **fit_params)["estimator"]["fit"])
        if "sample_weight" in params:
            raise TypeError(
                f"The weights of {type(self.estimator).__name__} must come from "
                f"{type(self).__name__}. Got sample_weight by an alias; pass them as "
                f"the sample_weight of {type(self).__name__} instead."
            )
        return params

    def _fit_inner(
        self,
        X: Any,
        y: Any,
        weight: Array | None,
        keyword: str,
        params: dict,
        task: Any,
    ) -> Any:
        """Return a fitted clone of the estimator."""
        estimator = clone(self.estimator)
        extra = params if weight is None else {**params, keyword: weight}
        self._begin_task(task, X, y)
        if hasattr(estimator, "set_callbacks"):
            with task.propagate_callback_context(estimator):
                estimator.fit(X, y, **extra)
        else:
            estimator.fit(X, y, **extra)
        return estimator

    def _for_batches(self, rows: GroupedRows) -> tuple[GroupedRows, dict[str, Any]]:
        """Return rows that can be cut, and what the first ``partial_fit`` is told."""
        X = rows.X if hasattr(rows.X, "shape") else np.asarray(rows.X)
        rows = replace(rows, X=indexable(X, rows.labels)[0])
        if not is_classifier(self.estimator):
            return rows, {}
        assert_all_finite(rows.labels, input_name="y")
        check_classification_targets(rows.labels)
        return rows, {"classes": np.unique(rows.labels)}

    def _refuse_metadata(
        self, fit_params: dict[str, Any], only: str, remedy: str
    ) -> None:
        """Raise for metadata of the ``fit`` of an estimator that is not fitted so."""
        if fit_params:
            raise TypeError(
                f"{type(self).__name__} expected no metadata but sample_weight and "
                f"{only}. Got {sorted(fit_params)}; drop them, or use {remedy}."
            )

    def _begin_task(self, task: Any, X: Any, y: Any) -> None:
        """Tell callbacks that a task begins."""
        task.call_on_fit_task_begin(estimator=self, X=X, y=y)

    def _end_task(
        self, task: Any, X: Any, y: Any, state: Callable[[], dict[str, Any]]
    ) -> bool:
        """Tell callbacks that a task ends; return whether they ask to stop.

        `state` gives what this estimator would know if it stopped here.
        """
        return task.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=state
        )

    def _adopt(self, estimator: Any) -> None:
        """Store a fitted estimator and what it has learnt about the data."""
        for name in (*self._learnt, "estimator_"):
            self.__dict__.pop(name, None)
        self.__dict__ |= self._state_of(estimator)

    def _state_of(self, estimator: Any) -> dict[str, Any]:
        learnt = {
            name: getattr(estimator, name)
            for name in self._learnt
            if hasattr(estimator, name)
        }
        return {"estimator_": estimator, **learnt}
