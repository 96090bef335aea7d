"""Rules that turn evidence into weights, and mathematics on weight vectors.

A rule looks at losses, residuals or group labels and gives every row a weight: a
non-negative number, one on average. The same rule object serves a scikit-learn fit
(``sample_weight=rule(losses)``), a loss in PyTorch (``(rule(losses) * losses).mean()``)
and a sampler. Each rule also has a function on arrays with the same numbers.
"""

from __future__ import annotations

from statlearn.weights._base import Uniform, WeightingRule
from statlearn.weights._chain import Chain, ClipRatio, Temper
from statlearn.weights._diagnostics import (
    WeightSummary,
    design_effect,
    effective_sample_size,
    weight_entropy,
    weight_summary,
)
from statlearn.weights._distributionally_robust import (
    Chi2Ball,
    CVaR,
    KLBall,
    chi2_ball_weights,
    cvar_weights,
    kl_ball_weights,
)
from statlearn.weights._exponential_tilt import KLTilt, kl_tilt_weights, tilted_loss
from statlearn.weights._focal import Focal, focal_weights
from statlearn.weights._groups import (
    EffectiveNumber,
    InverseFrequency,
    Temperature,
    effective_number_weights,
    inverse_frequency_weights,
    temperature_weights,
)
from statlearn.weights._loss import (
    Extremes,
    LinUpper,
    Quadratic,
    Upper,
    extremes_weights,
    lin_upper_weights,
    quadratic_weights,
    upper_weights,
)
from statlearn.weights._plot import WeightDisplay
from statlearn.weights._redescending import (
    Andrews,
    Bisquare,
    Cauchy,
    GemanMcClure,
    Hampel,
    Talwar,
    Welsch,
)
from statlearn.weights._registry import get_rule, list_rules
from statlearn.weights._residual import (
    Fair,
    Huber,
    Logistic,
)
from statlearn.weights._residual_functions import (
    andrews_weights,
    bisquare_weights,
    cauchy_weights,
    fair_weights,
    geman_mcclure_weights,
    hampel_weights,
    huber_weights,
    logistic_weights,
    talwar_weights,
    welsch_weights,
)
from statlearn.weights._selection import (
    SelfPaced,
    Trimmed,
    self_paced_weights,
    trimmed_weights,
)
from statlearn.weights._vector import (
    clip_ratio,
    normalize,
    project_simplex,
    temper,
    tilt,
)

__all__ = [
    "Andrews",
    "Bisquare",
    "CVaR",
    "Cauchy",
    "Chain",
    "Chi2Ball",
    "ClipRatio",
    "EffectiveNumber",
    "Extremes",
    "Fair",
    "Focal",
    "GemanMcClure",
    "Hampel",
    "Huber",
    "InverseFrequency",
    "KLBall",
    "KLTilt",
    "LinUpper",
    "Logistic",
    "Quadratic",
    "SelfPaced",
    "Talwar",
    "Temper",
    "Temperature",
    "Trimmed",
    "Uniform",
    "Upper",
    "WeightDisplay",
    "WeightSummary",
    "WeightingRule",
    "Welsch",
    "andrews_weights",
    "bisquare_weights",
    "cauchy_weights",
    "chi2_ball_weights",
    "clip_ratio",
    "cvar_weights",
    "design_effect",
    "effective_number_weights",
    "effective_sample_size",
    "extremes_weights",
    "fair_weights",
    "focal_weights",
    "geman_mcclure_weights",
    "get_rule",
    "hampel_weights",
    "huber_weights",
    "inverse_frequency_weights",
    "kl_ball_weights",
    "kl_tilt_weights",
    "lin_upper_weights",
    "list_rules",
    "logistic_weights",
    "normalize",
    "project_simplex",
    "quadratic_weights",
    "self_paced_weights",
    "talwar_weights",
    "temper",
    "temperature_weights",
    "tilt",
    "tilted_loss",
    "trimmed_weights",
    "upper_weights",
    "weight_entropy",
    "weight_summary",
    "welsch_weights",
]
