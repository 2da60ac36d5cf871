"""One step of every variant before anything is started: what cannot run should fail here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .._case import Case, size
from .._errors import (
    BatchError,
    CaseError,
    LossError,
    ModelError,
    OptimizerError,
    SkipwayError,
)


def check(name: str, case: Case) -> nn.Module:
    """Build the variant, take one step with it, and return it as it was before that step.

    Raises:
        SkipwayError: it cannot be trained; the message says why and how to fix it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _build(name, case)
        _check_optimizer(name, case, model)
        _try_step(name, case, model)
        torch.manual_seed(0)
        return case.model()


def check_comparable(cases: Mapping[str, Case]) -> None:
    """Check that the variants have the same budget and the same amount of data.

    Raises:
        CaseError: they differ, so that a difference would say nothing.
    """
    (first_name, first), *others = cases.items()
    for name, case in others:
        for what, mine, theirs in (
            ("epochs", case.epochs, first.epochs),
            ("batch_size", case.batch_size, first.batch_size),
            ("training samples", size(case.train), size(first.train)),
            ("test samples", size(case.test), size(first.test)),
        ):
            if mine != theirs:
                raise CaseError(
                    f"{name!r} has {mine} {what} and {first_name!r} has {theirs}; only equal "
                    "budgets and the same data can be compared. Make them equal."
                )


def _build(name: str, case: Case) -> nn.Module:
    model = case.model()
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"The model function of {name!r} returned a {type(model).__name__}, not a "
            "torch.nn.Module. Let it build and return the network."
        )
    if not list(model.parameters()):
        raise ModelError(
            f"The model of {name!r} ({type(model).__name__}) has no parameters, so there is "
            "nothing to train. Make its layers attributes of the module, or hold them in an "
            "nn.ModuleList rather than a list."
        )
    return model


def _check_optimizer(name: str, case: Case, model: nn.Module) -> None:
    optimizer = case.make_optimizer(model.parameters())
    held = {id(each) for group in optimizer.param_groups for each in group["params"]}
    if not any(id(parameter) in held for parameter in model.parameters()):
        raise OptimizerError(
            f"The optimizer of {name!r} holds none of the model's parameters: it was built over "
            "other ones. Use the parameters it is given: lambda p: torch.optim.SGD(p, lr=0.01)."
        )


def _try_step(name: str, case: Case, model: nn.Module) -> None:
    batch = case.batch()
    if any(not bool(each.isfinite().all()) for each in _tensors(batch)):
        raise BatchError(
            f"The training data of {name!r} holds NaN or infinite values. Remove or replace "
            "those samples; no network can be trained on them."
        )
    model.train()
    try:
        loss = case.evaluate_loss(model, batch)
    except SkipwayError:
        raise
    except Exception as error:
        raise ModelError(
            f"The first batch of {name!r} does not go through {type(model).__name__} and its loss: "
            f"{type(error).__name__}: {_line(error)}. The batch holds {_shapes(batch)}. Check "
            "that the model takes these inputs and that the loss takes its output and the targets."
        ) from error
    if not loss.requires_grad:
        raise LossError(
            f"The loss of {name!r} has no gradient: no trained parameter takes part in it. Look "
            "for detach(), item(), torch.no_grad() or requires_grad=False on every layer."
        )
    try:
        loss.backward()  # type: ignore[no-untyped-call]  # torch declares no types here
    except Exception as error:
        raise LossError(
            f"The loss of {name!r} cannot be differentiated: {type(error).__name__}: "
            f"{_line(error)}. Look for a tensor that is changed in place after it was used."
        ) from error


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]


def _shapes(batch: Any) -> str:
    return " and ".join(
        f"{str(each.dtype).removeprefix('torch.')} {list(each.shape)}" for each in _tensors(batch)
    )


def _tensors(batch: Any) -> list[Tensor]:
    if isinstance(batch, Tensor):
        return [batch]
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    return [t for each in batch for t in _tensors(each)] if isinstance(batch, (tuple, list)) else []
