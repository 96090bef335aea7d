"""Robustness as a patch: extracted, quantised, stored, put on a model."""
