"""Random numbers of torch as a function of where training stands.

Every batch has a seed of its own, made from the key of the run, the epoch and the
number of the batch. So a run can be entered at any batch, and noise (dropout,
augmentation) is what it would have been, whatever was drawn before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

Key = tuple[int, int]

# Odd numbers of irrational ratio: torch seeds its generator on the CPU with the lowest
# 32 bits only, which multiples of an odd number run through without repetition.
_BATCH, _EPOCH, _RANK = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_MASK = 2**64 - 1


def seed_at(key: Key, epoch: int, batch: int, rank: int = 0) -> int:
    """Return the seed of one batch; batch -1 is the start of the epoch."""
    return (key[0] + _EPOCH * epoch + _BATCH * (batch + 1) + _RANK * rank) & _MASK


def seeder(device: torch.device) -> Callable[[int], object]:
    """Return what seeds the generators of the CPU and of a device.

    ``torch.manual_seed`` does so for all devices there are, at many times the price.
    """
    on_cpu: Callable[[int], object] = torch.default_generator.manual_seed
    if device.type in ("cpu", "meta"):
        return on_cpu
    on_device = torch.get_device_module(device).manual_seed

    def seed(number: int) -> None:
        on_cpu(number)
        on_device(number)

    return seed


# Held by the thread that changes what all threads share: the random state of torch, its
# default type, modes of modules. Others wait; a callback may enter again.
SHARED = threading.RLock()


@contextmanager
def kept_random_state(device: torch.device) -> Iterator[None]:
    """Give the caller back the random state that it had, on the CPU and a device.

    Meanwhile no other thread is in here.
    """
    devices = [] if device.type in ("cpu", "meta") else [device]
    kind = device.type if devices else "cuda"  # which names none
    with SHARED, torch.random.fork_rng(devices=devices, device_type=kind):
        yield
