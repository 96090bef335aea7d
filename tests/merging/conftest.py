"""What tests of merging read and write with."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def torch_files(torch):
    """The functions of safetensors for tensors."""
    import safetensors.torch

    return safetensors.torch
