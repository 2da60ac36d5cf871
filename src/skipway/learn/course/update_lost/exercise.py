"""2. The update that does nothing.

A deep network's early layer sees a gradient of 1e-15. The learning rate is 1e-4, a weight is 0.1.
The rule says: move it by 1e-19. But a float32 number has 24 binary digits and no more. Near 0.1
the next number that exists is about 7e-9 away, and a sum is rounded to the number nearest to it.
So 0.1 + 1e-19 is 0.1, at every step, forever, and no error is raised.

spacing(value, dtype)
    Return how far it is from `value`, as a number of that dtype, to the next larger one.

moves(value, update, dtype)
    Return True if a weight of `value` in this dtype changes when `update` is added in this dtype.

needed_gradient(value, learning_rate, dtype)
    Return the size of gradient from which on a step of plain gradient descent moves the weight.
    The sum is rounded to the nearest number, so the step need not be a whole spacing.

dtype is torch.float32, torch.bfloat16, ...; all three return Python numbers (or True and False).
"""

import torch


def spacing(value: float, dtype: torch.dtype) -> float:
    """Return the distance to the next larger number of this dtype."""
    raise NotImplementedError


def moves(value: float, update: float, dtype: torch.dtype) -> bool:
    """Return whether adding `update` changes a weight of `value`."""
    raise NotImplementedError


def needed_gradient(value: float, learning_rate: float, dtype: torch.dtype) -> float:
    """Return the size of gradient from which on the weight moves."""
    raise NotImplementedError
