"""
Independent computations for ordinal regression.

Nothing here imports statlearn: probabilities come from the definitions through
``scipy.stats`` distributions, objectives from plain sums, optima from cvxpy with
Clarabel or from SciPy. The formulas are naive on purpose, so they hold only at
moderate linear predictors.

Conventions: classes ``0..K-1``, boundaries ``k = 0..K-2``,
``eta[:, k] = intercept[k] + X @ coef[k]``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy import optimize, stats

# F of each link: the logistic, normal, smallest-extreme-value, largest-extreme-value
# and Cauchy distributions.
DISTRIBUTIONS = {
    "logit": stats.logistic,
    "probit": stats.norm,
    "cloglog": stats.gumbel_l,
    "loglog": stats.gumbel_r,
    "cauchit": stats.cauchy,
}
LINKS = tuple(DISTRIBUTIONS)
FAMILIES = ("cumulative", "sratio", "cratio", "acat")
# Links of each family for which the negative log-likelihood is convex.
CONVEX = tuple(
    (family, link)
    for family in FAMILIES
    for link in LINKS
    if link != "cauchit" and (family != "acat" or link == "logit")
)


# ------------------------------------------------------------- definitions
def _forward_probabilities(eta, family, F):
    """Class probabilities of the unreversed model, (n, K)."""
    g = F(eta)
    n, m = g.shape
    if family == "cumulative":
        return np.diff(np.column_stack([np.zeros(n), g, np.ones(n)]), axis=1)
    if family == "acat":
        odds = g / (1.0 - g)
        mass = np.column_stack([np.ones(n), np.cumprod(odds, axis=1)])
        return mass / mass.sum(axis=1, keepdims=True)
    stop = g if family == "sratio" else 1.0 - g
    pi, left = np.empty((n, m + 1)), np.ones(n)
    for k in range(m):
        pi[:, k] = left * stop[:, k]
        left = left * (1.0 - stop[:, k])
    pi[:, m] = left
    return pi


def class_probabilities(eta, family="cumulative", link="logit", reverse=False):
    """P(Y = k) of linear predictors (n, K-1), negative where boundaries cross."""
    F = DISTRIBUTIONS[link].cdf
    if not reverse:
        return _forward_probabilities(eta, family, F)
    return _forward_probabilities(-eta[:, ::-1], family, F)[:, ::-1]


def row_gradient(eta, y, family="cumulative", link="logit", reverse=False):
    """Derivatives of -log P(Y = y) in eta, (n, K-1), from F and its density."""
    if reverse:
        m = eta.shape[1]
        return -row_gradient(-eta[:, ::-1], m - y, family, link)[:, ::-1]
    law = DISTRIBUTIONS[link]
    F, f = law.cdf(eta), law.pdf(eta)
    S = law.sf(eta)
    n, m = eta.shape
    k = np.arange(m)
    if family == "cumulative":
        p = _forward_probabilities(eta, family, law.cdf)[np.arange(n), y][:, None]
        upper, lower = y[:, None] == k, y[:, None] - 1 == k
        return (-f * upper + f * lower) / p
    if family == "acat":
        p = _forward_probabilities(eta, family, law.cdf)
        above = np.cumsum(p[:, ::-1], axis=1)[:, ::-1][:, 1:]
        # d log(F / (1 - F)) / d eta = f / (F (1 - F))
        return (above - (y[:, None] > k)) * f / (F * S)
    stops, passes = y[:, None] == k, y[:, None] > k
    if family == "cratio":
        stops, passes = passes, stops
    return -f / F * stops + f / S * passes


# --------------------------------------------------------------- objective
@dataclass
class Problem:
    """One penalised problem: data, model and penalty."""

    X: np.ndarray
    y: np.ndarray
    n_classes: int
    alpha: float
    weight: np.ndarray | None = None
    family: str = "cumulative"
    link: str = "logit"
    reverse: bool = False
    l1_ratio: float = 1.0
    penalize_first: float = 1.0
    penalty_factor: np.ndarray | None = None
    standardize: bool = True
    constrain_train: bool = False
    mean: np.ndarray = field(init=False)
    scale: np.ndarray = field(init=False)

    def __post_init__(self):
        n, p = self.X.shape
        w = np.ones(n) if self.weight is None else np.asarray(self.weight, float)
        self.weight = w
        if self.penalty_factor is None:
            self.penalty_factor = np.ones(p)
        self.mean, self.scale = np.zeros(p), np.ones(p)
        if self.standardize:
            self.mean = w @ self.X / w.sum()
            sd = np.sqrt(w @ (self.X - self.mean) ** 2 / w.sum())
            self.scale = np.where(sd > 0, sd, 1.0)

    @property
    def m(self):
        """Number of boundaries."""
        return self.n_classes - 1

    @property
    def options(self):
        """Keyword arguments of the classifier for this problem."""
        names = ("alpha", "family", "link", "reverse", "l1_ratio", "penalize_first")
        names += ("penalty_factor", "standardize", "constrain_train")
        return {name: getattr(self, name) for name in names}

    def strengths(self):
        """Penalty weights of psi, (K-1, p)."""
        rows = np.ones((self.m, 1))
        rows[0] = self.penalize_first
        return self.alpha * rows * self.penalty_factor

    def psi(self, coef):
        """Differences of neighbouring slopes on the penalised scale, (K-1, p)."""
        scaled = coef * self.scale
        if self.reverse:
            scaled = -scaled[::-1]
        return np.diff(scaled, axis=0, prepend=0.0)

    def penalty(self, psi):
        a = self.l1_ratio
        return float(
            (self.strengths() * (a * np.abs(psi) + (1 - a) * psi**2 / 2)).sum()
        )

    def probabilities(self, intercept, coef):
        eta = intercept + self.X @ coef.T
        return class_probabilities(eta, self.family, self.link, self.reverse)

    def loss(self, intercept, coef):
        """Weighted mean negative log-likelihood."""
        keep = self.weight > 0
        p = self.probabilities(intercept, coef)[keep, self.y[keep]]
        if not np.all(p > 0):
            return np.inf
        return float(-(self.weight[keep] @ np.log(p)) / self.weight.sum())

    def objective(self, intercept, coef):
        return self.loss(intercept, coef) + self.penalty(self.psi(coef))

    def gradients(self, intercept, coef):
        """Gradient of the loss in the intercepts and in psi."""
        eta = intercept + self.X @ coef.T
        rows = row_gradient(eta, self.y, self.family, self.link, self.reverse)
        rows = rows * (self.weight / self.weight.sum())[:, None]
        slopes = rows.T @ ((self.X - self.mean) / self.scale)
        if self.reverse:
            slopes = -slopes[::-1]
        return rows.sum(axis=0), np.cumsum(slopes[::-1], axis=0)[::-1]

    def kkt_violation(self, intercept, coef, zero=1e-11):
        """Largest violation of the optimality conditions, in gradient units."""
        free, smooth = self.gradients(intercept, coef)
        psi, c = self.psi(coef), self.strengths()
        smooth = smooth + c * (1 - self.l1_ratio) * psi
        bound = c * self.l1_ratio
        at_zero = np.maximum(np.abs(smooth) - bound, 0.0)
        away = np.abs(smooth + bound * np.sign(psi))
        violation = np.where(
            np.abs(psi) <= zero * max(1, np.abs(psi).max()), at_zero, away
        )
        return max(np.abs(free).max(), violation.max())

    def from_scaled(self, intercept, psi):
        """Raw intercepts and slopes of fitted-order scaled parameters."""
        beta = np.cumsum(psi, axis=0)
        if self.reverse:
            intercept, beta = -intercept[::-1], -beta[::-1]
        coef = beta / self.scale
        return intercept - coef @ self.mean, coef


@dataclass
class Optimum:
    """What an oracle found."""

    intercept: np.ndarray
    coef: np.ndarray
    objective: float
    probabilities: np.ndarray


def _report(problem, intercept, coef):
    return Optimum(
        intercept,
        coef,
        problem.objective(intercept, coef),
        problem.probabilities(intercept, coef),
    )


# ------------------------------------------------------------------- cvxpy
def _cvxpy_losses(cp, eta, y, family, m):
    """Convex expressions of -log P(Y = y) for the logit link, a list of (rows, e)."""
    out = []
    for c in range(m + 1):
        rows = np.flatnonzero(y == c)
        if not rows.size:
            continue
        if family == "cumulative":
            e = 0
            if c < m:
                e = e + cp.logistic(-eta[rows, c])
            if c > 0:
                e = e + cp.logistic(eta[rows, c - 1])
            if 0 < c < m:
                e = e - cp.log(1 - cp.exp(eta[rows, c - 1] - eta[rows, c]))
        elif family == "acat":
            lower = np.triu(np.ones((m, m + 1)), 1)  # partial sums of eta
            scores = eta[rows] @ lower
            e = cp.log_sum_exp(scores, axis=1) - scores[:, c]
        else:
            sign = 1 if family == "sratio" else -1  # stopping has probability F(+-eta)
            e = sum(cp.logistic(sign * eta[rows, k]) for k in range(min(c, m)))
            if c < m:
                e = e + cp.logistic(-sign * eta[rows, c])
        out.append((rows, e))
    return out


def solve_cvxpy(problem):
    """Solve a logit problem by Clarabel's interior point method."""
    import cvxpy as cp

    m, p = problem.m, problem.X.shape[1]
    # rows without weight must not even restrict the domain of the logarithms
    kept = problem.weight > 0
    y = (problem.m - problem.y if problem.reverse else problem.y)[kept]
    share = problem.weight[kept] / problem.weight.sum()
    Z = (problem.X[kept] - problem.mean) / problem.scale
    intercept, psi = cp.Variable(m), cp.Variable((m, p))
    sums = np.tril(np.ones((m, m)))
    n = len(y)
    eta = (
        np.ones((n, 1)) @ cp.reshape(intercept, (1, m), order="C") + Z @ (sums @ psi).T
    )
    loss = 0
    for rows, expression in _cvxpy_losses(cp, eta, y, problem.family, m):
        loss = loss + share[rows] @ expression
    c, a = problem.strengths(), problem.l1_ratio
    cost = cp.sum(cp.multiply(c * a, cp.abs(psi)))
    if a < 1:
        cost = cost + cp.sum(cp.multiply(c * (1 - a) / 2, cp.square(psi)))
    limits = []
    if problem.constrain_train and m > 1:
        limits = [eta[:, k] <= eta[:, k + 1] for k in range(m - 1)]
    program = cp.Problem(cp.Minimize(loss + cost), limits)
    with warnings.catch_warnings():
        # "may be inaccurate" only says that 1e-12 was not reached everywhere
        warnings.simplefilter("ignore", UserWarning)
        program.solve(
            solver=cp.CLARABEL,
            tol_gap_abs=1e-12,
            tol_gap_rel=1e-12,
            tol_feas=1e-12,
            max_iter=400,
        )
    if program.status not in ("optimal", "optimal_inaccurate"):
        raise RuntimeError(f"Clarabel ended with status {program.status}")
    return _report(problem, *problem.from_scaled(intercept.value, psi.value))


