"""One attempt: run the answer, write down how it went, save the picture of a success."""

from __future__ import annotations

from pathlib import Path

from ._exercise import Exercise
from ._folder import Folder
from ._png import save
from ._run import Process
from ._verdict import Verdict


def attempt(folder: Folder, exercise: Exercise, process: Process | None = None) -> Verdict:
    """Check the learner's file of an exercise and record it; a file as it came is no attempt.

    Args:
        folder: the learner's.
        exercise: the one to check.
        process: one that waits already; without it one is started.
    """
    with process or Process(exercise) as ready:
        verdict = ready.run(exercise, folder.file(exercise))
    if folder.file(exercise).is_file() and not folder.is_untouched(exercise):
        folder.progress.record(exercise.name, verdict.passed)
    return verdict


def save_picture(folder: Folder, exercise: Exercise, verdict: Verdict) -> Path | None:
    """Save the picture as a PNG; return its path, or None where matplotlib is missing."""
    assert verdict.picture is not None
    file = folder.path / "pictures" / f"{Path(exercise.file_name).stem}.png"
    return file if save(verdict.picture, file) else None
