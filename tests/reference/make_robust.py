"""
Golden numbers of M-estimators, made with statsmodels.

Run ``python tests/reference/make_robust.py`` after ``make_robust.R``: it reads
``robust_data.json`` and writes ``robust_statsmodels.json`` beside it.

``RLM`` begins at least squares. Its MAD is the exact one (over ``norm.ppf(0.75)``,
around zero), ``HuberScale`` iterates to Huber's proposal 2, and its H1 takes the
variance of psi' with n. It knows no weights: every row is there as often as it counts.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import statsmodels
from statsmodels.robust import norms
from statsmodels.robust.robust_linear_model import RLM
from statsmodels.robust.scale import HuberScale

HERE = Path(__file__).parent
TOL, MAX_ITER = 2e-12, 5000
NORMS = {
    "huber": (norms.HuberT, (1.345,)),
    "bisquare": (norms.TukeyBiweight, (4.685,)),
    "hampel": (norms.Hampel, (2.0, 4.0, 8.0)),
    "andrews": (norms.AndrewWave, (1.339,)),
    "talwar": (norms.TrimmedMean, (2.795,)),
}
# about the scale of the errors that are not outliers
FIXED = {"stackloss": 2.0, "stars": 0.5, "coleman": 1.0, "sim": 1.2}


def read_tables():
    """Design with an intercept, y and weights of the tables of the R program."""
    raw = json.loads((HERE / "robust_data.json").read_text())["tables"]
    return {
        name: (
            np.column_stack([np.ones(len(t["y"])), np.array(t["X"], dtype=float)]),
            np.array(t["y"], dtype=float),
            np.array(t["sample_weight"]),
        )
        for name, t in raw.items()
    }


def fit(name, weighted, table, family, scale):
    """One fit as a record, or None if it does not settle."""
    X, y, weight = table
    count = weight if weighted else np.ones(len(y), dtype=int)
    X, y = np.repeat(X, count, axis=0), np.repeat(y, count)
    norm, constants = NORMS[family]
    options = {"maxiter": MAX_ITER, "conv": "coefs", "cov": "H1"}
    if scale == "mad":
        options["scale_est"] = "mad"
    elif scale == "proposal2":
        options["scale_est"] = HuberScale(d=1.345, tol=1e-14, maxiter=500)
    else:
        options |= {"start_scale": scale, "update_scale": False}
    # the tolerance is absolute
    start = np.linalg.lstsq(X, y, rcond=None)[0]
    tol = TOL * np.abs(start).max()
    result = RLM(y, X, M=norm(*constants)).fit(tol=tol, **options)
    if result.fit_history["iteration"] >= MAX_ITER:
        print("left out, no convergence:", name, weighted, family, scale)  # noqa: T201
        return None
    # of each row of the table, 0 where it does not count
    by_row = np.zeros(len(count))
    by_row[np.repeat(np.arange(len(count)), count)] = norm(*constants).weights(
        result.sresid
    )
    return {
        "dataset": name,
        "weighted": weighted,
        "family": family,
        "constants": list(constants),
        "scale_est": scale,
        "params": result.params.tolist(),
        "scale": float(result.scale),
        "weights": by_row.tolist(),
        "bse": result.bse.tolist(),
        "cov": result.bcov_scaled.tolist(),
        "steps": result.fit_history["iteration"],
    }


def main():
    """Write the file."""
    tables = read_tables()
    cases = [(name, False) for name in tables] + [("sim", True)]
    fits = []
    for name, weighted in cases:
        for family in NORMS:
            for scale in ("mad", "proposal2", FIXED[name]):
                record = fit(name, weighted, tables[name], family, scale)
                if record is not None:
                    fits.append(record)
    head = {"made_by": "make_robust.py", "statsmodels": statsmodels.__version__}
    # a record a line
    lines = ",\n  ".join(json.dumps(record) for record in fits)
    text = json.dumps(head, indent=1)[:-2] + ',\n "fits": [\n  ' + lines + "\n ]\n}\n"
    json.loads(text)
    (HERE / "robust_statsmodels.json").write_text(text)


if __name__ == "__main__":
    main()
