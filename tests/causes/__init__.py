"""A benchmark of causes: small trainings whose cause was found by treating them.

`patients()` are the ones that the rules of the diagnosis were made with. What was established about
them by training lies in benchmarks/evidence/causes.csv; see docs/causes.md.
"""

from __future__ import annotations

import csv
from pathlib import Path

from . import depth, signal, steps, unseen, wiring
from ._built_in import PATIENTS as BUILT_IN
from ._patient import Patient

EVIDENCE = Path(__file__).parents[2] / "benchmarks" / "evidence"


def patients() -> dict[str, Patient]:
    """Return all of them by name."""
    groups = (BUILT_IN, depth.PATIENTS, signal.PATIENTS, steps.PATIENTS, wiring.PATIENTS)
    found = {patient.name: patient for group in groups for patient in group}
    assert len(found) == sum(map(len, groups)), "two patients have the same name"
    return found


def held_out() -> dict[str, Patient]:
    """Return the patients that were written when the rules were final."""
    return {patient.name: patient for patient in unseen.PATIENTS}


def labels(held_out: bool = False) -> dict[str, dict[str, str]]:
    """Return what training established, by name: the cause, others that hold too, a fingerprint."""
    path = EVIDENCE / ("causes_held_out.csv" if held_out else "causes.csv")
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {row["patient"]: row for row in csv.DictReader(file)}
