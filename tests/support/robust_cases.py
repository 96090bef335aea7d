"""Tables and fits of the robust references."""

from __future__ import annotations

import numpy as np

from ordinal_cases import golden
from statlearn.linear_model import ReweightedLinearRegression
from statlearn.weights import get_rule

TABLES = golden("robust_data")["tables"]


def table(name):
    """X, y and integer weights of a reference table."""
    raw = TABLES[name]
    return (
        np.array(raw["X"], dtype=float),
        np.array(raw["y"], dtype=float),
        np.array(raw["sample_weight"], dtype=float),
    )


def label(record):
    """A readable test id."""
    parts = [record["dataset"], "weighted" if record["weighted"] else "plain"]
    parts += [str(record[key]) for key in ("family", "scale_est") if key in record]
    return "-".join(parts)


def rule_of(record):
    """The rule of a reference record, with its constants."""
    names = ("a", "b", "c") if record["family"] == "hampel" else ("c",)
    constants = np.atleast_1d(record["constants"])
    return get_rule(record["family"]).set_params(
        **{k: float(c) for k, c in zip(names, constants, strict=True)}
    )


def fitted(record, weighting, **options):
    """Our fit to the table of a record, with its weights if the record has them."""
    X, y, weight = table(record["dataset"])
    model = ReweightedLinearRegression(weighting, **options)
    return model.fit(X, y, sample_weight=weight if record["weighted"] else None)


def params(model):
    """Coefficients, the intercept first."""
    return np.r_[model.intercept_, model.coef_]
