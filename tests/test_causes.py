"""The right cause: every patient of tests/causes, against what training it established.

The labels come from benchmarks/evidence/causes.py, which trained each patient as it is and with
each of its interventions. Here each is diagnosed once, with its loss as it is and multiplied by
1e-6 and 1e6.
"""

from __future__ import annotations

import functools
import warnings

import pytest
import torch

from causes import held_out, labels, patients
from causes._patient import CAUSE, Patient, rescaled, start
from skipway import Diagnosis, diagnose
from skipway._results import CAUSES

EVERYONE = patients()
LABELS = labels()
SICK = [name for name, row in LABELS.items() if row["trains"] == "no"]
WELL = [name for name, row in LABELS.items() if row["trains"] == "yes"]


@functools.cache
def diagnosis(name: str, factor: float = 1.0) -> Diagnosis:
    patient = EVERYONE[name]
    case = patient.case() if factor == 1 else rescaled(patient.case(), factor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a patient's own code warns of is not judged here
        model, optimizer = start(case, 0, patient.before)
        model.train(not patient.evaluating)
        return diagnose(
            model,
            case.batch(patient.before),
            case.loss,
            objective=case.objective,
            optimizer=optimizer,
        )


def right(name: str) -> bool:
    row = LABELS[name]
    return diagnosis(name).cause in (row["cause"], *row["also"].split())


def test_the_labels_are_those_of_these_patients():
    for everyone, known in ((EVERYONE, LABELS), (held_out(), labels(held_out=True))):
        assert list(known) == list(everyone)
        stale = [
            name for name, patient in everyone.items() if known[name]["print"] != patient.print
        ]
        assert not stale, f"run benchmarks/evidence/causes.py again: {stale}"


def test_the_benchmark_is_as_wide_as_it_says():
    assert set(CAUSE.values()) | {"healthy", "solved"} == set(CAUSES)
    found = {row["cause"] for row in LABELS.values()}
    assert found == set(CAUSES), "a cause that no patient has, or one that training left open"
    own = [p for p in EVERYONE.values() if p.family.__module__ != "causes._built_in"]
    assert len(own) >= 60


@pytest.mark.parametrize("group", [SICK, WELL], ids=["sick", "well"])
def test_at_least_95_percent_get_their_cause(group):
    wrong = {name: diagnosis(name).cause for name in group if not right(name)}
    assert len(wrong) <= 0.05 * len(group), wrong


def test_nothing_that_trains_is_called_vanishing():
    assert [name for name in WELL if diagnosis(name).cause == "vanishing"] == []


@pytest.mark.parametrize("name", EVERYONE)
def test_the_scale_of_the_loss_changes_no_verdict(name):
    plain = diagnosis(name)
    for factor in (1e-6, 1e6):
        scaled = diagnosis(name, factor)
        assert scaled.cause == plain.cause, f"{factor:g} times the loss: {scaled.summary}"
        assert scaled.treatment == plain.treatment


def test_a_patient_is_what_its_settings_say():
    one = next(iter(EVERYONE.values()))
    assert isinstance(one, Patient)
    torch.manual_seed(0)
    first, second = (start(one.case(), 3)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
