"""Parts of tests with PyTorch that other processes have to import."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch.utils import data

from statlearn.sampling import DomainBatchSampler


class Squares(data.Dataset):
    """Rows that show their index."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, row):
        return torch.tensor([row, row * row])


def cooled(**options):
    return DomainBatchSampler([50, 7, 3], batch_size=8, n_steps=12, **options)


def gather_rows(rank, address, file):
    """Draw on one of two processes, and save what both have drawn."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(address))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    sampler = cooled(mode="shuffle", rank=rank, world_size=2)
    own = torch.as_tensor(np.array(list(sampler)))
    both = [torch.empty_like(own) for _ in range(2)]
    torch.distributed.all_gather(both, own)
    if rank == 0:
        torch.save(torch.stack(both), file)
    torch.distributed.destroy_process_group()
