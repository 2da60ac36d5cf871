"""A progress bar with the time left, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .._visible import visible

if TYPE_CHECKING:
    from rich.console import Console

Tell = Callable[[int, int, str], None]


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

        yield tell


def _silent(done: int, total: int, what: str) -> None:
    del done, total, what
