"""Any estimator, fitted to domains of very different size."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.metadata_routing import MetadataRouter

from statlearn.compose._domains import WeightedDomains, read_domains
from statlearn.compose._meta import RowWeighter
from statlearn.compose._rounds import GroupedRows
from statlearn.exceptions import StatlearnWarning
from statlearn.sampling import DomainBatchSampler
from statlearn.schedules import StepCooldown
from statlearn.utils._delegate import takes_weight
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    fit_context,
)
from statlearn.utils._warn import warn
from statlearn.weights import temperature_weights

Array = NDArray[np.float64]

# Passes over the rows that the default number of steps adds up to.
_N_PASSES = 5


class DomainBalanced(RowWeighter):
    r"""Fit any estimator to domains of very different size.

    Where a few domains (languages, shops, sensors) have most of the rows, a plain fit
    neglects the others. This one draws small domains more often at first and by size
    later, or weights their rows. Domains are about where rows come from, not about
    classes: for these, see ``class_weight`` of scikit-learn.

    Parameters
    ----------
    estimator : estimator
        A regressor or classifier: with ``partial_fit`` to draw batches, with
        ``sample_weight`` in ``fit`` to weight rows.
    tau : float, default=5.0
        Temperature above 0, of the first steps or of the weights: 1 follows the sizes,
        infinity treats all domains alike; below 1 large domains gain.
    tau_end : float, default=1.0
        Temperature from the switch on. Weighting under "scalarization" has no end and
        ignores it.
    switch : int or float, default=0.5
        First step, or share of the steps, at `tau_end`.
    strategy : {"sampling", "scalarization"}, default="sampling"
        Train one clone by ``partial_fit`` on batches of a
        :class:`~statlearn.sampling.DomainBatchSampler`, or fit it once with weights
        at `tau`. An estimator without ``partial_fit`` is fitted with weights at
        `tau_end` under "sampling"; they are equal for the default of 1, and a warning
        says so.
    n_steps : int, default=None
        Batches to train on. By default as many as five passes over the rows take.
    batch_size : int, default=256
        Rows of a batch; all rows if there are fewer.
    random_state : int, Generator, RandomState or None, default=None
        Which rows are drawn. The estimator has its own.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone.
    domains_ : list of length K
        Names of the domains with weight, in ascending order where they can be sorted.
    counts_ : ndarray of shape (K,)
        Rows drawn of each domain. Only if batches were drawn.
    n_steps_ : int
        Batches drawn; fewer than planned if a callback stopped the training. Only if
        batches were drawn.
    weights_ : ndarray of shape (n_samples,)
        Weights of the fit, base weights included. Only if rows were weighted.
    classes_ : ndarray of shape (n_classes,)
        Classes of a classifier.
    n_features_in_ : int
        Number of features, if the estimator knows it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if the estimator knows them.

    See Also
    --------
    LossReweighted : Weights that follow losses, for domains unknown or too many.
    statlearn.sampling.DomainBatchSampler : The batches alone, for any training loop.
    statlearn.weights.Temperature : The weights alone.
    sklearn.utils.class_weight.compute_sample_weight : Weights of classes.

    Notes
    -----
    A domain of :math:`n_i` out of N rows has the probability
    :math:`p_i \propto n_i^{1/\tau}` in a batch, or its rows have the weight
    :math:`(N / n_i)\, p_i`. Both have the same expected gradient; that of weighted rows
    varies more as a rule, see :func:`~statlearn.sampling.gradient_variance_ratio`, so
    draw batches for stochastic gradients and weight rows for solvers that see all of
    them at once.

    Cooling suits models with room for all domains, which keep what they have learnt of
    small ones. One that cannot fit them all at once, such as a linear model for domains
    with different slopes, ends near the fit in proportion to sizes: give it a `tau_end`
    above 1.

    The number of rows that a batch takes of a domain is its share, rounded up or down
    at random; rows of a domain come in random order, all of them before any comes
    again. Rows that are never drawn are not looked at.

    The base weights `sample_weight` are counts of rows: a domain is as large as their
    sum. In batches they are divided by their mean in the domain, and rows without
    weight are left out. Without `domains` all rows are one domain, so that
    "scalarization" is a plain fit and "sampling" training on shuffled batches; a
    warning says so. With metadata routing, request both by
    ``set_fit_request(domains=True, sample_weight=True)``. Cross-validation cuts them
    into folds along with the rows, where repeating rows beforehand would leak them.

    References
    ----------
    Tianjian Li, Haoran Xu, Weiting Tan, Kenton Murray, Daniel Khashabi. Upsample or
    Upweight? Balanced Training on Heavily Imbalanced Datasets. NAACL, 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression, SGDRegressor
    >>> from statlearn.compose import DomainBalanced
    >>> shop = np.repeat(["large", "small"], [960, 40])
    >>> X = np.random.default_rng(0).normal(size=(1000, 1))
    >>> y = np.where(shop == "large", 1.0, 3.0) + X[:, 0]
    >>> model = DomainBalanced(SGDRegressor(random_state=0), random_state=0)
    >>> model.fit(X, y, domains=shop).domains_
    ['large', 'small']
    >>> model.counts_.sum(), model.n_steps_
    (np.int64(5120), 20)
    >>> weighted = DomainBalanced(LinearRegression(), strategy="scalarization")
    >>> weighted.fit(X, y, domains=shop).weights_[[0, -1]].round(2)
    array([0.68, 8.66])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "tau": [Interval(Real, 0, None, closed="right")],
        "tau_end": [Interval(Real, 0, None, closed="right")],
        "switch": [
            Interval(RealNotInt, 0, 1, closed="both"),
            Interval(Integral, 0, None, closed="left"),
        ],
        "strategy": [StrOptions({"sampling", "scalarization"})],
        "n_steps": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        estimator,
        *,
        tau=5.0,
        tau_end=1.0,
        switch=0.5,
        strategy="sampling",
        n_steps=None,
        batch_size=256,
        random_state=None,
    ):
        self.estimator = estimator
        self.tau = tau
        self.tau_end = tau_end
        self.switch = switch
        self.strategy = strategy
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.random_state = random_state

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what this estimator and the one inside ask of metadata.

        Returns
        -------
        routing : MetadataRouter
            Requests of `fit`; those of the estimator inside are handed on to it, but
            not in batches.
        """
        if self._in_batches():
            return MetadataRouter(owner=self).add_self_request(self)
        return super().get_metadata_routing()

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        domains: Any = None,
        **fit_params: Any,
    ) -> DomainBalanced:
        """Draw batches of rows by their domain, or weight rows by it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, handed on as they are.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative base weights of the rows, taken by position.
        domains : array-like of shape (n_samples,), default=None
            The domain of each row: labels of any type. Without them all rows are one
            domain.
        **fit_params : dict
            Further metadata for the ``fit`` of the estimator; none with batches.

        Returns
        -------
        self : DomainBalanced
            The fitted estimator.

        Raises
        ------
        TypeError
            If the estimator takes no weights where it has to.
        ValueError
            For bad weights, or domains that are missing or of another number than rows.
        """
        in_batches = self._in_batches()
        if in_batches:
            self._check_batches(sample_weight, fit_params)
            keyword, params = "sample_weight", {}
        else:
            keyword, params = self._weight_keyword(), self._inner_params(fit_params)
        labels, y = self._read_target(y)
        base = self._read_base(sample_weight, labels)
        rows = GroupedRows(X, y, labels, base, None)
        codes, found = read_domains(domains, rows.weight(), type(self).__name__)
        for name in ("weights_", "counts_", "n_steps_"):
            self.__dict__.pop(name, None)
        if in_batches:
            self._train(rows, found)
        else:
            self._weigh(rows, codes, found, keyword, params)
        self.domains_ = found.names
        return self

    def _in_batches(self) -> bool:
        return self.strategy == "sampling" and hasattr(self.estimator, "partial_fit")

    # -- weights ----------------------------------------------------------------

    def _weigh(
        self,
        rows: GroupedRows,
        codes: NDArray[np.intp] | None,
        found: WeightedDomains,
        keyword: str,
        params: dict[str, Any],
    ) -> None:
        """Fit once, with weights of the domains."""
        tau = self.tau
        if self.strategy == "sampling":
            tau = self.tau_end
            self._warn_of_no_effect(len(found.names))
        given = rows.base
        if codes is not None:
            given = temperature_weights(codes, tau, base_weight=rows.base)
        ctx = self._init_callback_context(max_subtasks=1)
        self._begin_task(ctx, rows.X, rows.y)
        task = ctx.subcontext(task_name="weighted-fit")
        self._adopt(self._fit_inner(rows.X, rows.y, given, keyword, params, task))
        self.weights_ = rows.weight().copy() if given is None else given
        learnt = {"weights_": self.weights_, "domains_": found.names}
        state = self._state_of(self.estimator_) | learnt
        for each in (task, ctx):
            self._end_task(each, rows.X, rows.y, lambda: state)

    def _warn_of_no_effect(self, n_domains: int) -> None:
        if self.tau_end == 1.0 and n_domains > 1:
            warn(
                f"{type(self).__name__} expected an estimator with partial_fit for "
                f"strategy='sampling'. Got {type(self.estimator).__name__}, which is "
                f"fitted with weights at tau_end=1, and these follow the sizes as if "
                f"there were no domains; pass strategy='scalarization' for weights at "
                f"tau={self.tau:g}, or a higher tau_end.",
                StatlearnWarning,
            )

    # -- batches ----------------------------------------------------------------

    def _check_batches(self, sample_weight: Any, fit_params: dict[str, Any]) -> None:
        caller, name = type(self).__name__, type(self.estimator).__name__
        weighted = takes_weight(self.estimator, "partial_fit")
        if sample_weight is not None and not weighted:
            raise TypeError(
                f"The 'sample_weight' of {caller} must be None for an estimator whose "
                f"partial_fit takes none. Got weights for {name}; drop them, choose "
                f"another estimator, or strategy='scalarization'."
            )
        self._refuse_metadata(
            fit_params, "domains where it draws batches", "strategy='scalarization'"
        )

    def _sampler(self, found: WeightedDomains) -> DomainBatchSampler:
        n_rows = len(found.order)
        if not n_rows:
            raise ValueError(
                f"The 'X' of {type(self).__name__} must hold one row or more. Got "
                f"none; pass the rows to learn from."
            )
        batch_size = min(self.batch_size, n_rows)
        n_steps = self.n_steps or -(-_N_PASSES * n_rows // batch_size)
        cooldown = StepCooldown(self.tau, self.tau_end, self.switch).over(n_steps)
        return DomainBatchSampler(
            found.sizes.tolist(),
            batch_size=batch_size,
            n_steps=n_steps,
            schedule=found.law(cooldown),
            mode="shuffle",
            stratified=True,
            seed=int(as_generator(self.random_state).integers(2**63)),
        )

    def _train(self, rows: GroupedRows, found: WeightedDomains) -> None:
        """Take a step on each batch, and store the trained clone."""
        base = None if rows.base is None else found.even(rows.base)
        rows, known = self._for_batches(replace(rows, base=base))
        sampler, names = self._sampler(found), found.names
        n_steps, steps_of_pass = len(sampler), -(-len(found.order) // self.batch_size)
        ctx = self._init_callback_context(max_subtasks=-(-n_steps // steps_of_pass))
        self._begin_task(ctx, rows.X, rows.y)
        estimator, batches = clone(self.estimator), iter(sampler)

        def state() -> dict[str, Any]:
            """Return what is learnt so far; training goes on with the original."""
            drawn = {"counts_": sampler.counts_, "n_steps_": sampler.step_}
            return self._state_of(deepcopy(estimator)) | drawn | {"domains_": names}

        for start in range(0, n_steps, steps_of_pass):
            task = ctx.subcontext(task_name="pass")
            self._begin_task(task, rows.X, rows.y)
            for _ in range(min(steps_of_pass, n_steps - start)):
                batch = rows.take(found.order[next(batches)])
                weight = {} if base is None else {"sample_weight": batch.base}
                estimator.partial_fit(batch.X, batch.labels, **weight, **known)
                known = {}
            if self._end_task(task, rows.X, rows.y, state):
                break
        self._adopt(estimator)
        self.counts_, self.n_steps_ = sampler.counts_, sampler.step_
        self._end_task(ctx, rows.X, rows.y, state)
