"""Many parameters in one flat buffer: what one real step did to each, in a handful of calls.

A call per tensor costs microseconds whatever its size, and a network of twenty layers has forty
tensors. So the weights before the step, the gradients and the weights after it are gathered into
three flat buffers, one call each, and every quantity is one pass over a buffer, summed tensor by
tensor. Each tensor begins at a multiple of `ROW` numbers, the rest of its last row stays zero, so
that sums run over whole rows.
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
_ROWS_AT_ONCE = 2048  # what a pass works on fits into a core's own cache
QUANTITIES = ("weight", "gradient", "step", "progress", "with_gradient", "lost", "epsilon")
ABSENT = -1.0  # in place of the sum over a gradient that there is none of
Sums = NDArray[np.float64]


@dataclass
class Arena:
    """Memory that several batches share, since only one of them is under way at a time."""

    before: Tensor
    gradient: Tensor
    after: Tensor

    @classmethod
    def of(cls, rows: int, dtype: torch.dtype, device: torch.device) -> Arena:
        """Return zeroed memory for so many rows."""
        size = rows * ROW
        made = [torch.zeros(size, dtype=dtype, device=device) for _ in range(3)]
        return cls(*made)


def rows_of(parameter: Tensor) -> int:
    """Return how many rows a parameter takes."""
    return max(1, math.ceil(plain(parameter).numel() / ROW))


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
        self._shared = shared
        self._sharded = any(is_sharded(each) for each in parameters)
        self._simple = not self._sharded and not any(each.is_complex() for each in parameters)
        self.dtype = arena.before.dtype
        self._own: list[Tensor] = []
        self._pointers: list[int] = []
        self._pieces: list[Tensor] | None = None
        self._look_up()
        self.before = self._views(arena.before)
        self.gradient = self._views(arena.gradient)
        self.after = self._views(arena.after)
        self.absent: list[int] = []
        size = sum(self.rows) * ROW
        self.flat = [each[:size] for each in (arena.before, arena.gradient, arena.after)]
        self._workspace: _Workspace | None = None

    def _look_up(self) -> None:
        self._own = [plain(each) for each in self.parameters]
        self._pointers = [each.data_ptr() for each in self._own]
        self._pieces = self._padded() if self._alike else None

    @property
    def _alike(self) -> bool:
        return all(own.is_contiguous() and own.dtype == self.dtype for own in self._own)

    def _padded(self) -> list[Tensor]:
        """Return the parameters as flat pieces with zeros between them, as they lie in a buffer."""
        pieces = []
        for own, rows in zip(self._own, self.rows, strict=True):
            pieces.append(own.view(-1))
            rest = rows * ROW - own.numel()
            if rest:
                pieces.append(own.new_zeros(rest))
        return pieces

    def _take(self, views: list[Tensor], flat: Tensor) -> None:
        own = self._current()
        if self._pieces is None:
            torch._foreach_copy_(views, own)
        else:
            torch.cat(self._pieces, out=flat)

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

    def take_before(self) -> None:
        """Keep the weights as they are before the step."""
        if self._shared:
            self._zero_ends()
        self._take(self.before, self.flat[0])

    def _zero_ends(self) -> None:
        # Another batch may have used this memory: the end of each last row has to be zero.
        for flat in self.flat:
            for start, rows, own in zip(self.starts, self.rows, self._own, strict=True):
                flat[int(start) * ROW + own.numel() : int(start + rows) * ROW].zero_()

    def take_gradients(self) -> None:
        """Keep the gradients that the step will use; those that are missing count as zero."""
        grads = [each.grad for each in self.parameters]
        self.absent = [at for at, each in enumerate(grads) if each is None]
        if not self.absent:
            self._gather([each for each in grads if each is not None])
            return
        for view, grad, parameter in zip(self.gradient, grads, self.parameters, strict=True):
            if grad is None:
                view.zero_()
            else:
                view.copy_(plain_gradient(grad, parameter))

    def _gather(self, grads: list[Tensor]) -> None:
        if not self._simple or any(each.is_sparse for each in grads):
            both = zip(grads, self.parameters, strict=True)
            grads = [plain_gradient(grad, parameter) for grad, parameter in both]
        torch._foreach_copy_(self.gradient, grads)

    def sums(self, scale: float, *, counts: bool, moments: Moments | None = None) -> Sums:
        """Return the sums of each parameter after the step, one row for each of `QUANTITIES`.

        Args:
            scale: that the gradients still carry (of AMP).
            counts: whether weights are counted; 0 in the sums otherwise.
            moments: of Adam, where its epsilon is to be judged; 0 in the sums otherwise.
        """
        self._take(self.after, self.flat[2])
        if self._workspace is None:
            make = _OnHost if self.flat[0].device.type == "cpu" else _OnDevice
            self._workspace = make(self)
        found = self._workspace.sums(counts)
        found[1] /= scale * scale
        found[3] /= scale
        found[6] = 0.0 if moments is None else self._workspace.below(self, moments)
        found[1, self.absent] = ABSENT
        return found


@dataclass
class Moments:
    """Adam's second moments of the parameters of a batch, and below what its epsilon rules."""

    tensors: list[Tensor]
    limits: list[float]


class _Workspace:
    def sums(self, counts: bool) -> Sums:
        raise NotImplementedError

    def below(self, batch: Batch, moments: Moments) -> NDArray[np.float64]:
        raise NotImplementedError


