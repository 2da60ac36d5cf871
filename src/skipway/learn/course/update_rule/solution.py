"""1. The update rule: one way to write it."""

from collections.abc import Callable

import torch
from torch import Tensor


def updated(weight: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
    """Return the weight after one step."""
    return weight - learning_rate * gradient


def descend(
    weight: Tensor, loss: Callable[[Tensor], Tensor], learning_rate: float, steps: int
) -> Tensor:
    """Return the weight after `steps` steps."""
    for _ in range(steps):
        # A fresh leaf at every step: its gradient starts from nothing.
        weight = weight.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(weight), weight)
        weight = updated(weight, gradient, learning_rate)
    return weight.detach()
