"""A progress bar with the time left, on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from .._visible import visible

if TYPE_CHECKING:
    from rich.console import Console

Tell = Callable[[int, int, str], None]
Count = Callable[[int], None]


@contextmanager
def bar(title: str = "", console: Console | None = None) -> Iterator[Tell]:
    """Give a callback `(done, total, what)`; it draws on a terminal and is silent elsewhere."""
    from rich import progress
    from rich.console import Console as MakeConsole

    console = console or MakeConsole(stderr=True)
    if not console.is_terminal:
        yield _silent
        return
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=None, complete_style="#3b87cc", finished_style="#3b87cc"),
        progress.TextColumn("{task.fields[of]}"),
        progress.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with progress.Progress(*columns, console=console, expand=True, transient=True) as drawn:
        task = drawn.add_task(title, total=None, of="")

        def tell(done: int, total: int, what: str) -> None:
            # Names of layers and cases may hold brackets, which are markup to rich.
            words = visible(what).replace("[", "\\[")
            of = f"{done}/{total}" if total else ""
            drawn.update(task, completed=done, total=total or None, description=words, of=of)

        with _shown(tell):
            yield tell


_drawn: list[Tell] = []  # bars on the screen; another one would draw over them


@contextmanager
def _shown(tell: Tell) -> Iterator[None]:
    _drawn.append(tell)
    try:
        yield
    finally:
        _drawn.remove(tell)


@contextmanager
def counter(what: str, console: Console | None = None, after: float = 2.0) -> Iterator[Count]:
    """Give a callback that counts; it draws on a terminal once this has taken `after` seconds.

    Where a bar is drawn already, that one says it.
    """
    begun = time.monotonic()
    tell: Tell = _silent
    with ExitStack() as stack:

        def count(done: int) -> None:
            nonlocal tell
            if tell is _silent and time.monotonic() - begun > after:
                tell = _drawn[-1] if _drawn else stack.enter_context(bar(console=console))
            tell(done, 0, f"{done} {what}")

        yield count


def _silent(done: int, total: int, what: str) -> None:
    del done, total, what
