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
└── WeightsError     a file of weights cannot be read, or belongs to another network
```

A message says what was given, what was expected and how to fix it, and names the layer where
there is one.
"""

from __future__ import annotations

import sys
import warnings


class SkipwayError(Exception):
    """The root of every error that skipway raises by itself."""


class CaseError(SkipwayError):
    """A case cannot be found, loaded or trained."""


class ModelError(SkipwayError):
    """The model cannot be run."""


class BatchError(SkipwayError):
    """The batch does not fit the model or the loss."""


class LossError(SkipwayError):
    """The loss cannot be differentiated."""


class OptimizerError(SkipwayError):
    """The optimizer does not hold the model's parameters."""


class RewireError(SkipwayError):
    """A skip connection cannot be placed, or a plan does not fit the model."""


class SkipError(SkipwayError):
    """The two sides of a skip connection do not fit, or a building block is built wrongly."""


class LearnError(SkipwayError):
    """There is no course here, no such exercise, or the progress cannot be read."""


class RunError(SkipwayError):
    """A run folder belongs to another configuration, or is damaged."""


class WeightsError(SkipwayError):
    """A file of weights cannot be read, or belongs to another network."""


class SkipwayWarning(UserWarning):
    """Something that training shows and that its loop should know: the category of warnings."""


def warn(message: str) -> None:
    """Warn at the line of the caller's own code, past the frames of skipway and torch."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, SkipwayWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    return module.partition(".")[0] in ("skipway", "torch", "contextlib")
