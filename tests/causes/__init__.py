"""A benchmark of causes: small trainings whose cause was found by treating them.

`patients()` are the ones that the rules of the diagnosis were made with. What was established about
them by training lies in benchmarks/evidence/causes.csv; see docs/causes.md.
"""

from __future__ import annotations

import csv
from pathlib import Path

from . import depth, fresh, practice, reported, signal, steps, strangers, unseen, wiring
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


def held_out_again() -> dict[str, Patient]:
    """Return those that were written after what the first held-out ones showed was mended."""
    return {patient.name: patient for patient in fresh.PATIENTS}


def held_out_once_more() -> dict[str, Patient]:
    """Return those that were written after what the second ones showed was mended."""
    return {patient.name: patient for patient in strangers.PATIENTS}


def held_out_in_practice() -> dict[str, Patient]:
    """Return those of practitioners, written after what the third ones showed was mended."""
    return {patient.name: patient for patient in practice.PATIENTS}


def held_out_as_reported() -> dict[str, Patient]:
    """Return those of public reports, written after what the fourth ones showed was mended."""
    return {patient.name: patient for patient in reported.PATIENTS}


SETS = {
    "": patients,
    "held_out": held_out,
    "held_out_again": held_out_again,
    "held_out_once_more": held_out_once_more,
    "held_out_in_practice": held_out_in_practice,
    "held_out_as_reported": held_out_as_reported,
}


def labels(which: str = "") -> dict[str, dict[str, str]]:
    """Return what training established, by name: the cause, others that hold too, a fingerprint.

    Args:
        which: a name of `SETS`.
    """
    path = EVIDENCE / f"{stem('causes', which)}.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {row["patient"]: row for row in csv.DictReader(file)}


def stem(name: str, which: str) -> str:
    """Return the name of a file of results about one of `SETS`."""
    return f"{name}_{which}" if which else name
