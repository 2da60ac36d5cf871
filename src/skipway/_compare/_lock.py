"""One process at a time in the folder of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .._errors import RunError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder; the lock ends with this process at the latest.

    Who holds it may take it again inside: a command holds it around a comparison that takes it too,
    so that nobody comes between the trainings and the report of them. A folder that was made for
    this and holds nothing in the end goes again.

    Raises:
        RunError: another process works in the folder, or it cannot be made.
    """
    from filelock import FileLock, Timeout

    made = [each for each in (folder, *folder.parents) if not each.exists()]
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
        _take_back(folder, made)
        lock.release()


def _take_back(folder: Path, made: Sequence[Path]) -> None:
    """Remove the folders that were made for work which then left nothing in them."""
    if made and [each.name for each in folder.iterdir()] == [".lock"]:
        (folder / ".lock").unlink()
        with suppress(OSError):  # others may have put something beside it
            for each in made:
                each.rmdir()
