"""What the package may ask of a torch tensor, and what torch would refuse."""

from __future__ import annotations

import numpy as np


class Tensor:
    """Numbers behind the few methods of a torch tensor that the core uses."""

    def __init__(self, data, *, device="cpu", requires_grad=False):
        self.data = np.asarray(data)
        self.device = device
        self.requires_grad = requires_grad

    @property
    def shape(self):
        return self.data.shape

    @property
    def dtype(self):
        return self.data.dtype

    def __len__(self):
        return len(self.data)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("a tensor on a device is no array")

    def is_floating_point(self):
        return self.data.dtype.kind == "f"

    def detach(self):
        return Tensor(self.data, device=self.device)

    def double(self):
        data = self.data.astype(np.float64)
        return Tensor(data, device=self.device, requires_grad=self.requires_grad)

    def cpu(self):
        return Tensor(self.data, requires_grad=self.requires_grad)

    def numpy(self):
        if self.device != "cpu" or self.requires_grad:
            raise TypeError("call detach and cpu first")
        return self.data

    def new_tensor(self, data):
        return Tensor(np.asarray(data).astype(self.dtype), device=self.device)


# The package tells a tensor by the package that its type comes from.
Tensor.__module__ = "torch"
