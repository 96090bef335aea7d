"""Small real tables and generators with a known truth."""

from __future__ import annotations

from statlearn.datasets._marriage import load_marriage_rating
from statlearn.datasets._rare_ordinal import make_rare_ordinal
from statlearn.datasets._wine import load_wine_bitterness

__all__ = ["load_marriage_rating", "load_wine_bitterness", "make_rare_ordinal"]
