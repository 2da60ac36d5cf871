"""`Printed`: takes what a learner's code prints, and stops a flood."""

from __future__ import annotations

import io

LINES = 2000
SHOWN = 20


class Flood(BaseException):
    """Too much was printed. Not an Exception, so that the code that prints does not catch it."""


class Printed(io.TextIOBase):
    """A text stream that keeps the first lines and raises `Flood` after too many."""

    def __init__(self) -> None:
        self.lines = 0
        self._kept: list[str] = []

    def write(self, text: str) -> int:
        """Keep the text, while few lines came before it."""
        if self.lines < SHOWN:
            self._kept.append(text[:2000])
        self.lines += text.count("\n") + len(text) // 1000
        if self.lines > LINES:
            raise Flood
        return len(text)

    def writable(self) -> bool:
        """Return True: one can print into it."""
        return True

    def shown(self) -> str:
        """Return the first lines, and how many more there were."""
        lines = "".join(self._kept).splitlines()
        more = self.lines - SHOWN
        return "\n".join(lines[:SHOWN]) + (f"\n... and {more} more lines" if more > 0 else "")
