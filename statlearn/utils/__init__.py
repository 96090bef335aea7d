"""Shared parts below all estimators; not part of the public interface."""

from __future__ import annotations
