"""Sums over the rows of two flat buffers, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._numbers_at import wide

ROW = 256  # short enough for its own width, long enough to be more than a call
QUANTITIES = ("weight", "gradient", "step", "progress", "with_gradient", "lost", "epsilon")
ABSENT = -1.0  # in place of the sum over a gradient that there is none of
# Numbers that are widened to float64 at a time; of more than 10,000 OpenBLAS shares a product among
# threads of its own, which then wait for torch's.
_PIECE = 2**13
Sums = NDArray[np.float64]


class RowSums:
    """Sums over the rows of both buffers, tensor by tensor; `QUANTITIES` says which."""

    def after(
        self, subtract: Callable[[], None], now: Callable[[int], Tensor], counts: bool
    ) -> tuple[Sums, bool]:
        """Return all sums, and whether those of squares are plainly finite and larger than zero.

        Args:
            subtract: takes the weights after the step off those before it, in the first buffer.
            now: gives one tensor as it is after the step.
            counts: whether single weights are counted.
        """
        raise NotImplementedError

    def below(self, limits: Sequence[float]) -> NDArray[np.float64]:
        """Count, where there is a gradient, what is below the limit of its tensor."""
        raise NotImplementedError


class OnHost(RowSums):
    """NumPy on the very memory of the buffers.

    The numbers of one row are summed in their own width, which costs at most a few of the last
    of their digits (2e-7 in float32), rows are summed in float64. A tensor whose squares are so
    small or so large that float32 cannot hold them is summed again, number by number in float64.
    What is summed lies in the cache from one sum to the next, and calls are few: beside a step of
    small tensors it is calls that cost.
    """

    def __init__(self, both: Tensor, starts: NDArray[Any], rows: Sequence[int]) -> None:
        self._starts, self._rows = starts, rows
        self._both = both.numpy().reshape(2, -1, ROW)
        self._moved, self._slope = self._both
        self._by_row = np.empty((4, len(self._moved)), self._moved.dtype)
        self._before, self._after = self._by_row[:2], self._by_row[2:]
        tiny = float(np.finfo(self._moved.dtype).smallest_normal)
        # What rounding near the smallest number may take from each square, and 10^9 times that.
        self._floor = np.asarray(rows) * ROW * tiny * 1e2
        self._top = np.full(len(starts), np.finfo(np.float64).max)

    def after(
        self, subtract: Callable[[], None], now: Callable[[int], Tensor], counts: bool
    ) -> tuple[Sums, bool]:
        by_row, found = self._by_row, np.zeros((len(QUANTITIES), len(self._rows)))
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is summed again
            _dot(self._both, self._both, self._before)
            subtract()
            _dot(self._moved, self._both, self._after)
        np.add.reduceat(by_row, self._starts, axis=1, out=found[:4], dtype=float)
        # NaN compares as neither larger nor smaller, so this asks for what holds if all is well.
        each_well = (found[:3] > self._floor) & (found[:3] <= self._top)
        well = bool(each_well.all())
        if not well:
            for place in np.flatnonzero(~each_well.all(0)).tolist():
                found[:4, place] = self._again(place, now(place))
        if counts:
            slope = self._slope != 0
            found[4] = self._count(slope)
            found[5] = self._count(slope & (self._moved == 0))
        return found, well

    def _again(self, place: int, now: Tensor) -> NDArray[np.float64]:
        """Sum one tensor in float64; what it was before the step is what it is and the way."""
        start = int(self._starts[place]) * ROW
        moved, slope = (each.reshape(-1)[start:] for each in (self._moved, self._slope))
        totals, flat = np.zeros(4), now.reshape(-1)
        for at in range(0, len(flat), _PIECE):
            after = flat[at : at + _PIECE].double().numpy()
            piece = slice(at, at + len(after))
            a, b = moved[piece].astype(np.float64), slope[piece].astype(np.float64)
            with np.errstate(all="ignore"):  # infinity less infinity is what is to be seen
                before = after + a
                totals += before @ before, b @ b, a @ a, a @ b
        return totals

    def _count(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        pairs = zip(self._starts.tolist(), self._rows, strict=True)
        counts = [np.count_nonzero(mask[start : start + rows]) for start, rows in pairs]
        return np.asarray(counts, float)

    def below(self, limits: Sequence[float]) -> NDArray[np.float64]:
        by_row = np.repeat(limits, self._rows)[:, None].astype(self._moved.dtype)
        return self._count((self._moved < by_row) & (self._slope != 0))


def _dot(a: NDArray[Any], b: NDArray[Any], out: NDArray[Any]) -> None:
    """Write the inner products of rows."""
    if hasattr(np, "vecdot"):  # from NumPy 2 on; twice as fast
        np.vecdot(a, b, out=out)
    else:
        np.einsum("...i,...i->...", a, b, out=out)


class OnDevice(RowSums):
    """The same on an accelerator, in float64 throughout, brought to the host in one transfer."""

    def __init__(self, both: Tensor, starts: NDArray[Any], rows: Sequence[int]) -> None:
        self._moved, self._slope = both.view(2, -1, ROW)
        self._lengths = torch.tensor(rows, device=self._moved.device)
        self._kind = wide(self._moved)

    def _dot(self, a: Tensor, b: Tensor) -> Tensor:
        return (a.to(self._kind) * b.to(self._kind)).sum(1)

    def after(
        self, subtract: Callable[[], None], now: Callable[[int], Tensor], counts: bool
    ) -> tuple[Sums, bool]:
        moved, slope = self._moved, self._slope
        rows = [self._dot(moved, moved), self._dot(slope, slope)]
        subtract()
        rows += [self._dot(moved, moved), self._dot(slope, moved)]
        if counts:
            learns = slope != 0
            rows += [learns.sum(1), (learns & (moved == 0)).sum(1)]
        found = np.zeros((len(QUANTITIES), len(self._lengths)))
        found[: len(rows)] = self._summed(rows)
        return found, False

    def _summed(self, by_row: Sequence[Tensor]) -> Sums:
        data = torch.stack([each.to(self._kind) for each in by_row], 1)
        found: Any = torch.segment_reduce(data, "sum", lengths=self._lengths, axis=0)
        return np.asarray(found.t().cpu().double().numpy())

    def below(self, limits: Sequence[float]) -> NDArray[np.float64]:
        each = torch.tensor(limits, dtype=self._moved.dtype, device=self._moved.device)
        small = self._moved < each.repeat_interleave(self._lengths)[:, None]
        return np.asarray(self._summed([(small & (self._slope != 0)).sum(1)])[0])
