"""A time limit on one training, by a signal that Python obeys."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class OverTime(BaseException):
    """The limit is over. Not an `Exception`, which a user's loop may catch and go on."""


@contextmanager
def at_most(seconds: float | None) -> Iterator[None]:
    """Raise `OverTime` inside the block after so many seconds; `None` never does.

    It rings between two steps of the interpreter, in the main thread, where there is SIGALRM. An
    alarm that was set before rings on time afterwards.
    """
    alarmed = hasattr(signal, "setitimer") and (
        threading.current_thread() is threading.main_thread()
    )
    if seconds is None or not alarmed:
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        spent = seconds - signal.setitimer(signal.ITIMER_REAL, 0)[0]
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - spent, 1e-3), interval)


def _ring(number: int, frame: Any) -> None:
    raise OverTime
