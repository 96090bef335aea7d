"""Small models to try methods on: each trains in seconds on one core.

All of them start from random numbers of a generator of their own, so that a seed fixes
them and the global stream of torch stays where it was. Their layers are plain modules
of torch under names that do not change with the options, and no parameter is shared.
Models are made on the CPU in the default dtype.
"""

from __future__ import annotations

from statlearn.neural.models._plain_models import MLP, ConvNet
from statlearn.neural.models._transformer_models import CharLM, TinyViT
from statlearn.neural.models._transformer_parts import Attention

__all__ = ["MLP", "Attention", "CharLM", "ConvNet", "TinyViT"]
