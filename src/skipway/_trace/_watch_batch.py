"""Many parameters in one flat buffer: what one real step did to each, in a handful of calls.

A call per tensor costs microseconds whatever its size, and a network of twenty layers has forty
tensors. So the weights before the step and the gradients are gathered into two flat buffers, one
call each, the weights after the step are taken off the first, and every quantity is one pass over
a buffer while it is still in the processor's cache. Each tensor begins at a multiple of `ROW`
numbers, the rest of its last row stays zero, so that sums run over whole rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._numbers_at import wide
from ._watch_tensors import is_sharded, plain, plain_gradient

ROW = 64
QUANTITIES = ("weight", "gradient", "step", "progress", "with_gradient", "lost", "epsilon")
ABSENT = -1.0  # in place of the sum over a gradient that there is none of
_PIECE = 2**15  # numbers that are widened to float64 at a time
Sums = NDArray[np.float64]


@dataclass
class Arena:
    """Memory that several batches share, since only one of them is under way at a time."""

    weights: Tensor
    gradients: Tensor

    @classmethod
    def of(cls, rows: int, dtype: torch.dtype, device: torch.device) -> Arena:
        """Return zeroed memory for so many rows."""
        made = [torch.zeros(rows * ROW, dtype=dtype, device=device) for _ in range(2)]
        return cls(*made)


def rows_of(parameter: Tensor) -> int:
    """Return how many rows a parameter takes."""
    return max(1, math.ceil(plain(parameter).numel() / ROW))


@dataclass
class Moments:
    """Adam's second moments of the parameters of a batch, and below what its epsilon rules."""

    tensors: list[Tensor]
    limits: list[float]


class Batch:
    """Some parameters of one device and one width, measured together.

    Args:
        places: where each one's sums go.
        parameters: on one device.
        arena: of at least as many rows as they take.
        shared: whether other batches use this memory in between.
    """

    def __init__(
        self, places: Sequence[int], parameters: Sequence[Tensor], arena: Arena, shared: bool
    ) -> None:
        self.places = np.asarray(places)
        self.parameters = list(parameters)
        self.rows = [rows_of(each) for each in parameters]
        self.starts = np.cumsum([0, *self.rows])[:-1]
        self.absent: list[int] = []
        self._shared = shared
        self._sharded = any(is_sharded(each) for each in parameters)
        self._simple = not self._sharded and not any(each.is_complex() for each in parameters)
        size = sum(self.rows) * ROW
        self._flat = arena.weights[:size], arena.gradients[:size]
        self._look_up()
        self.weights, self._gradients = (self._views(flat) for flat in self._flat)
        kind = _OnHost if self._flat[0].device.type == "cpu" else _OnDevice
        self._sums: _Sums = kind(self._flat, self.starts, self.rows)

    def _look_up(self) -> None:
        self._own = [plain(each) for each in self.parameters]
        self._pointers = [each.data_ptr() for each in self._own]
        dtype = self._flat[0].dtype
        alike = all(own.is_contiguous() and own.dtype == dtype for own in self._own)
        self._pieces = self._padded() if alike else None

    def _padded(self) -> list[Tensor]:
        """Return the parameters as flat pieces with zeros between them, as they lie in a buffer."""
        pieces = []
        for own, rows in zip(self._own, self.rows, strict=True):
            pieces.append(own.view(-1))
            rest = rows * ROW - own.numel()
            if rest:
                pieces.append(own.new_zeros(rest))
        return pieces

    def _views(self, flat: Tensor) -> list[Tensor]:
        starts = (int(start) * ROW for start in self.starts)
        return [
            flat[start : start + own.numel()].view(own.shape)
            for start, own in zip(starts, self._own, strict=True)
        ]

    def _current(self) -> list[Tensor]:
        # A parameter whose memory was exchanged (`.data = `, sharding) is looked up again.
        if self._sharded or [p.data_ptr() for p in self.parameters] != self._pointers:
            self._look_up()
        return self._own

    def take_weights(self) -> None:
        """Keep the weights as they are before the step."""
        own = self._current()
        if self._shared:
            self._zero_ends()
        if self._pieces is None:
            torch._foreach_copy_(self.weights, own)
        else:
            torch.cat(self._pieces, out=self._flat[0])
        self._sums.weights()

    def _zero_ends(self) -> None:
        # Another batch may have used this memory: the end of each last row has to be zero.
        for flat in self._flat:
            for start, rows, own in zip(self.starts, self.rows, self._own, strict=True):
                flat[int(start) * ROW + own.numel() : int(start + rows) * ROW].zero_()

    def take_gradients(self) -> None:
        """Keep the gradients that the step will use; those that are missing count as zero."""
        found = [each.grad for each in self.parameters]
        grads = [each for each in found if each is not None]
        self.absent = []
        if len(grads) == len(found):
            self._gather(grads)
        else:
            self.absent = [at for at, each in enumerate(found) if each is None]
            for view, grad, own in zip(self._gradients, found, self.parameters, strict=True):
                view.zero_() if grad is None else view.copy_(plain_gradient(grad, own))
        self._sums.gradients()

    def _gather(self, grads: list[Tensor]) -> None:
        if not self._simple or any(each.is_sparse for each in grads):
            both = zip(grads, self.parameters, strict=True)
            grads = [plain_gradient(grad, parameter) for grad, parameter in both]
        torch._foreach_copy_(self._gradients, grads)

    def sums(self, scale: float, *, counts: bool, moments: Moments | None = None) -> Sums:
        """Return the sums of each parameter after the step, one row for each of `QUANTITIES`.

        Args:
            scale: that the gradients still carry (of AMP).
            counts: whether weights are counted; 0 in the sums otherwise.
            moments: of Adam, where its epsilon is to be judged; 0 in the sums otherwise.
        """
        # Nearly equal numbers have an exact difference; no other is off by more than one rounding.
        torch._foreach_sub_(self.weights, self._current())
        found = self._sums.after(counts)
        if scale != 1.0:
            found[1] /= scale * scale
            found[3] /= scale
        if moments is not None:
            # The weights are done with; the moments take their place.
            torch._foreach_copy_(self.weights, moments.tensors)
            found[6] = self._sums.below(moments.limits)
        if self.absent:
            found[1, self.absent] = ABSENT
        return found


class _Sums:
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


class _OnHost(_Sums):
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

    def _count(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        found = np.add.reduceat(mask.view(np.uint8).ravel(), self._starts * ROW, dtype=np.int64)
        return np.asarray(found)

    def below(self, limits: Sequence[float]) -> NDArray[np.float64]:
        by_row = np.repeat(limits, self._rows)[:, None].astype(self._moved.dtype)
        return self._count((self._moved < by_row) & (self._slope != 0)).astype(float)


class _OnDevice(_Sums):
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
