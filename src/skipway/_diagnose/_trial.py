"""A few steps on a copy: what one step alone cannot tell."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ._copied_step import copy_optimizer

Evaluate = Callable[[nn.Module], Tensor]

_TOO = 0.1  # of what the best rate takes of the loss, to be one that learns too
_AROUND = (0.1, 10**-0.5, 1.0, 10**0.5)  # factors tried around the rate that is aimed at


def trains(model: nn.Module) -> bool:
    """Tell whether any part of a model is in training mode; some may be meant not to be."""
    return any(module.training for module in model.modules())


def try_steps(
    model: nn.Module,
    optimizer: Optimizer,
    turns: Sequence[Evaluate],
    steps: int,
    *,
    factor: float = 1.0,
    also: Evaluate | None = None,
    unfrozen: bool = False,
) -> tuple[list[float], list[float]]:
    """Train a copy and return the loss before every step and after the last one.

    A model that is in eval mode as a whole is trained in training mode.

    Args:
        model: stays as it is.
        optimizer: stays as it is.
        turns: losses of a model, each followed by one step, in turn.
        steps: how many.
        factor: of the optimizer's learning rate.
        also: another loss to follow, without a gradient.
        unfrozen: every parameter learns at the largest rate, also those that are frozen or that
            the optimizer does not hold.

    Returns:
        The losses that were followed, and those of `also`. Both end early, with `inf`, where the
        loss stops being finite.
    """
    clone, twin = _twins(model, optimizer)
    if unfrozen:
        _unfreeze(clone, twin)
    for group in twin.param_groups:
        group["lr"] = group["lr"] * factor
    losses: list[float] = []
    others: list[float] = []
    parameters = [p for p in clone.parameters() if p.requires_grad]
    for step in range(steps + 1):
        with torch.enable_grad():
            loss = turns[step % len(turns)](clone)
        if also is not None:
            with torch.no_grad():
                others.append(_finite(also(clone)))
        losses.append(_finite(loss))
        if step == steps or math.isinf(losses[-1]):
            break
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        twin.step()
    return losses, others


def loss_after(
    model: nn.Module, evaluate: Evaluate, after: Mapping[str, nn.Parameter], factor: float
) -> float:
    """Return the loss after one step, `factor` times as far, for one forward pass more.

    Args:
        model: stays as it is.
        evaluate: the loss of a model.
        after: the parameters after the step by name, of the same types; they are taken as far.
        factor: how many times the way of the step.
    """
    known: dict[int, object] = {}
    with torch.no_grad():
        for name, before in model.named_parameters():
            if name in after:
                known[id(before)] = there = after[name]
                if factor != 1:
                    torch.lerp(before, there, factor, out=there)
        clone = copy.deepcopy(model, known)
        return _finite(evaluate(_training(clone)))


def search_rate(
    model: nn.Module,
    optimizer: Optimizer,
    turns: Sequence[Evaluate],
    steps: int,
    factor: float,
    *,
    smaller: bool = False,
) -> tuple[float, float]:
    """Return the learning rate around `factor` times the optimizer's own that ends lowest.

    Args:
        model: stays as it is.
        optimizer: stays as it is.
        turns: losses of a model, each followed by one step, in turn.
        steps: how many, with each rate.
        factor: of the optimizer's own rate, around which is looked.
        smaller: only rates below the optimizer's own, of which more steps are known.

    Returns:
        The rate, one of 1 and 3 times a power of ten, and the loss it ends at.
    """
    own = float(optimizer.param_groups[0]["lr"])
    ends: dict[float, float] = {}
    for around in _AROUND:
        rate = _round_number(own * factor * around)
        if rate not in ends and not (smaller and rate >= own and ends):
            losses, _ = try_steps(model, optimizer, turns, steps, factor=rate / own)
            ends[rate] = losses[-1]
    best = min(ends, key=lambda rate: ends[rate])
    return best, ends[best]


def gentler_rate(
    model: nn.Module,
    optimizer: Optimizer,
    turns: Sequence[Evaluate],
    steps: int,
    best: tuple[float, float],
) -> tuple[float, float]:
    """Return the next smaller rate than the best, and the loss it ends at, if it learns too.

    Few steps on few samples end lowest near the edge where a training comes apart.

    Args:
        model: stays as it is.
        optimizer: stays as it is.
        turns: losses of a model, each followed by one step, in turn.
        steps: how many.
        best: rate and end of those that were tried; returned where the smaller one hardly learns.
    """
    own = float(optimizer.param_groups[0]["lr"])
    below = _round_number(best[0] * 10**-0.5)
    losses, _ = try_steps(model, optimizer, turns, steps, factor=below / own)
    learns = losses[0] - losses[-1] > _TOO * (losses[0] - best[1])
    return (below, losses[-1]) if learns else best


def _round_number(rate: float) -> float:
    exponent = math.floor(math.log10(rate))
    part = math.log10(rate) - exponent
    if part < 0.25:
        return float(f"1e{exponent}")
    return float(f"3e{exponent}") if part < 0.75 else float(f"1e{exponent + 1}")


def _unfreeze(model: nn.Module, optimizer: Optimizer) -> None:
    model.requires_grad_(True)
    largest = max(group["lr"] for group in optimizer.param_groups)
    for group in optimizer.param_groups:
        group["lr"] = largest
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    others = [p for p in model.parameters() if id(p) not in held]
    if others:
        like = {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}
        optimizer.add_param_group({**like, "params": others})


def _finite(loss: Tensor) -> float:
    value = float(loss.detach())
    return value if math.isfinite(value) else math.inf


def _twins(model: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
    clone = _training(copy.deepcopy(model))
    pairs = zip(model.parameters(), clone.parameters(), strict=True)
    return clone, copy_optimizer(optimizer, {id(own): twin for own, twin in pairs})


def _training(clone: nn.Module) -> nn.Module:
    # Nobody means to train in eval mode: normalisations would stand still.
    return clone if trains(clone) else clone.train()
