"""Offline reinforcement learning: trajectories, and weights that favour good ones.

Logged trajectories as flat arrays, static weights from their returns, and samplers that
draw by them.
"""

from __future__ import annotations

__all__: list[str] = []
