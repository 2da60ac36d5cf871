"""3. Watch it vanish: one way to write it."""

import math

import torch
from torch import Tensor


def gradient_norms(weights: list[Tensor], x: Tensor, gradient: Tensor) -> list[float]:
    """Return the norm of the gradient at each depth, the input first."""
    outputs = []
    h = x
    for weight in weights:
        h = torch.tanh(weight @ h)
        outputs.append(h)
    norms = [float(gradient.norm())]
    for weight, h in zip(reversed(weights), reversed(outputs), strict=True):
        gradient = weight.T @ ((1 - h**2) * gradient)
        norms.append(float(gradient.norm()))
    return norms[::-1]


def factor(width: int, std: float) -> float:
    """Return the predicted factor of one layer."""
    # A sum of `width` independent products of size std * |g_i|: their squares add up.
    return std * math.sqrt(width)


def layers_until(factor: float, size: float) -> int:
    """Return how many layers make a gradient of 1 as small as `size`."""
    return math.ceil(math.log(size) / math.log(factor))
