"""Images as matrices of positions × channels, and the few operations on them.

A matrix's columns are cut without a copy, `X[:, :C]`, which is what makes concatenation free. Rows
are worked on in pieces that stay in the cache.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

# Floats that are worked on at a time. Smaller pieces stay closer to the cores, larger ones need
# fewer calls; measured with benchmarks/speed/dense_block.py on one thread and two.
_PIECE = 1 << 20


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
        if memory is not None and memory.shape == (rows, columns):
            return memory
        if memory is None or memory.numel() < rows * columns:
            memory = self._slots[slot] = self._like.new_empty(rows, columns)
            return memory
        return memory.as_strided((rows, columns), (columns, 1))


def to_rows(image: Tensor) -> Tensor:
    """Return `(batch, channels, *sizes)` as a matrix; a view where the channels lie last."""
    channels = image.shape[1]
    if image.stride() == _channels_last(image.shape[0], channels, image.shape[2:]):
        return image.as_strided((image.numel() // channels, channels), (channels, 1))
    return image.movedim(1, -1).reshape(-1, channels)


def to_image(rows: Tensor, batch: int, sizes: tuple[int, ...]) -> Tensor:
    """Return a contiguous matrix as `(batch, channels, *sizes)`, a view with the channels last."""
    channels = rows.shape[1]
    return rows.as_strided((batch, channels, *sizes), _channels_last(batch, channels, sizes))


def new_image(like: Tensor, batch: int, channels: int, sizes: tuple[int, ...]) -> Tensor:
    """Return an image of any content whose channels lie last, and which is no view.

    Autograd refuses to change a view in place when a function returned it, and a ReLU in place is
    what often follows.
    """
    strides = _channels_last(batch, channels, sizes)
    return like.new_empty_strided((batch, channels, *sizes), strides)


def _channels_last(batch: int, channels: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of an image whose channels lie last."""
    strides = [channels * math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    return (channels * math.prod(sizes), 1, *strides)


@functools.lru_cache(maxsize=1024)
def pieces(rows: int, columns: int, unit: int = 1) -> tuple[slice, ...]:
    """Cut the rows into pieces of a size that suits the cache, each a multiple of `unit`."""
    size = max(unit, _PIECE // columns // unit * unit)
    return tuple(slice(start, min(start + size, rows)) for start in range(0, rows, size))


def longest(rows: int, columns: int, unit: int = 1) -> int:
    """Return how many rows the largest piece has."""
    first = pieces(rows, columns, unit)[0]
    size: int = first.stop - first.start
    return size


def cut(matrix: Tensor, piece: slice) -> Tensor:
    """Return the rows of a piece; for all rows the matrix itself, which saves a call."""
    return matrix if piece.stop - piece.start == matrix.shape[0] else matrix[piece]


def scale_shift_relu(x: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> Tensor:
    """Return `relu(x * scale + shift)`, written into `out`."""
    for piece in pieces(*x.shape):
        torch.addcmul(shift, cut(x, piece), scale, out=cut(out, piece)).relu_()
    return out


def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return each channel's mean and biased variance over all rows."""
    mean, variance = torch.batch_norm_update_stats(rows, None, None, 0.0)
    return mean, variance


def mask(gradient: Tensor, activation: Tensor) -> Tensor:
    """Set a gradient to zero, in place, where the ReLU that gave `activation` was closed."""
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)
    return gradient
