"""Every error the library raises by itself.

```
SkipwayError
├── CaseError        a case cannot be found, loaded or trained
├── ModelError       the model cannot be run: no parameters, an exception in forward
├── BatchError       the batch does not fit the model, or holds NaN, or one sample only
├── LossError        the loss is not a scalar, carries no gradient or is not finite
├── OptimizerError   the optimizer does not hold the model's parameters
├── RewireError      no place for a skip, or a plan that does not fit this model
├── SkipError        the two sides of a skip do not fit, or a building block is built wrongly
├── LearnError       no course here, no such exercise, or a damaged progress file
├── RunError         a run folder that belongs to another configuration, or is damaged
├── WeightsError     a file of weights cannot be read, or belongs to another network
└── ExtraError       a package that an extra brings is not installed (an ImportError as well)
```

A message says what was given, what was expected and how to fix it, and names the layer where
there is one. Where the docs have more, a note below it says which page; the command line shows the
same, and on Python 3.10, which knows no notes, only the command line does.
"""

from __future__ import annotations

import sys
import warnings


class SkipwayError(Exception):
    """The root of every error that skipway raises by itself.

    Attributes:
        page: where the docs have more, `"rewire#the-optimizer"`; empty where they have not.

    Example:
        >>> error = SkipwayError("The two sides differ.", page="rewire#where")
        >>> error.more
        'More: skipway docs rewire#where'
    """

    page: str = ""

    def __init__(self, message: str = "", *, page: str = "") -> None:
        super().__init__(message)
        if page:
            self.page = page
        if self.more and sys.version_info >= (3, 11):
            self.add_note(self.more)

    @property
    def more(self) -> str:
        """Where to read on, in words; empty where there is nothing."""
        return more(self.page)


def more(page: str) -> str:
    """Return the line that leads to a page of the docs, or to a section of one."""
    return f"More: skipway docs {page}" if page else ""


class CaseError(SkipwayError):
    """A case cannot be found, loaded or trained."""

    page = "tutorial#the-patient"


class ModelError(SkipwayError):
    """The model cannot be run."""

    page = "diagnosis#what-it-cannot-see"


class BatchError(SkipwayError):
    """The batch does not fit the model or the loss."""

    page = "stuck#my-loss-is-stuck"


class LossError(SkipwayError):
    """The loss cannot be differentiated."""

    page = "diagnosis#diagnosing-a-network"


class OptimizerError(SkipwayError):
    """The optimizer does not hold the model's parameters."""

    page = "stuck#frozen"


class RewireError(SkipwayError):
    """A skip connection cannot be placed, or a plan does not fit the model."""

    page = "rewire#when-it-says-no"


class SkipError(SkipwayError):
    """The two sides of a skip connection do not fit, or a building block is built wrongly."""

    page = "building-blocks#when-the-two-sides-do-not-fit"


class LearnError(SkipwayError):
    """There is no course here, no such exercise, or the progress cannot be read."""

    page = "learn#when-you-are-stuck"


class RunError(SkipwayError):
    """A run folder belongs to another configuration, or is damaged."""

    page = "compare#stop-it-go-on-ask-first"


class WeightsError(SkipwayError):
    """A file of weights cannot be read, or belongs to another network."""

    page = "security#files-that-are-only-read"


class ExtraError(SkipwayError, ImportError):
    """A package that one of skipway's extras brings cannot be imported.

    An `ImportError` as well, so that `try: from skipway.integrations...` works as everywhere.
    """

    page = "frameworks#in-the-framework-you-train-with"


class SkipwayWarning(UserWarning):
    """Something that training shows and that its loop should know: the category of warnings."""


def warn(message: str, *, page: str = "") -> None:
    """Warn at the line of the caller's own code, past the frames of skipway and torch."""
    message = f"{message}\n{more(page)}" if page else message
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, SkipwayWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    return module.partition(".")[0] in ("skipway", "torch", "contextlib")
