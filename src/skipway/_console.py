"""The terminal, for a command: it says by its exit status when nobody reads on."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from rich.console import Console

UNREAD = 141  # as a shell reports a program that SIGPIPE ended


class CommandConsole(Console):
    """A console whose reader (head, a pager) may have seen enough."""

    def on_broken_pipe(self) -> None:
        """End; rich would do so with status 1, which has a meaning here."""
        nobody_reads()


def nobody_reads() -> NoReturn:
    """End the command without a word; what is still to be written goes nowhere.

    Raises:
        SystemExit: always, with status 141.
    """
    silence(sys.stdout)
    raise SystemExit(UNREAD)


def silence(stream: object) -> None:
    """Let go where nothing can be written, or Python would complain once more at exit."""
    fileno = getattr(stream, "fileno", None)
    if fileno is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), fileno())
