"""Adapters: few trained numbers beside the frozen weights of linear layers.

`BlockAffine` multiplies r x r blocks of the weight by small matrices (Bone, MiSS) and
`LowRank` adds a product of two thin ones (LoRA, PiSSA). The functions put them on a
model, merge them exactly, and exchange files with peft.
"""

from __future__ import annotations

from statlearn.neural._map_state import count_trainable
from statlearn.neural.adapters._bone import (
    apply_bone,
    bone_parameters,
    bone_state_dict,
    load_bone_state_dict,
    merge_bone,
    unmerge_bone,
)
from statlearn.neural.adapters._interchange import load_peft_adapter, save_peft_adapter
from statlearn.neural.adapters.block_affine import BlockAffine
from statlearn.neural.adapters.low_rank import LowRank, apply_lora, apply_pissa

__all__ = [
    "BlockAffine",
    "LowRank",
    "apply_bone",
    "apply_lora",
    "apply_pissa",
    "bone_parameters",
    "bone_state_dict",
    "count_trainable",
    "load_bone_state_dict",
    "load_peft_adapter",
    "merge_bone",
    "save_peft_adapter",
    "unmerge_bone",
]
