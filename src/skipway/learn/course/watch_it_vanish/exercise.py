"""3. Watch it vanish.

A deep plain network is one layer after another:

    h_0 = x        h_1 = tanh(W_1 h_0)        h_2 = tanh(W_2 h_1)        ...

Going back, the chain rule multiplies by one factor for each layer. From the gradient dL/dh_l at a
layer's output to the one at its input, dL/dh_(l-1):

    dL/dh_(l-1) = W_l^T ( (1 - h_l^2) * dL/dh_l )        because tanh'(z) = 1 - tanh(z)^2

gradient_norms(weights, x, gradient)
    `weights` are the matrices W_1 ... W_n, `x` is one input, a vector; `gradient` is dL/dh_n at the
    output. Return a list of n + 1 numbers, the norms of dL/dh_0, dL/dh_1, ... dL/dh_n, in this
    order. By hand: autograd is switched off here, and the check compares with it.

factor(width, std)
    The entries of W are random numbers with the standard deviation `std`, so each of the `width`
    entries of W^T g is a sum of `width` products. Predict by what factor one layer changes the
    norm of the gradient, as long as tanh is nearly straight (tanh' = 1).

layers_until(factor, size)
    Return after how many layers (a whole number) a gradient of norm 1 has become `size` or less,
    when each layer multiplies it by `factor`, a number between 0 and 1.
"""

import math

import torch
from torch import Tensor


def gradient_norms(weights: list[Tensor], x: Tensor, gradient: Tensor) -> list[float]:
    """Return the norm of the gradient at each depth, the input first."""
    raise NotImplementedError


def factor(width: int, std: float) -> float:
    """Return the predicted factor of one layer."""
    raise NotImplementedError


def layers_until(factor: float, size: float) -> int:
    """Return how many layers make a gradient of 1 as small as `size`."""
    raise NotImplementedError
