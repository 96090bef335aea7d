"""Which subpackages load without torch, and which code asks for it."""

from __future__ import annotations

import re
from importlib.util import find_spec

import statlearn

CORE = [name for name in statlearn.__all__ if name != "neural"]
HAS_TORCH = find_spec("torch") is not None
LOADABLE = statlearn.__all__ if HAS_TORCH else CORE
USES_TORCH = re.compile(r"\b(torch|neural)\b")
