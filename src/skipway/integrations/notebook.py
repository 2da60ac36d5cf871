"""Notebooks: a view of a watched training that refreshes in place, and a whole report in a cell.

A result that ends a cell shows itself already, as a static picture and tables without any script.
"""

from __future__ import annotations

import html
from typing import Any

from .. import Watch, report
from ._missing import missing

try:
    from IPython.display import HTML, DisplayHandle, display
except ImportError as error:
    raise missing("IPython", "notebook", error, page="frameworks#notebooks") from error


def live(watch: Watch) -> Live:
    """Show a watched training below this cell; `update()` after each step redraws it in place.

    Args:
        watch: what `with skipway.watch(...) as watch` gives.

    Example:
        ```python
        with skipway.watch(model, optimizer) as watch:
            view = live(watch)
            for x, y in loader:
                optimizer.zero_grad()
                watch.loss(loss_fn(model(x), y)).backward()
                optimizer.step()
                view.update()
        ```
    """
    return Live(watch)


class Live:
    """A picture of a watched training in a notebook; made by `live`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._handle: DisplayHandle | None = display(
            HTML("<em>No step was taken yet.</em>"), display_id=True
        )

    def update(self) -> None:
        """Redraw, if the step that was taken last was looked at."""
        if self._watch.fresh and self._handle is not None:
            self._handle.update(HTML(report.figure(self._watch.diagnosis().to_dict())))


def page(result: Any, *, height: int = 720) -> Any:
    """Return the whole interactive page of a result for a cell, in a frame of its own.

    Args:
        result: any result that can be saved as a page.
        height: of the frame, in pixels.
    """
    # `srcdoc` and no file: Visual Studio Code shows no frame that points at one.
    text = html.escape(report.page(result.to_dict()), quote=True)
    # In a box: of a bare frame IPython warns that it should be an IFrame, which takes no srcdoc.
    return HTML(
        f'<div><iframe srcdoc="{text}" title="skipway report" width="100%" height="{height}" '
        'style="border:0"></iframe></div>'
    )