# ------------------------------------------------------------------- scipy
def solve_scipy(problem, start=None):
    """
    Solve any link by SLSQP on psi = u - v with u, v >= 0.

    The split makes the penalty linear, hence smooth; at the optimum one of u, v is 0.
    """
    m, p = problem.m, problem.X.shape[1]
    c, a = problem.strengths(), problem.l1_ratio

    def unpack(t):
        u, v = t[m:].reshape(2, m, p)
        return t[:m], u - v, u + v

    def value(t):
        intercept, psi, size = unpack(t)
        raw = problem.from_scaled(intercept, psi)
        smooth = problem.loss(*raw) + (c * (1 - a) * psi**2 / 2).sum()
        linear = (c * a * size).sum()
        if not np.isfinite(smooth):
            return 1e6, np.zeros_like(t)
        g0, g = problem.gradients(*raw)
        if problem.reverse:
            g0 = -g0[::-1]
        g = g + c * (1 - a) * psi
        slope = np.concatenate([(c * a + g).ravel(), (c * a - g).ravel()])
        return smooth + linear, np.concatenate([g0, slope])

    t = np.zeros(m + 2 * m * p)
    t[:m] = null_intercepts(problem) if start is None else start
    bounds = [(None, None)] * m + [(0, None)] * (2 * m * p)
    for method, options in (
        ("L-BFGS-B", {"maxiter": 5000, "ftol": 1e-16, "gtol": 1e-11, "maxcor": 30}),
        ("SLSQP", {"maxiter": 500, "ftol": 1e-15}),
    ):
        trial = optimize.minimize(
            value, t, jac=True, method=method, bounds=bounds, options=options
        )
        if trial.fun <= value(t)[0]:
            t = trial.x
    intercept, psi, _ = unpack(t)
    return _report(problem, *problem.from_scaled(intercept, psi))


