"""
Independent float64 computation of one tensor's steps of AdamP and SGDP.

Nothing here imports statlearn or torch. The formulas follow their definitions entry by
entry: a class keeps the state of one array, `step(w, g)` returns the next array.
"""

from __future__ import annotations

import math

import numpy as np

TINY = np.finfo(np.float64).tiny


def find_view(w, g, delta, eps):
    """Name the view whose rows are all orthogonal to their gradients, and the rows."""
    if w.ndim < 2:
        return None, None
    for name, n_rows in (("channel", w.shape[0]), ("layer", 1)):
        rows, slopes = w.reshape(n_rows, -1), g.reshape(n_rows, -1)
        cosines = [
            abs(float(a @ b))
            / max(math.sqrt(a @ a), eps, TINY)
            / max(math.sqrt(b @ b), eps, TINY)
            for a, b in zip(rows, slopes, strict=True)
        ]
        if max(cosines) < delta / math.sqrt(rows.shape[1]):
            return name, n_rows
    return None, None


def remove_radial(w, q, n_rows, eps):
    """Subtract from each row of q what lies along that row of w."""
    kept = q.reshape(n_rows, -1).copy()
    for row, target in zip(w.reshape(n_rows, -1), kept, strict=True):
        unit = row / max(math.sqrt(row @ row) + eps, TINY)
        target -= unit * (unit @ target)
    return kept.reshape(w.shape)


class AdamPOracle:
    def __init__(
        self,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        delta=0.1,
        wd_ratio=0.1,
        nesterov=False,
        maximize=False,
    ):
        self.lr, (self.beta1, self.beta2), self.eps = lr, betas, eps
        self.weight_decay, self.delta, self.wd_ratio = weight_decay, delta, wd_ratio
        self.nesterov, self.sign = nesterov, -1.0 if maximize else 1.0
        self.t, self.m, self.v = 0, 0.0, 0.0
        self.views = []

    def step(self, w, g):
        g = self.sign * g
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g * g
        m = self.beta1 * self.m + (1 - self.beta1) * g if self.nesterov else self.m
        q = m / (np.sqrt(self.v) / math.sqrt(1 - self.beta2**self.t) + self.eps)
        view, n_rows = find_view(w, g, self.delta, self.eps)
        self.views.append(view)
        rho = 1.0
        if view is not None:
            q, rho = remove_radial(w, q, n_rows, self.eps), self.wd_ratio
        kept = w * (1 - self.lr * self.weight_decay * rho)
        return kept - self.lr / (1 - self.beta1**self.t) * q


class SGDPOracle:
    def __init__(
        self,
        lr,
        momentum=0.0,
        dampening=0.0,
        weight_decay=0.0,
        nesterov=False,
        eps=1e-8,
        delta=0.1,
        wd_ratio=0.1,
        maximize=False,
        project_buffer=False,
    ):
        self.lr, self.momentum, self.dampening = lr, momentum, dampening
        self.weight_decay, self.nesterov, self.eps = weight_decay, nesterov, eps
        self.delta, self.wd_ratio = delta, wd_ratio
        self.sign, self.project_buffer = -1.0 if maximize else 1.0, project_buffer
        self.b = 0.0
        self.views = []

    def step(self, w, g):
        g = self.sign * g
        self.b = self.momentum * self.b + (1 - self.dampening) * g
        q = g + self.momentum * self.b if self.nesterov else self.b
        view, n_rows = find_view(w, g, self.delta, self.eps)
        self.views.append(view)
        rho = 1.0
        if view is not None:
            q, rho = remove_radial(w, q, n_rows, self.eps), self.wd_ratio
            if self.project_buffer and not self.nesterov:
                self.b = q
        decay = self.lr * self.weight_decay * rho / (1 - self.momentum)
        return w * (1 - decay) - self.lr * q
