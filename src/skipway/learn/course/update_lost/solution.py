"""2. The update that does nothing: one way to write it."""

import math

import torch


def spacing(value: float, dtype: torch.dtype) -> float:
    """Return the distance to the next larger number of this dtype."""
    # Between two powers of two the numbers lie evenly, and eps is their distance from 1 to 2.
    stored = abs(float(torch.tensor(value, dtype=dtype)))
    return torch.finfo(dtype).eps * 2.0 ** math.floor(math.log2(stored))


def moves(value: float, update: float, dtype: torch.dtype) -> bool:
    """Return whether adding `update` changes a weight of `value`."""
    weight = torch.tensor(value, dtype=dtype)
    return bool(weight + torch.tensor(update, dtype=dtype) != weight)


def needed_gradient(value: float, learning_rate: float, dtype: torch.dtype) -> float:
    """Return the size of gradient from which on the weight moves."""
    return spacing(value, dtype) / 2 / learning_rate
