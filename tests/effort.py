"""How much Python work a call takes: instructions of the library that are executed, not seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import skipway

_HOME = str(Path(skipway.__file__).parent)


def instructions(run: Callable[[], object]) -> int:
    """Return how many bytecode instructions of skipway run while `run` does.

    A loop inside one line counts for every time it turns, so what grows with the square of a
    network's depth shows in a small one.
    """
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "call":
            if not frame.f_code.co_filename.startswith(_HOME):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return count


def growth(run: Callable[[int], Callable[[], object]], depth: int) -> float:
    """Return how the further effort grows when the depth does: 2 is linear, 4 is quadratic.

    Args:
        run: makes, for a depth, what is to be counted; the making does not count.
        depth: counted are this depth, twice and four times it.
    """
    first, second, third = (instructions(run(times * depth)) for times in (1, 2, 4))
    return (third - second) / (second - first)
