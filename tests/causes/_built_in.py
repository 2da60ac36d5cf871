"""The built-in cases as patients, treated by the library's own treatments."""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import nn

from skipway import Case, cases, rewire
from skipway._remedies import better_start, in_float32, unfrozen, with_learning_rate

from ._patient import Patient, Scaled

_TREATMENTS: dict[str, Callable[[Case], Case]] = {
    "skips": lambda case: case.replace(model=functools.partial(_with_skips, case)),
    "start": better_start,
    "rate 0.1": lambda case: with_learning_rate(case, 0.1),
    "rate 1": lambda case: with_learning_rate(case, 1.0),
    "rate 0.003": lambda case: with_learning_rate(case, 0.003),
    "float32": in_float32,
    "unfrozen": lambda case: unfrozen(case).replace(optimizer=cases.load("healthy-mlp").optimizer),
    "reattached": lambda case: case.replace(model=functools.partial(_attached, case)),
}


def built_in(name: str, treatment: str = "") -> Case:
    """Return a built-in case, treated."""
    case = cases.load(name)
    case = _TREATMENTS[treatment](case) if treatment else case
    return case.replace(loss=Scaled("classes"))


def _with_skips(case: Case) -> nn.Module:
    return rewire(case.model(), case.batch()[0]).model


def _attached(case: Case) -> nn.Module:
    model = case.model()
    return nn.Sequential(model.encoder, nn.ReLU(), model.decoder)  # its forward, without `detach`


def _patient(name: str, steps: int, **cures: str) -> Patient:
    named = {key.replace("_", " "): {"treatment": value} for key, value in cures.items()}
    return Patient(
        name=name, family=built_in, settings={"name": name}, cures=named, steps=steps, goal=0.75
    )


_RATES = {"larger_rate": "rate 1", "smaller_rate": "rate 0.003"}

PATIENTS = [
    _patient("plain-mlp", 200, skips="skips", critical_start="start", **_RATES),
    _patient("plain-cnn", 150, skips="skips", critical_start="start", **_RATES),
    _patient("tanh-mlp", 300, skips="skips", critical_start="start", **_RATES),
    _patient("sigmoid-mlp", 300, skips="skips", critical_start="start", **_RATES),
    _patient("plain-rnn", 400, skips="skips", critical_start="start", **_RATES),
    _patient("healthy-mlp", 200),
    _patient("dead-relu", 200, biases_at_zero="start", **_RATES),
    _patient("tiny-learning-rate", 200, larger_rate="rate 0.1"),
    _patient("huge-learning-rate", 200, smaller_rate="rate 0.1", even_smaller_rate="rate 0.003"),
    _patient("bf16-updates", 600, float32="float32", larger_rate="rate 0.003"),
    _patient("frozen", 200, unfrozen="unfrozen", larger_rate="rate 1"),
    _patient("detached", 400, reattached="reattached", **_RATES),
    _patient("solved", 50),
]
