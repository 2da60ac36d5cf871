"""What is said where the framework of an integration is not there."""

from __future__ import annotations

from .._errors import ExtraError


def missing(framework: str, extra: str, error: ImportError, *, page: str) -> ExtraError:
    """Return the error to raise: which framework, what Python said of it, and how to get it."""
    return ExtraError(
        f"skipway.integrations.{extra} needs {framework}, which cannot be imported here: {error}. "
        f"Install it: pip install 'skipway[{extra}]'.",
        page=page,
    )
