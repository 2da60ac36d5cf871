"""Held against `torch.optim.SGD` itself, step by step."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from skipway.learn._marking import Wrong, expect, function, seeded, tensor
from skipway.learn._picture import Picture, lines

RATE, STEPS = 0.05, 12


def check(answer: ModuleType) -> None:
    """Check `updated`, then `descend`."""
    _check_updated(function(answer, "updated"))
    _check_descend(function(answer, "descend"))


def _check_updated(updated: Any) -> None:
    weight, gradient = (torch.randn(4, 3, generator=seeded(i)) for i in (1, 2))
    given = weight.clone()
    got = tensor(updated(given, gradient, 0.1), "updated", (4, 3))
    if not torch.equal(given, weight):
        raise Wrong(
            "You changed the weight you were given: `-=` and `sub_` write into it. Return a new "
            "tensor instead, `weight - ...`."
        )
    parameter = nn.Parameter(weight.clone())
    parameter.grad = gradient
    torch.optim.SGD([parameter], lr=0.1).step()
    mistakes = {
        "You went uphill: the gradient points to where the loss grows, so the step is minus "
        "learning_rate * gradient.": weight + 0.1 * gradient,
        "You returned the step alone, not the weight after the step.": -0.1 * gradient,
        "You returned learning_rate * gradient. The weight moves by minus that; return the weight "
        "after the move.": 0.1 * gradient,
        "The learning rate is missing: you took the whole gradient as the step.": weight - gradient,
        "You divided the gradient by its length. Plain gradient descent takes it as it is: where "
        "the slope is small the step is small.": weight - 0.1 * gradient / gradient.norm(),
        "You only used the gradient's sign. Its size counts too.": weight - 0.1 * gradient.sign(),
        "You divided by the learning rate instead of multiplying.": weight - gradient / 0.1,
    }
    expect(
        got, parameter.detach(), mistakes,
        "updated does not return weight - learning_rate * gradient.",
    )  # fmt: skip


def _check_descend(descend: Any) -> None:
    start, loss = _problem()
    given = start.clone()
    got = tensor(descend(given, loss, RATE, STEPS), "descend", tuple(start.shape)).detach()
    if not torch.equal(given.detach(), start):
        raise Wrong("descend changed the weight it was given. Start from a copy: weight.clone().")
    path = _sgd(start, loss, STEPS + 1)
    mistakes = {
        "You took one step too few.": path[STEPS - 1],
        "You took one step too many.": path[STEPS + 1],
        "descend returned the weight it started from: the new weight has to be used in the next "
        "step.": path[0],
        "descend came to where one single step leads. Does the new weight replace the old one "
        "each time around?": path[1],
        "The gradients of earlier steps are still in it: .backward() adds to .grad, so clear it "
        "at every step (or take torch.autograd.grad, which does not add).": _never_cleared(),
        "You computed the gradient once, at the start, and took it for every step. The slope "
        "changes as the weight moves: compute it where you are.": _one_gradient(),
        "That is momentum: each step remembers the one before. Plain gradient descent does "
        "not.": _sgd(start, loss, STEPS, momentum=0.9)[-1],
        "You went uphill in descend: is it `updated` that you call?": _uphill(),
    }
    expect(got, path[STEPS], mistakes, "descend does not end where torch.optim.SGD does.")


def _problem() -> tuple[Tensor, Any]:
    """Return a start and a loss whose slope changes on the way."""
    inputs, targets = torch.randn(20, 3, generator=seeded(3)), torch.randn(20, generator=seeded(4))
    start = torch.randn(3, generator=seeded(5))
    return start, lambda weight: ((inputs @ weight).tanh() * 2 - targets).square().mean()


def _sgd(start: Tensor, loss: Any, steps: int, momentum: float = 0.0) -> list[Tensor]:
    weight = nn.Parameter(start.clone())
    optimizer = torch.optim.SGD([weight], lr=RATE, momentum=momentum)
    path = [start]
    for _ in range(steps):
        optimizer.zero_grad()
        loss(weight).backward()
        optimizer.step()
        path.append(weight.detach().clone())
    return path


def _gradient(weight: Tensor, loss: Any) -> Tensor:
    weight = weight.detach().requires_grad_()
    return torch.autograd.grad(loss(weight), weight)[0]


def _never_cleared() -> Tensor:
    weight, loss = _problem()
    total = torch.zeros_like(weight)
    for _ in range(STEPS):
        total = total + _gradient(weight, loss)
        weight = weight - RATE * total
    return weight


def _one_gradient() -> Tensor:
    weight, loss = _problem()
    return weight - STEPS * RATE * _gradient(weight, loss)


def _uphill() -> Tensor:
    weight, loss = _problem()
    for _ in range(STEPS):
        weight = weight + RATE * _gradient(weight, loss)
    return weight


def picture(answer: ModuleType) -> Picture:
    """Draw the loss over the learner's own steps, at three learning rates."""
    start, loss = _problem()
    rows = {
        f"learning rate {rate:g}": [
            float(loss(answer.descend(start.clone(), loss, rate, steps).detach()))
            for steps in range(26)
        ]
        for rate in (0.1, 0.01, 0.001)
    }
    return lines(
        "Your steps: the smaller the learning rate, the less each one removes.", rows,
        x=range(26), x_name="steps", y_name="loss",
    )  # fmt: skip
