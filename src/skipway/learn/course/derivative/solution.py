"""5. The derivative of a residual block: one way to write it."""

import torch
from torch import Tensor


def plain(gradient: Tensor, slopes: list[Tensor]) -> Tensor:
    """Return the gradient at the input of layers y = f(x)."""
    for slope in reversed(slopes):
        gradient = gradient * slope
    return gradient


def residual(gradient: Tensor, slopes: list[Tensor]) -> Tensor:
    """Return the gradient at the input of layers y = x + f(x)."""
    for slope in reversed(slopes):
        gradient = gradient * (1 + slope)
    return gradient


def residual_layer(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient at the input of y = x + tanh(W x)."""
    h = torch.tanh(weight @ x)
    # The 1 of 1 + f'(x) is the identity matrix here: the gradient itself.
    return gradient + weight.T @ ((1 - h**2) * gradient)
