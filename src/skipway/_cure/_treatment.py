"""What a diagnosis asks for, as cases to hold against the given one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from .._case import Case
from .._errors import CaseError, RewireError
from .._remedies import better_start, in_float32, unfrozen, with_learning_rate, with_learning_rates
from .._results import Diagnosis, Finding, Plan, Rewiring
from .._rewire import rewire
from ._one_case import Progress, build, inputs_of

HOW: Mapping[Literal["add", "cat"], str] = {"add": "addition", "cat": "concatenation"}


def rewire_both(
    case: Case, diagnosis: Diagnosis, report: Progress
) -> tuple[dict[str, Rewiring], tuple[str, ...]]:
    """Rewire where skips are the answer: by name what was done, and why the rest was refused."""
    if diagnosis.treatment != "skip":
        return {}, ()
    done: dict[str, Rewiring] = {}
    refused: dict[str, list[str]] = {}
    for how, name in HOW.items():
        report(0, 0, f"rewiring by {name}")
        try:
            done[name] = rewire(build(case, 0), inputs_of(case), how=how, diagnosis=diagnosis)
        except RewireError as error:
            refused.setdefault(str(error), []).append(name)
    return done, tuple(f"By {' and by '.join(who)}: {why}" for why, who in refused.items())


def treated_cases(
    case: Case, diagnosis: Diagnosis, rewirings: Mapping[str, Rewiring]
) -> dict[str, Case]:
    """Return the cases to hold against the given one, by name."""
    if rewirings:
        return {
            name: case.replace(model=Rewired(case.model, inputs_of(case), rewiring.plan))
            for name, rewiring in rewirings.items()
        }
    main = diagnosis.findings[0] if diagnosis.findings else None
    rate = main.suggestion.get("learning_rate") if main else None
    if diagnosis.treatment == "learning-rate" and rate is not None:
        return {f"learning rate {rate:g}": with_learning_rate(case, rate)}
    rates = _of_several(main) if main else {}
    if diagnosis.treatment == "learning-rate" and rates:
        said = ", ".join(f"{own:g} ({name})" for name, own in rates.items())
        return {f"learning rate {said}": with_learning_rates(case, rates)}
    remedies: Mapping[str, tuple[str, Callable[[Case], Case]]] = {
        "precision": ("float32", in_float32),
        "unfreeze": ("unfrozen", unfrozen),
        "optimizer": ("unfrozen", unfrozen),
        "initialisation": ("better start", better_start),
        "normalisation": ("better start", better_start),
    }
    if diagnosis.treatment in remedies:
        name, remedy = remedies[diagnosis.treatment]
        # Where the remedy cannot be applied by itself, the words of the finding remain.
        with contextlib.suppress(CaseError):
            return {name: remedy(case)}
    return {}


def _of_several(finding: Finding) -> dict[str, float]:
    """Return the rates that are proposed for several optimizers, by name."""
    start = "learning_rate/"
    known = finding.suggestion.items()
    return {key.removeprefix(start): rate for key, rate in known if key.startswith(start)}


@dataclass(frozen=True)
class Rewired:
    """A model factory: the case's model with a plan applied. Plain data, so processes share it."""

    model: Callable[[], nn.Module]
    inputs: Any
    plan: Plan

    def __call__(self) -> nn.Module:
        """Build the plain model with the random numbers of now, then rewire it."""
        # A rewired model may hold new weights: they must not shift the random numbers that
        # the training draws after, or its data order would differ from the plain twin's.
        plain = self.model()
        state = torch.get_rng_state()
        model = rewire(plain, self.inputs, plan=self.plan).model
        torch.set_rng_state(state)
        assert model is not None
        return model