def null_intercepts(problem):
    """Intercepts of the fitted order without slopes, by root finding on F."""
    y = problem.m - problem.y if problem.reverse else problem.y
    mass = np.bincount(y, problem.weight, minlength=problem.n_classes)
    ppf = DISTRIBUTIONS[problem.link].ppf
    at_risk = np.cumsum(mass[::-1])[::-1]
    if problem.family == "cumulative":
        return ppf(np.cumsum(mass)[:-1] / mass.sum())
    if problem.family == "acat":
        return ppf(mass[1:] / (mass[1:] + mass[:-1]))
    stop = mass[:-1] / at_risk[:-1]
    return ppf(stop if problem.family == "sratio" else 1 - stop)


# -------------------------------------------------------------------- data
def random_problem(
    seed, *, n=70, p=3, n_classes=4, weights=False, spread=1.0, **options
):
    """Moderate random data of a proportional model with a non-proportional part."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * rng.uniform(0.5, 3.0, p) + rng.normal(size=p)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    base = rng.normal(size=p) * 0.7
    latent = Z @ base + 0.4 * spread * np.abs(Z[:, 0]) + rng.logistic(size=n)
    cuts = np.quantile(latent, np.linspace(0, 1, n_classes + 1)[1:-1])
    y = np.searchsorted(cuts, latent)
    y[:n_classes] = np.arange(n_classes)
    weight = rng.integers(0, 4, n).astype(float) if weights else None
    if weight is not None:
        weight[:n_classes] = 1.0
    return Problem(X, y, n_classes, weight=weight, **options)
