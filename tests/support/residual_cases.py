"""The families of residual rules, as tests of them are parametrised."""

from __future__ import annotations

import numpy as np
import pytest

from statlearn import weights

FUNCTIONS = {
    "Huber": "huber_weights",
    "Bisquare": "bisquare_weights",
    "Hampel": "hampel_weights",
    "Cauchy": "cauchy_weights",
    "Welsch": "welsch_weights",
    "Fair": "fair_weights",
    "Logistic": "logistic_weights",
    "Andrews": "andrews_weights",
    "Talwar": "talwar_weights",
    "GemanMcClure": "geman_mcclure_weights",
}
DEFAULTS = {
    "Huber": 1.345,
    "Bisquare": 4.685,
    "Hampel": (2.0, 4.0, 8.0),
    "Cauchy": 2.3849,
    "Welsch": 2.9846,
    "Fair": 1.3998,
    "Logistic": 1.205,
    "Andrews": 1.339,
    "Talwar": 2.795,
    "GemanMcClure": 3.78741876,
}
ONE_CONSTANT = [name for name in FUNCTIONS if name != "Hampel"]
BOUNDED = ("Bisquare", "Hampel", "Welsch", "Andrews", "Talwar", "GemanMcClure")
CUT_OFF = ("Bisquare", "Hampel", "Andrews", "Talwar")
every_family = pytest.mark.parametrize("name", FUNCTIONS)


def make(name, scale=None):
    """A rule by its class name, with its constants multiplied by a factor."""
    cls = getattr(weights, name)
    if scale is None:
        return cls()
    return cls(*(scale * np.atleast_1d(DEFAULTS[name])))


def unit(rule):
    return np.atleast_1d(rule.tuning())[0]
