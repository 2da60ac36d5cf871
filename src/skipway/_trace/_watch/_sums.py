"""Sums over the rows of two flat buffers, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._numbers_at import wide

ROW = 64
QUANTITIES = ("weight", "gradient", "step", "progress", "with_gradient", "lost", "epsilon")
ABSENT = -1.0  # in place of the sum over a gradient that there is none of
_PIECE = 2**15  # numbers that are widened to float64 at a time
Sums = NDArray[np.float64]


class RowSums:
    """Sums over the rows of both buffers, tensor by tensor; `QUANTITIES` says which."""

    def weights(self) -> None:
        """Take the weights before the step."""
        raise NotImplementedError

    def gradients(self) -> None:
        """Take the gradients."""
        raise NotImplementedError

    def after(self, counts: bool) -> Sums:
        """Take the weights before minus the weights after, and return all sums."""
        raise NotImplementedError

    def below(self, limits: Sequence[float]) -> NDArray[np.float64]:
        """Count, where there is a gradient, what is below the limit of its tensor."""
        raise NotImplementedError


class OnHost(RowSums):
    """NumPy on the very memory of the buffers.

    The numbers of one row are summed in their own width, which costs at most a few of the last
    of their digits (2e-7 in float32), rows are summed in float64. A tensor whose squares are so
    small or so large that float32 cannot hold them is summed again, number by number in float64.
    """

    def __init__(
        self, flat: tuple[Tensor, Tensor], starts: NDArray[Any], rows: Sequence[int]
    ) -> None:
        self._starts, self._rows = starts, rows
        self._moved, self._slope = (each.numpy().reshape(-1, ROW) for each in flat)
        self._by_row = np.empty((4, len(self._moved)), self._moved.dtype)
        self._found = np.zeros((4, len(starts)))
        tiny = float(np.finfo(self._moved.dtype).smallest_normal)
        # What rounding near the smallest number may take from each square, and 10^9 times that.
        self._least = ROW * tiny * 1e2
        self._settled = False
        self._floor = np.asarray(rows) * ROW * tiny * 1e2

    def weights(self) -> None:
        self._sum(0, self._moved, self._moved)
        rows = self._by_row[0]
        self._settled = not (rows.min() > self._least and rows.max() < math.inf)
        if self._settled:
            self._settle(0, 1)  # now, while the weights are still here

    def gradients(self) -> None:
        self._sum(1, self._slope, self._slope)

    def after(self, counts: bool) -> Sums:
        self._sum(2, self._moved, self._moved)
        self._sum(3, self._slope, self._moved)
        self._settle(1 if self._settled else 0, 3)
        found = np.zeros((len(QUANTITIES), len(self._starts)))
        found[:4] = self._found
        if counts:
            slope = self._slope != 0
            found[4] = self._count(slope)
            found[5] = self._count(slope & (self._moved == 0))
        return found

    def _sum(self, at: int, a: NDArray[Any], b: NDArray[Any]) -> None:
        np.einsum("ij,ij->i", a, b, out=self._by_row[at])

    def _settle(self, first: int, end: int) -> None:
        """Sum rows to tensors, those of the squares first to end and what hangs on them."""
        last = 4 if end == 3 else end
        rows, found = self._by_row[first:last], self._found[first:last]
        np.add.reduceat(rows, self._starts, axis=1, out=found, dtype=np.float64)
        squares = self._found[first:end]
        # NaN compares as neither larger nor smaller, so this asks for what holds if all is well.
        well = (squares > self._floor) & (squares < math.inf)
        if not well.all():
            for place in np.flatnonzero(~well.all(0)):
                # After the step the weights before it are gone, and were settled if need be.
                start = 0 if end == 1 else 1
                self._found[start:last, place] = self._again(int(place))[start:last]

    def _again(self, place: int) -> NDArray[np.float64]:
        start = int(self._starts[place]) * ROW
        end = start + self._rows[place] * ROW
        moved, slope = self._moved.reshape(-1), self._slope.reshape(-1)
        totals = np.zeros(4)
        for at in range(start, end, _PIECE):
            piece = slice(at, min(at + _PIECE, end))
            a, b = moved[piece].astype(np.float64), slope[piece].astype(np.float64)
            totals += a @ a, b @ b, a @ a, a @ b
        return totals

    def _count(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        pairs = zip(self._starts.tolist(), self._rows, strict=True)
        counts = [np.count_nonzero(mask[start : start + rows]) for start, rows in pairs]
        return np.asarray(counts, float)

    def below(self, limits: Sequence[float]) -> NDArray[np.float64]:
        by_row = np.repeat(limits, self._rows)[:, None].astype(self._moved.dtype)
        return self._count((self._moved < by_row) & (self._slope != 0))


class OnDevice(RowSums):
    """The same on an accelerator, in float64 throughout, brought to the host in one transfer."""

    def __init__(
        self, flat: tuple[Tensor, Tensor], starts: NDArray[Any], rows: Sequence[int]
    ) -> None:
        self._moved, self._slope = (each.view(-1, ROW) for each in flat)
        self._lengths = torch.tensor(rows, device=self._moved.device)
        self._kind = wide(self._moved)
        self._by_row: list[Tensor] = []

    def weights(self) -> None:
        self._by_row = [self._dot(self._moved, self._moved)]

    def gradients(self) -> None:
        self._by_row.append(self._dot(self._slope, self._slope))

    def _dot(self, a: Tensor, b: Tensor) -> Tensor:
        return (a.to(self._kind) * b.to(self._kind)).sum(1)

    def after(self, counts: bool) -> Sums:
        moved, slope = self._moved, self._slope
        rows = [*self._by_row, self._dot(moved, moved), self._dot(slope, moved)]
        if counts:
            learns = slope != 0
            rows += [learns.sum(1), (learns & (moved == 0)).sum(1)]
        found = np.zeros((len(QUANTITIES), len(self._lengths)))
        found[: len(rows)] = self._summed(rows)
        return found

    def _summed(self, by_row: Sequence[Tensor]) -> Sums:
        data = torch.stack([each.to(self._kind) for each in by_row], 1)
        found: Any = torch.segment_reduce(data, "sum", lengths=self._lengths, axis=0)
        return np.asarray(found.t().cpu().double().numpy())

    def below(self, limits: Sequence[float]) -> NDArray[np.float64]:
        each = torch.tensor(limits, dtype=self._moved.dtype, device=self._moved.device)
        small = self._moved < each.repeat_interleave(self._lengths)[:, None]
        return np.asarray(self._summed([(small & (self._slope != 0)).sum(1)])[0])
