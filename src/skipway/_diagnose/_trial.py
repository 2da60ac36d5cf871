"""A few steps on a copy: what one step alone cannot tell."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from torch import Tensor, nn

from ._closure import Closure, Evaluate
from ._copied_step import copy_optimizer
from ._together import Together

_LAST = 10  # of whose losses the mean is taken, for one that jumps


class NotOfTheCopyError(Exception):
    """The loss of a copy has nothing to do with the copy: steps on it would change nothing."""

    def __str__(self) -> str:
        return "a copy of the model computes with parameters of the model itself"


def trains(model: nn.Module) -> bool:
    """Tell whether any part of a model is in training mode; some may be meant not to be."""
    return any(module.training for module in model.modules())


def try_steps(
    model: nn.Module,
    optimizer: Together,
    turns: Sequence[Evaluate],
    steps: int,
    *,
    factor: float = 1.0,
    part: int | None = None,
    also: Evaluate | None = None,
    unfrozen: Sequence[float] | None = None,
    until: float = -math.inf,
) -> tuple[list[float], list[float]]:
    """Train a copy and return the loss before every step and after the last one.

    A model that is in eval mode as a whole is trained in training mode.

    Args:
        model: stays as it is.
        optimizer: stays as it is.
        turns: losses of a model, each followed by one step, in turn.
        steps: how many.
        factor: of the optimizer's learning rate.
        part: which one of several optimizers it is the factor of, by its place; all by default.
        also: another loss to follow, without a gradient.
        unfrozen: every parameter learns at the rate that is given here for each optimizer, also
            those that are frozen or that the optimizer does not hold.
        until: a loss at which it ends early, once the last ten steps lie there in the mean.

    Returns:
        The losses that were followed, and those of `also`. Both end early, with `inf`, where the
        loss stops being finite.
    """
    clone, twin = _twins(model, optimizer)
    if unfrozen is not None:
        _unfreeze(clone, twin, unfrozen)
    for group in twin.groups(part):
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
        if step == steps or math.isinf(losses[-1]) or fmean(losses[-_LAST:]) <= until:
            break
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        if all(each is None for each in gradients):
            raise NotOfTheCopyError
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        twin.step(Closure(clone, turns[step % len(turns)]))
    return losses, others


def loss_after(
    model: nn.Module,
    evaluate: Evaluate,
    after: Mapping[str, nn.Parameter],
    factors: Mapping[str, float],
) -> float:
    """Return the loss after one step, some times as far, for one forward pass more.

    Args:
        model: stays as it is.
        evaluate: the loss of a model.
        after: the parameters after the step by name, of the same types; they are taken as far.
        factors: how many times the way of the step, by name.
    """
    known: dict[int, object] = {}
    with torch.no_grad():
        for name, before in model.named_parameters():
            if name in after:
                known[id(before)] = there = after[name]
                if factors[name] != 1:
                    torch.lerp(before, there, factors[name], out=there)
        clone = copy.deepcopy(model, known)
        return _finite(evaluate(_training(clone)))


def _unfreeze(model: nn.Module, optimizer: Together, rates: Sequence[float]) -> None:
    model.requires_grad_(True)
    for each, rate in zip(optimizer.each, rates, strict=True):
        for group in each.param_groups:
            group["lr"] = rate
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    others = [p for p in model.parameters() if id(p) not in held]
    if others:
        taking = optimizer.general
        like = {k: v for k, v in taking.param_groups[0].items() if k != "params"}
        taking.add_param_group({**like, "params": others})


def _finite(loss: Tensor) -> float:
    value = float(loss.detach())
    return value if math.isfinite(value) else math.inf


def _twins(model: nn.Module, optimizer: Together) -> tuple[nn.Module, Together]:
    clone = _training(copy.deepcopy(model))
    pairs = zip(model.parameters(), clone.parameters(), strict=True)
    return clone, copy_optimizer(optimizer, {id(own): twin for own, twin in pairs})


def _training(clone: nn.Module) -> nn.Module:
    # Nobody means to train in eval mode: normalisations would stand still.
    return clone if trains(clone) else clone.train()
