"""5. The derivative of a residual block.

Why does a sum help? Let f act on each entry by itself, with the slope f'(x) there. Then

    y = f(x)        gives    dL/dx = dL/dy * f'(x)
    y = x + f(x)    gives    dL/dx = dL/dy * (1 + f'(x))

One after the other, through n layers, these factors are multiplied. A product of many numbers
near 0 is nothing. A product of many numbers near 1 is still something.

plain(gradient, slopes)
    `gradient` is dL/dy at the last layer's output. `slopes` is a list with one tensor for each
    layer, its f'. Return dL/dx at the first layer's input, for layers y = f(x).

residual(gradient, slopes)
    The same for layers y = x + f(x).

residual_layer(gradient, x, weight)
    Now the entries mix: y = x + tanh(W x), x a vector and `weight` the square matrix W. Return
    dL/dx. (What goes through tanh(W x) is what you wrote in exercise 3.)

Write all three by hand; the check has autograd.
"""

import torch
from torch import Tensor


def plain(gradient: Tensor, slopes: list[Tensor]) -> Tensor:
    """Return the gradient at the input of layers y = f(x)."""
    raise NotImplementedError


def residual(gradient: Tensor, slopes: list[Tensor]) -> Tensor:
    """Return the gradient at the input of layers y = x + f(x)."""
    raise NotImplementedError


def residual_layer(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient at the input of y = x + tanh(W x)."""
    raise NotImplementedError
