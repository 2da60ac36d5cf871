"""Diagnose, rewire, compare, report in a row: the main job, and its steps on one case."""

from __future__ import annotations

from ._one_case import diagnose_case, inputs_of, rewire_case
from ._verb import cure

__all__ = ["cure", "diagnose_case", "inputs_of", "rewire_case"]
