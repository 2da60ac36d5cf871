"""One process at a time in the folder of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._errors import RunError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder; the lock ends with this process at the latest.

    Who holds it may take it again inside: a command holds it around a comparison that takes it too,
    so that nobody comes between the trainings and the report of them.

    Raises:
        RunError: another process works in the folder, or it cannot be made.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0, is_singleton=True)
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"Another process works in {folder}. Wait for it, stop it, or choose another folder; "
            "what both finished would be the same."
        ) from error
    except OSError as error:
        raise RunError(
            f"Cannot work in {folder}: {error.strerror}. Choose another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()
