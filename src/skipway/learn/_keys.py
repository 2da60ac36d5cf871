"""`Keys`: single keys from the terminal, without Enter, and the terminal as it was afterwards."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType

# An arrow or function key sends several characters that begin with Escape.
_SPECIAL = re.compile(r"\x1b([\[O][0-9;]*[A-Za-z~])?")


class Keys:
    """The keys that were pressed; `working` is False where there is no terminal to read from."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._typed = ""

    @property
    def working(self) -> bool:
        """Whether keys can be pressed here."""
        return self._descriptor is not None

    def wait(self, seconds: float) -> str:
        """Return the key that is pressed within so many seconds, or nothing.

        Raises:
            EOFError: the terminal was closed.
        """
        if self._descriptor is None:
            time.sleep(seconds)
            return ""
        if not self._typed and select.select([self._descriptor], [], [], seconds)[0]:
            pressed = os.read(self._descriptor, 64).decode("utf-8", "replace")
            if not pressed:
                raise EOFError
            self._typed = _SPECIAL.sub("", pressed).lower()
        key, self._typed = self._typed[:1], self._typed[1:]
        return key


@contextlib.contextmanager
def single_keys() -> Iterator[Keys]:
    """Give keys one by one while the block runs; Ctrl-C stays what it is."""
    try:
        import termios
        import tty

        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (ImportError, OSError, ValueError, AttributeError):
        yield Keys(None)
        return
    except termios.error:  # stdin is a file or a pipe
        yield Keys(None)
        return
    handler = signal.signal(signal.SIGTERM, _end)
    try:
        tty.setcbreak(descriptor)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTERM, handler)


def _end(number: int, frame: FrameType | None) -> None:
    # A process that is told to end would leave the terminal without echo.
    raise SystemExit(128 + number)
