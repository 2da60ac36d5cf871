"""The steps of a cure on one case, as the command line does them one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from .._case import Case, split
from .._compare import train
from .._diagnose import diagnose
from .._errors import ModelError, RewireError, SkipwayError
from .._results import Diagnosis, Plan, Rewiring
from .._rewire import rewire
from ._words import counted

Progress = Callable[[int, int, str], None]


def diagnose_case(case: Case, *, epochs: int = 0, progress: Progress | None = None) -> Diagnosis:
    """Diagnose a case's network at the start or after some epochs of its own training."""
    report = progress or quiet
    report(0, 0, f"training {counted(epochs, 'epoch')}" if epochs else "diagnosing")
    return diagnose_at(case, epochs)


def rewire_case(
    case: Case,
    *,
    how: Literal["add", "cat", "dense"] = "add",
    plan: Plan | None = None,
    preserve: bool = False,
) -> Rewiring:
    """Rewire a case's network where its own diagnosis sees the gradient die, or by a plan."""
    inputs = inputs_of(case)
    diagnosis = diagnose_at(case, 0) if plan is None else None
    return rewire(
        build(case, 0), inputs, how=how, diagnosis=diagnosis, plan=plan, preserve=preserve
    )


def inputs_of(case: Case) -> Any:
    """Return the inputs of the case's first batch, which the model's forward takes."""
    if case.objective is not None:
        raise RewireError(
            f"Case {case.name!r} has an objective, so it is unknown which part of its batch the "
            "model takes. Call skipway.rewire(model, inputs) on the model yourself."
        )
    return split(case.batch())[0]


def build(case: Case, seed: int) -> nn.Module:
    """Build the model as a training with this seed would."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = case.model()
        except SkipwayError:
            raise
        except Exception as error:  # whatever the user's function raises
            raise ModelError(
                f"The model function of case {case.name!r} raised {type(error).__name__}: {error}."
            ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"The model function of case {case.name!r} returned a {type(model).__name__}, not a "
            "torch.nn.Module."
        )
    return model


def diagnose_at(case: Case, epochs: int) -> Diagnosis:
    """Do the same without a word on the way."""
    model = build(case, 0)
    optimizer = case.make_optimizer(model.parameters())
    if epochs:
        train(case, model, optimizer, seed=0, epochs=epochs)
    when = f"after {counted(epochs, 'epoch')}" if epochs else "before the first step"
    return diagnose(
        model,
        case.batch(),
        case.loss,
        objective=case.objective,
        optimizer=optimizer,
        when=when,
    )


def quiet(done: int, total: int, what: str) -> None:
    """Hear of the progress, and say nothing."""
