"""Results as pages, terminal text and notebook figures.

This package sees plain data only: what `to_dict()` of a result returns. Its key `"result"` tells
which result it is.

```
page(data)    a self-contained HTML page: no request leaves it, it prints, it knows the dark
figure(data)  a static fragment for notebooks: tables and SVG, no script
text(data)    the same for a terminal, as a plain string
show(data)    the same, coloured, on a rich console
plot(data)    the same on matplotlib's axes
progress()    a bar with the time left, on stderr
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

__all__ = ["figure", "page", "plot", "progress", "show", "text"]

# jinja2 and rich are imported on first use: `import skipway.report` stays cheap.


def page(data: Mapping[str, Any]) -> str:
    """Return the result as one HTML page that needs nothing but itself.

    Args:
        data: what `to_dict()` of a result returned.

    Returns:
        The page: styles, script and numbers are inside it.

    Example:
        >>> made = page({"result": "plan", "how": "add", "skips": [], "reason": "Nothing to do."})
        >>> made.startswith("<!doctype html>")
        True
    """
    from ._page import render

    return render(data)


def figure(data: Mapping[str, Any]) -> str:
    """Return the result as a static HTML fragment for a notebook.

    It holds no script and no style sheet; every style is on its element.

    Args:
        data: what `to_dict()` of a result returned.

    Example:
        >>> made = figure({"result": "plan", "how": "add", "skips": [], "reason": "Nothing."})
        >>> "<script" in made, "Nothing." in made
        (False, True)
    """
    from ._figure import fragment

    return fragment(data)


def plot(data: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """Draw the result with matplotlib, the extra `plot`.

    Args:
        data: what `to_dict()` of a result returned.
        ax: where to draw; by default the axes of a new figure of pyplot.

    Returns:
        The axes, to go on with; `.figure` is what loggers take.

    Raises:
        SkipwayError: the result has nothing to draw, or matplotlib is not installed.
    """
    from ._plot import axes

    return axes(data, ax)


def text(data: Mapping[str, Any], width: int | None = None, encoding: str | None = None) -> str:
    """Return the result as plain text, without colours.

    Args:
        data: what `to_dict()` of a result returned.
        width: in columns; that of the terminal, and 100 where there is none.
        encoding: of the stream it goes to, which may lack some of the characters; all by default.

    Example:
        >>> print(text({"result": "plan", "how": "add", "skips": [], "reason": "Nothing."}, 40))
        No skips by addition.
        <BLANKLINE>
        Nothing.
    """
    from ._spelled import spelled
    from ._terminal import plain

    return spelled(plain(data, width), encoding)


def show(data: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the result on a rich console, in colour where it has any.

    Args:
        data: what `to_dict()` of a result returned.
        console: where to print; standard output by default.
    """
    from ._terminal import print_on

    print_on(data, console)


def progress(
    title: str = "", *, console: Console | None = None
) -> AbstractContextManager[Callable[[int, int, str], None]]:
    """Return a context manager that gives a callback `(done, total, what)` with a progress bar.

    A total of 0 means that it is not known yet.

    Args:
        title: stands before the bar until there is something better to say.
        console: where to draw; standard error by default. Nothing is drawn where that is no
            terminal.

    Example:
        >>> with progress() as tell:
        ...     tell(1, 2, "training")
    """
    from ._progress import bar

    return bar(title, console)
