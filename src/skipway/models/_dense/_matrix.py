"""Images as matrices of positions × channels, and the few operations on them.

A matrix's columns are cut without a copy, `X[:, :C]`, which is what makes concatenation free. Rows
are worked on in pieces that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Floats that one thread works on at a time. Smaller pieces stay closer to the core, larger ones
# need fewer calls; measured with benchmarks/speed/dense_block.py.
_PIECE = 1 << 19


class Workspace:
    """Memory that the layers of one block use in turn. It lives as long as one pass over them.

    A new tensor for every layer would come from the system, page by page, where it is large: that
    costs more than the arithmetic on it. Because the memory belongs to one pass, threads, devices
    and streams never share it, and nothing is kept afterwards.
    """

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._slots: dict[str, Tensor] = {}

    def take(self, slot: str, rows: int, columns: int) -> Tensor:
        """Return a matrix of any content; it is the slot's until the next call for it."""
        memory = self._slots.get(slot)
        if memory is None or memory.numel() < rows * columns:
            memory = self._like.new_empty(rows * columns)
            self._slots[slot] = memory
        return memory[: rows * columns].view(rows, columns)


def to_rows(image: Tensor) -> Tensor:
    """Return `(batch, channels, *sizes)` as a matrix; a view where the channels lie last."""
    return image.movedim(1, -1).reshape(-1, image.shape[1])


def to_image(rows: Tensor, batch: int, sizes: tuple[int, ...]) -> Tensor:
    """Return a matrix as `(batch, channels, *sizes)`, a view with the channels last."""
    return rows.view(batch, *sizes, rows.shape[1]).movedim(-1, 1)


def new_image(like: Tensor, batch: int, channels: int, sizes: tuple[int, ...]) -> Tensor:
    """Return an image of any content whose channels lie last, and which is no view.

    Autograd refuses to change a view in place when a function returned it, and a ReLU in place is
    what often follows.
    """
    strides: list[int] = []
    step = channels
    for size in reversed(sizes):
        strides.insert(0, step)
        step *= size
    return like.new_empty_strided((batch, channels, *sizes), (step, 1, *strides))


def pieces(rows: int, columns: int, unit: int = 1) -> Iterator[slice]:
    """Cut the rows into pieces of a size that suits the cache, each a multiple of `unit`."""
    size = _PIECE * torch.get_num_threads() // columns
    size = max(unit, size // unit * unit)
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def longest(rows: int, columns: int, unit: int = 1) -> int:
    """Return how many rows the largest piece has."""
    first = next(pieces(rows, columns, unit))
    size: int = first.stop - first.start
    return size


def scale_shift_relu(x: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> Tensor:
    """Return `relu(x * scale + shift)`, written into `out`."""
    for piece in pieces(*x.shape):
        torch.addcmul(shift, x[piece], scale, out=out[piece]).relu_()
    return out


def moments(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return each channel's mean and biased variance over the batch and all positions."""
    mean, variance = torch.batch_norm_update_stats(image, None, None, 0.0)
    return mean, variance


def mask(gradient: Tensor, activation: Tensor) -> Tensor:
    """Set a gradient to zero, in place, where the ReLU that gave `activation` was closed."""
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)
    return gradient