class _OnHost(_Workspace):
    """NumPy on the very memory of the buffers.

    The numbers of one row are summed in their own width, which costs at most a few of the last
    of their digits (2e-7 in float32), rows are summed in float64. A tensor whose squares are so
    small or so large that float32 cannot hold them is summed again, number by number in float64.
    """

    def __init__(self, batch: Batch) -> None:
        self.starts = batch.starts
        self.ends = np.append(batch.starts[1:], sum(batch.rows))
        self.before, self.gradient, self.after = (
            each.numpy().reshape(-1, ROW) for each in batch.flat
        )
        rows = len(self.before)
        self.difference = np.empty((min(rows, _ROWS_AT_ONCE), ROW), self.before.dtype)
        self.by_row = np.empty((4, rows), self.before.dtype)
        tiny = np.finfo(self.before.dtype).smallest_normal
        # What rounding near the smallest number may take from each square, and 10^7 times that.
        self.floor = (self.ends - self.starts) * ROW * float(tiny) * 1e2

    def sums(self, counts: bool) -> Sums:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            for start in range(0, len(self.before), _ROWS_AT_ONCE):
                self._piece(slice(start, start + _ROWS_AT_ONCE))
            found = np.zeros((len(QUANTITIES), len(self.starts)))
            np.add.reduceat(self.by_row, self.starts, axis=1, out=found[:4], dtype=np.float64)
            # NaN compares as neither larger nor smaller, so this asks for what holds when
            # all is well.
            well = (found[:3] > self.floor) & (found[:3] < math.inf)
            for place in np.flatnonzero(~well.all(0)):
                found[:4, place] = self._again(slice(self.starts[place], self.ends[place]))
        np.negative(found[3], out=found[3])
        if counts:
            found[4:6] = self._counts()
        return found

    def _piece(self, rows: slice) -> None:
        old, slope, new = self.before[rows], self.gradient[rows], self.after[rows]
        step, out = self.difference[: len(old)], self.by_row[:, rows]
        # Nearly equal numbers have an exact difference; no other is off by more than one rounding.
        np.subtract(new, old, out=step)
        np.einsum("ij,ij->i", old, old, out=out[0])
        np.einsum("ij,ij->i", slope, slope, out=out[1])
        np.einsum("ij,ij->i", step, step, out=out[2])
        np.einsum("ij,ij->i", slope, step, out=out[3])

    def _again(self, rows: slice) -> list[float]:
        totals = np.zeros(4)
        for start in range(rows.start, rows.stop, _ROWS_AT_ONCE):
            piece = slice(start, min(start + _ROWS_AT_ONCE, rows.stop))
            old, slope, new = (
                each[piece].astype(np.float64).ravel()
                for each in (self.before, self.gradient, self.after)
            )
            step = new - old
            totals += old @ old, slope @ slope, step @ step, slope @ step
        return list(totals)

    def _counts(self) -> NDArray[np.int64]:
        slope = self.gradient != 0
        return np.stack([self._count(slope), self._count(slope & (self.before == self.after))])

    def _count(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        found = np.add.reduceat(mask.view(np.uint8).ravel(), self.starts * ROW, dtype=np.int64)
        return np.asarray(found)

    def below(self, batch: Batch, moments: Moments) -> NDArray[np.float64]:
        # The weights before the step are done with; the moments take their place.
        torch._foreach_copy_(batch.before, moments.tensors)
        limits = np.repeat(moments.limits, batch.rows)[:, None].astype(self.before.dtype)
        small = (self.before < limits) & (self.gradient != 0)
        return self._count(small).astype(float)


class _OnDevice(_Workspace):
    """The same on an accelerator, brought to the host in one transfer."""

    def __init__(self, batch: Batch) -> None:
        self.before, self.gradient, self.after = (each.view(-1, ROW) for each in batch.flat)
        self.lengths = torch.tensor(batch.rows, device=self.before.device)
        self.kind = wide(self.before)

    def _summed(self, by_row: Sequence[Tensor]) -> Sums:
        data = torch.stack([each.to(self.kind) for each in by_row], 1)
        found: Any = torch.segment_reduce(data, "sum", lengths=self.lengths, axis=0)
        return np.asarray(found.t().cpu().double().numpy())

    def sums(self, counts: bool) -> Sums:
        kind = self.kind
        weight, gradient = self.before.to(kind), self.gradient.to(kind)
        step = self.after.to(kind) - weight
        slope = self.gradient != 0
        lost = slope & (self.after == self.before)
        found = self._summed(
            [
                (weight * weight).sum(1),
                (gradient * gradient).sum(1),
                (step * step).sum(1),
                -(gradient * step).sum(1),
                slope.sum(1),
                lost.sum(1),
            ]
        )
        return np.concatenate([found, np.zeros((1, found.shape[1]))])

    def below(self, batch: Batch, moments: Moments) -> NDArray[np.float64]:
        torch._foreach_copy_(batch.before, moments.tensors)
        limits = torch.tensor(moments.limits, dtype=self.before.dtype, device=self.before.device)
        small = self.before < limits.repeat_interleave(self.lengths)[:, None]
        return np.asarray(self._summed([(small & (self.gradient != 0)).sum(1)])[0])
