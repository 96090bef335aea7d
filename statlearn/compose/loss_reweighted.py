"""Any estimator, fitted again and again with weights that follow its losses."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.utils import check_consistent_length
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.metaestimators import available_if

from statlearn.compose._meta import RowWeighter
from statlearn.compose._rounds import (
    GroupedRows,
    Weigher,
    group_labels,
    mean_loss,
    unchanged,
)
from statlearn.utils._delegate import estimator_has, takes_weight
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from statlearn.weights import get_rule

Array = NDArray[np.float64]

# Keeps the mean of an empty batch, which the estimator refuses, from dividing by zero.
_TINY = np.finfo(np.float64).tiny


def _in_minibatches(self: Any) -> bool:
    return self.mode == "minibatch" and estimator_has("partial_fit")(self)


class LossReweighted(RowWeighter):
    """Fit any estimator with weights that follow its own losses.

    The estimator is fitted, a rule turns the losses of the training rows into weights,
    and it is fitted again with these. Rules that damp large losses or residuals guard
    against dirty rows, rules that raise them guard the worst rows or groups. For linear
    regression, :class:`~statlearn.linear_model.ReweightedLinearRegression` is faster
    and has standard errors.

    Parameters
    ----------
    estimator : estimator
        A regressor or classifier whose ``fit`` takes ``sample_weight``, or, for
        minibatches, whose ``partial_fit`` does. A pipeline takes weights at its last
        step.
    weighting : str, WeightingRule or callable, default="linupper"
        A rule, see :func:`~statlearn.weights.get_rule`. Rules on residuals, such as
        "huber", are for regressors. Rules on groups look at `groups`, or at the
        labels of a classifier that is given none.
    loss : "auto" or callable, default="auto"
        ``loss(y_true, y_pred)`` with one number for each row; a classifier's
        ``y_pred`` are its probabilities, columns as in `classes_`. "auto" is half the
        squared error for regressors. For classifiers it is the first of these that the
        estimator allows: log loss, hinge loss of the decision function, 0 or 1.
    max_iter : int, default=20
        Rounds, the warm-up included; epochs with minibatches.
    warmup_iter : int, default=1
        First rounds with base weights only. Refits with equal weights give the same
        model, so it is fitted once for all of these rounds, and at least once.
    mode : {"refit", "minibatch"}, default="refit"
        Fit clones to all rows, or train one clone by ``partial_fit`` on shuffled
        batches, each weighted by its current losses.
    batch_size : int, default=256
        Largest number of rows in a batch.
    random_state : int, Generator, RandomState or None, default=None
        Order of the rows in minibatches. The estimator has its own.

    Attributes
    ----------
    estimator_ : estimator
        The last fitted clone.
    weights_ : ndarray of shape (n_samples,)
        Weights of its fit, base weights included; with minibatches, those that each
        row had last.
    n_iter_ : int
        Rounds, or epochs; calls of ``partial_fit``.
    converged_ : bool
        Whether weights stopped changing: no weight moved by more than 1e-8 of the
        largest, and the rule waits for no later step. Always False with minibatches.
    loss_path_ : ndarray of shape (n_iter_,)
        Mean loss of the training rows after each round, under the base weights; with
        minibatches, of each batch before its step.
    classes_ : ndarray of shape (n_classes,)
        Classes of a classifier.
    n_features_in_ : int
        Number of features, if the estimator knows it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if the estimator knows them.

    See Also
    --------
    CovariateShift : Weights for a target sample that differs from the training rows.
    statlearn.linear_model.ReweightedLinearRegression : Made for linear regression.
    sklearn.ensemble.AdaBoostClassifier : Keeps all models of such a sequence.

    Notes
    -----
    The base weights `sample_weight` are counts of rows: a rule multiplies its weights
    onto them, and their total stays. Weights from losses are averaged with those before
    in each round, since the two can chase each other for ever; weights from residuals
    are not, which is iteratively reweighted least squares if the estimator is a least
    squares fit. Residuals are divided by their median absolute value, times 1.4826.
    `max_iter` is a budget: that weights still move after it is no failure, and no
    warning is given.

    In minibatches weights have mean one in each batch, so that base weights act within
    batches only; rows without base weight are left out. A rule's ``step`` counts from 0
    at the end of the warm-up: rounds, or batches. A fixed order of classes, losses of
    single rows and a prediction for them are all that is asked of the estimator; `X`
    reaches it as it is. A round costs a fit and a prediction.

    With metadata routing, request `sample_weight` and `groups` by ``set_fit_request``
    here; the estimator inside gets weights whether or not it requests them.

    References
    ----------
    Daouda Sow, Herbert Woisetschläger, Saikiran Bulusu, Shiqiang Wang,
    Hans-Arno Jacobsen, Yingbin Liang. Dynamic Loss-Based Sample Reweighting for
    Improved Large Language Model Pretraining. ICLR, 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from statlearn.compose import LossReweighted
    >>> X = np.arange(10.0)[:, None]
    >>> y = 2.0 * X[:, 0] + 1.0
    >>> y[9] = 60.0
    >>> model = LossReweighted(Ridge(1e-3), weighting="bisquare").fit(X, y)
    >>> model.predict([[5.0]]).round(1)
    array([11.])
    >>> model.weights_.round(1)[-1]
    np.float64(0.0)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "weighting": [str, callable],
        "loss": [StrOptions({"auto"}), callable],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warmup_iter": [Interval(Integral, 0, None, closed="left")],
        "mode": [StrOptions({"refit", "minibatch"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        estimator,
        weighting="linupper",
        *,
        loss="auto",
        max_iter=20,
        warmup_iter=1,
        mode="refit",
        batch_size=256,
        random_state=None,
    ):
        self.estimator = estimator
        self.weighting = weighting
        self.loss = loss
        self.max_iter = max_iter
        self.warmup_iter = warmup_iter
        self.mode = mode
        self.batch_size = batch_size
        self.random_state = random_state

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what this estimator and the one inside ask of metadata.

        Returns
        -------
        routing : MetadataRouter
            Requests of `fit`; those of the estimator inside are handed on to it, but
            not in minibatches.
        """
        if self.mode == "minibatch":
            return MetadataRouter(owner=self).add_self_request(self)
        return super().get_metadata_routing()

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
        **fit_params: Any,
    ) -> LossReweighted:
        """Fit the estimator, weigh the rows, and repeat.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, handed on as they are.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative base weights of the rows, taken by position.
        groups : array-like of shape (n_samples,), default=None
            Labels for rules that look at groups.
        **fit_params : dict
            Further metadata for the ``fit`` of the estimator; none with minibatches.

        Returns
        -------
        self : LossReweighted
            The fitted estimator.

        Raises
        ------
        TypeError
            If the estimator takes no weights.
        ValueError
            For bad weights, losses that are not finite, a rule on residuals for a
            classifier, or a rule on groups for a regressor without groups.
        """
        weigher = self._weigher()
        if self.mode == "minibatch":
            self._check_minibatch(fit_params)
            keyword, params = "sample_weight", {}
        else:
            keyword, params = self._weight_keyword(), self._inner_params(fit_params)
        rows = self._read(X, y, sample_weight, groups)
        weigher.check(rows)
        ctx = self._init_callback_context(max_subtasks=self.max_iter)
        self._begin_task(ctx, X, y)
        if self.mode == "minibatch":
            self._train(rows, weigher, ctx)
        else:
            self._refit(rows, weigher, keyword, params, ctx)
        self._end_task(ctx, X, y, lambda: self._state_of(self.estimator_))
        return self

    @available_if(_in_minibatches)
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
    ) -> LossReweighted:
        """Take one step on one batch, weighted by its current losses.

        The first batch has base weights, since there are no losses yet. The warm-up is
        that of the rule.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of the batch.
        y : array-like of shape (n_samples,)
            Their targets.
        classes : array-like of shape (n_classes,), default=None
            All classes that a classifier will see; needed at the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative base weights; weights have mean one in the batch.
        groups : array-like of shape (n_samples,), default=None
            Labels for rules that look at groups.

        Returns
        -------
        self : LossReweighted
            The estimator after the step.
        """
        weigher = self._weigher()
        self._check_minibatch({})
        rows = self._read(X, y, sample_weight, groups)
        weigher.check(rows)
        known = {} if classes is None else {"classes": classes}
        if not hasattr(self, "estimator_"):
            estimator, weight, self._updates = clone(self.estimator), rows.weight(), 0
        else:
            estimator = self.estimator_
            seen = weigher.look(estimator, rows)
            weight = weigher.weigh(seen, rows, self._updates)
            self._updates += 1
        weight = weight / weight.mean()
        estimator.partial_fit(X, rows.labels, sample_weight=weight, **known)
        self._adopt(estimator)
        self.weights_, self.n_iter_ = weight, getattr(self, "n_iter_", 0) + 1
        self.converged_ = False
        return self

    # -- parts of both modes ----------------------------------------------------

    def _weigher(self) -> Weigher:
        return Weigher(
            get_rule(self.weighting),
            self.loss,
            is_classifier(self.estimator),
            type(self).__name__,
        )

    def _read(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> GroupedRows:
        labels, y = self._read_target(y)
        base = self._read_base(sample_weight, labels)
        if groups is not None:
            check_consistent_length(labels, groups)
            groups = group_labels(groups, type(self).__name__)
        return GroupedRows(X, y, labels, base, groups)

    # -- refits -----------------------------------------------------------------

    def _refit(
        self, rows: GroupedRows, weigher: Weigher, keyword: str, params: dict, ctx: Any
    ) -> None:
        """Run the rounds and store the last."""
        weight, given, moved = rows.weight(), rows.base, True
        first = max(self.warmup_iter, 1)
        last, stop, converged, path = self.max_iter - first, False, False, []
        for number in range(1, self.max_iter + 1):
            if moved:  # else the fit would give the same model again
                task = ctx.subcontext(task_name="round")
                fitted_to = rows.X, rows.y, given
                estimator = self._fit_inner(*fitted_to, keyword, params, task)
                seen = weigher.look(estimator, rows)
                stop = self._end(task, rows, estimator)
            path.append(mean_loss(seen, rows.base))
            moved, step = False, number - first
            if step >= 0:
                new = weigher.weigh(seen, rows, step)
                if weigher.damped:
                    new = 0.5 * (weight + new)
                moved = not unchanged(new, weight)
                converged = not moved and weigher.settled(seen, rows, step, last)
            if stop or converged or number == self.max_iter:
                break
            if moved:
                weight = given = new
        self._adopt(estimator)
        self._updates = 0  # batches that may follow begin anew
        self.weights_ = weight.copy()
        self.n_iter_, self.converged_ = number, converged
        self.loss_path_ = np.array(path)

    def _end(self, task: Any, rows: GroupedRows, estimator: Any) -> bool:
        """End a task of the callbacks; return whether they ask to stop."""
        return self._end_task(task, rows.X, rows.y, lambda: self._state_of(estimator))

    # -- minibatches ------------------------------------------------------------

    def _check_minibatch(self, fit_params: dict[str, Any]) -> None:
        if not takes_weight(self.estimator, "partial_fit"):
            raise TypeError(
                f"The 'estimator' of {type(self).__name__} must accept sample_weight "
                f"in partial_fit for mode='minibatch'. Got "
                f"{type(self.estimator).__name__}, which does not; choose an estimator "
                f"that does, or mode='refit'."
            )
        self._refuse_metadata(fit_params, "groups in mode='minibatch'", "mode='refit'")

    def _train(self, rows: GroupedRows, weigher: Weigher, ctx: Any) -> None:
        """Run the epochs and store the trained clone."""
        rows, known = self._for_batches(rows)
        weights = np.zeros(len(rows.labels))
        counted = np.flatnonzero(rows.weight())
        n_batches = max(1, -(-len(counted) // self.batch_size))
        generator = as_generator(self.random_state)
        estimator, path, updates, fresh = clone(self.estimator), [], 0, True
        for epoch in range(self.max_iter):
            task = ctx.subcontext(task_name="epoch")
            self._begin_task(task, rows.X, rows.y)
            total = mass = 0.0
            for which in np.array_split(generator.permutation(counted), n_batches):
                batch = rows.take(which)
                weight = batch.weight()
                if not fresh:
                    seen = weigher.look(estimator, batch)
                    total += float(weight @ seen.losses)
                    mass += float(weight.sum())
                    if epoch >= self.warmup_iter:
                        weight = weigher.weigh(seen, batch, updates)
                        updates += 1
                weights[which] = weight * (len(weight) / max(weight.sum(), _TINY))
                estimator.partial_fit(
                    batch.X, batch.labels, sample_weight=weights[which], **known
                )
                known, fresh = {}, False
            path.append(total / mass if mass else np.nan)
            if self._end(task, rows, estimator):
                break
        self._adopt(estimator)
        self._updates = updates
        self.weights_, self.n_iter_, self.converged_ = weights, epoch + 1, False
        self.loss_path_ = np.array(path)
