"""Dense blocks as modules that choose their own way, call by call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._one_piece import OnePiece
from .._ordinary import is_watched
from .._paths import ASKED_FOR, BlockPath
from ._folded import infer
from ._parts import Tail, read_tail
from ._plan import Memory, Refused, make_plan
from ._stem import read_stem, run_stem
from ._training import train


class ChoosesPath(OnePiece):
    """A dense block that is computed without concatenations where that gives the same numbers.

    Attributes:
        memory: `"fast"`, `"lean"` or `"plain"`.
        prepend: whether a layer puts its features before what it has read.
        latest_path: the way the latest call took.
    """

    memory: Memory = "fast"
    prepend: bool = False
    latest_path = BlockPath("", None)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input's features with those of every layer."""
        if not torch.compiler.is_compiling():
            out = attempt(self, None, x)
            if out is not None:
                laid_out: Tensor = _laid_out_like(out, x)
                return laid_out
        return self.run_modules(x)

    def run_modules(self, x: Tensor) -> Tensor:
        """Return the same from the modules, one by one."""
        raise NotImplementedError


def attempt(block: ChoosesPath, tail: Tail | None, x: Tensor) -> Tensor | None:
    """Compute a block with its tail as one function, or return None and record why not."""
    if block.memory == "plain":
        block.latest_path = ASKED_FOR
        return None
    try:
        plan = make_plan(block, tail, x, prepend=block.prepend)
    except Refused as refused:
        block.latest_path = BlockPath("", "plain", str(refused))
        return None
    if not plan.training:
        block.latest_path = BlockPath("", "folded")
        return infer(plan, x)
    block.latest_path = BlockPath("", block.memory)
    return train(plan, x, lean=block.memory == "lean")


class DenseFeatures(OnePiece, nn.Sequential):
    """Modules in a row, where a dense block is computed together with what follows it."""

    memory: Memory = "fast"

    def forward(self, x: Any) -> Any:
        """Return what the modules make of `x`, one after the other."""
        if torch.compiler.is_compiling():
            return super().forward(x)  # type: ignore[no-untyped-call]
        given, rest = x, list(self)
        while rest:
            x, used = self._stage(rest, x)
            rest = rest[used:]
        return _laid_out_like(x, given) if self.memory != "plain" else x

    def _stage(self, rest: list[Any], x: Any) -> tuple[Any, int]:
        """Run the first modules of `rest`; return how many that were."""
        first = rest[0]
        if isinstance(first, ChoosesPath) and not is_watched(first):
            tail = read_tail(rest[1:])
            out = attempt(first, tail, x) if tail is not None else None
            if tail is not None and out is not None:
                return out, 1 + len(tail.modules)
        stem = read_stem(rest) if self.memory != "plain" else None
        if stem is not None:
            try:
                return run_stem(stem, x), len(stem.modules)
            except Refused:
                pass
        return first(x), 1


def _laid_out_like(out: Any, given: Any) -> Any:
    """Give a result the memory format of the input, as torch's own modules do."""
    both = type(given) is Tensor and type(out) is Tensor
    if both and given.is_contiguous() and not out.is_contiguous():
        return out.contiguous()
    return out
