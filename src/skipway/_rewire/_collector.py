"""Python's garbage collector waits while a network is rewired."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_waits() -> Iterator[None]:
    """Collect no cycles inside the block; afterwards all is as before, also after an exception.

    Traces and plans are a hundred thousand small objects that live to the end; walking over them
    again and again took a third of the time on a network of 152 layers.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()
