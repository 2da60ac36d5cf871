"""1. The update rule.

Training is one line, many times over. A weight w has a gradient dL/dw: how much the loss L grows
when w grows. To make the loss smaller, each step moves the weight the other way:

    w_new = w - learning_rate * dL/dw

Write it down once, then use it until the loss is small. Do not use torch.optim.

updated(weight, gradient, learning_rate)
    Return the new weight. Leave the tensor you are given as it is.

descend(weight, loss, learning_rate, steps)
    `loss` is a function: loss(weight) is a tensor that holds one number. Take `steps` steps from
    `weight`; at each one let PyTorch compute the gradient where you are now
    (torch.autograd.grad, or .backward() and .grad), and use `updated`. Return the last weight.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def updated(weight: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
    """Return the weight after one step."""
    raise NotImplementedError


def descend(
    weight: Tensor, loss: Callable[[Tensor], Tensor], learning_rate: float, steps: int
) -> Tensor:
    """Return the weight after `steps` steps."""
    raise NotImplementedError
