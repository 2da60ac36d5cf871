"""Many parameters in one flat buffer: what one real step did to each, in a handful of calls.

A call per tensor costs microseconds whatever its size, and a network of twenty layers has forty
tensors. So the weights before the step and the gradients are gathered into two flat buffers, one
call each, the weights after the step are taken off the first, and every quantity is one pass over
a buffer while it is still in the processor's cache. Each tensor begins at a multiple of `ROW`
numbers, the rest of its last row stays zero, so that sums run over whole rows.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._sums import ABSENT, ROW, OnDevice, OnHost, RowSums, Sums
from ._tensors import is_sharded, plain, plain_gradient

_SHARED = 2**15  # numbers; from here on torch shares a copy among its threads


@dataclass
class Arena:
    """Memory that several batches share, since only one of them is under way at a time.

    Attributes:
        both: `(2 * numbers,)`, for weights and gradients.
    """

    both: Tensor

    @classmethod
    def of(cls, rows: int, dtype: torch.dtype, device: torch.device) -> Arena:
        """Return zeroed memory for so many rows."""
        return cls(torch.zeros(2 * rows * ROW, dtype=dtype, device=device))


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

    Attributes:
        well: whether all the last sums are plainly finite and larger than zero.
    """

    def __init__(
        self, places: Sequence[int], parameters: Sequence[Tensor], arena: Arena, shared: bool
    ) -> None:
        self.places = np.asarray(places)
        self.parameters = list(parameters)
        self.rows = [rows_of(each) for each in parameters]
        self.starts = np.cumsum([0, *self.rows])[:-1]
        self.absent: list[int] = []
        self.well = False
        self.shared = shared
        self._sharded = any(is_sharded(each) for each in parameters)
        self._simple = not self._sharded and not any(each.is_complex() for each in parameters)
        size = sum(self.rows) * ROW
        both = arena.both[: 2 * size]
        self._flat = both[:size], both[size:]
        self._look_up()
        self.weights, self._gradients = (self._views(flat) for flat in self._flat)
        kind = OnHost if both.device.type == "cpu" else OnDevice
        self._sums: RowSums = kind(both, self.starts, self.rows)

    def _look_up(self) -> None:
        self._own = [plain(each) for each in self.parameters]
        self._pointers = [each.data_ptr() for each in self._own]
        dtype = self._flat[0].dtype
        alike = all(own.is_contiguous() and own.dtype == dtype for own in self._own)
        self._pieces = self._padded() if alike else None

    def _padded(self) -> list[tuple[list[Tensor], Tensor]]:
        """Return the parameters as flat pieces with zeros between them, and where they go.

        Few enough at a time that torch copies them in one thread: to wake others takes longer.
        """
        ends = [0]
        for start, rows in zip(self.starts.tolist(), self.rows, strict=True):
            if (start + rows) * ROW - ends[-1] >= _SHARED and start * ROW > ends[-1]:
                ends.append(start * ROW)
        ends.append(len(self._flat[0]))
        found: list[tuple[list[Tensor], Tensor]] = [
            ([], self._flat[0][start:end]) for start, end in pairwise(ends)
        ]
        for start, own, rows in zip(self.starts.tolist(), self._own, self.rows, strict=True):
            pieces, _ = found[bisect_right(ends, start * ROW) - 1]
            rest = rows * ROW - own.numel()
            pieces += [own.view(-1), own.new_zeros(rest)] if rest else [own.view(-1)]
        return found

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
        if self.shared:
            self._zero_ends()
        if self._pieces is None:
            torch._foreach_copy_(self.weights, own)
        else:
            for pieces, place in self._pieces:
                torch.cat(pieces, out=place)

    def _zero_ends(self) -> None:
        # Another batch may have used this memory: the end of each last row has to be zero.
        for flat in self._flat:
            for start, rows, own in zip(self.starts, self.rows, self._own, strict=True):
                flat[int(start) * ROW + own.numel() : int(start + rows) * ROW].zero_()

    def take_gradients(self) -> None:
        """Keep the gradients that the step will use; those that are missing count as zero."""
        found: list[Any] = [each.grad for each in self.parameters]
        self.absent = []
        if self._simple:
            try:
                torch._foreach_copy_(self._gradients, found)
                return
            except (TypeError, RuntimeError):
                pass  # one is missing, or sparse: to ask each of them first would take longer
        self.absent = [at for at, each in enumerate(found) if each is None]
        for view, grad, own in zip(self._gradients, found, self.parameters, strict=True):
            view.zero_() if grad is None else view.copy_(plain_gradient(grad, own))

    def _subtract(self) -> None:
        # Nearly equal numbers have an exact difference; no other is off by more than one rounding.
        torch._foreach_sub_(self.weights, self._current())

    def _now(self, place: int) -> Tensor:
        return self._own[place]

    def sums(self, scale: float, *, counts: bool, moments: Moments | None = None) -> Sums:
        """Return the sums of each parameter after the step, one row for each of `QUANTITIES`.

        Args:
            scale: that the gradients still carry (of AMP).
            counts: whether weights are counted; 0 in the sums otherwise.
            moments: of Adam, where its epsilon is to be judged; NaN in the sums otherwise.
        """
        found, well = self._sums.after(self._subtract, self._now, counts)
        self.well = well and not self.absent
        if scale != 1.0:
            found[1] /= scale * scale
            found[3] /= scale
        if moments is not None:
            # The weights are done with; the moments take their place.
            torch._foreach_copy_(self.weights, moments.tensors)
            found[6] = self._sums.below(moments.limits)
        elif counts:
            found[6] = np.nan
        if self.absent:
            found[1, self.absent] = ABSENT
        return found
