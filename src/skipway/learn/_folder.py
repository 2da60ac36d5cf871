"""`Folder`: the learner's folder. Their files are written once and are theirs from then on."""

from __future__ import annotations

from pathlib import Path

from .._errors import LearnError
from .._files import write_text
from ._exercise import Exercise, course
from ._progress import STATE, Progress

DEFAULT = Path("skipway-course")


class Folder:
    """A folder with one file for each exercise, and the progress."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.progress = Progress.load(path)

    @classmethod
    def start(cls, path: Path) -> tuple[Folder, list[str]]:
        """Make the folder, or complete it: a file that is there already stays as it is.

        Returns:
            The folder, and the names of the files that were written.

        Raises:
            LearnError: the path is a file, or the progress in it cannot be read.
            SkipwayError: the folder cannot be written.
        """
        if path.exists() and not path.is_dir():
            raise LearnError(f"{path} is a file. Give the course a folder of its own.")
        folder = cls(path)
        missing = [each for each in course() if not folder.file(each).exists()]
        for exercise in missing:
            write_text(folder.file(exercise), exercise.stub)
        folder.progress.save()
        return folder, [exercise.file_name for exercise in missing]

    @classmethod
    def here(cls) -> Folder:
        """Return the course folder one stands in, or the default one below.

        Raises:
            LearnError: there is none.
        """
        here = Path.cwd()
        if around := cls.around(here):
            return cls(around)
        if (here / DEFAULT / STATE).is_file():
            return cls(here / DEFAULT)
        raise LearnError(
            "There is no course here. `skipway learn start` writes it into a new folder, "
            f"{DEFAULT}; if you have one already, cd into it."
        )

    @staticmethod
    def around(place: Path) -> Path | None:
        """Return the course folder that `place` is, or lies in."""
        return next((p for p in (place, *place.parents) if (p / STATE).is_file()), None)

    def file(self, exercise: Exercise) -> Path:
        """Return the learner's file of an exercise."""
        return self.path / exercise.file_name

    def next(self) -> Exercise | None:
        """Return the first exercise that is not done, or None at the end."""
        return next((each for each in course() if not self.is_done(each)), None)

    def is_done(self, exercise: Exercise) -> bool:
        """Whether the exercise was answered rightly once."""
        return exercise.name in self.progress.done

    def is_tried(self, exercise: Exercise) -> bool:
        """Whether an answer was checked that is more than the file as it came."""
        return exercise.name in self.progress.attempts

    def is_untouched(self, exercise: Exercise) -> bool:
        """Whether the learner's file is still as it came."""
        try:
            return self.file(exercise).read_text(encoding="utf-8") == exercise.stub
        except (OSError, UnicodeDecodeError):
            return False

    def reset(self, exercise: Exercise) -> Path | None:
        """Write an exercise anew; what was there is kept beside it.

        Returns:
            Where the learner's version went, or None where there was none to keep.
        """
        file, kept = self.file(exercise), None
        if file.exists() and not self.is_untouched(exercise):
            kept = _free(file)
            file.rename(kept)
        write_text(file, exercise.stub)
        self.progress.forget(exercise.name)
        return kept


def _free(file: Path) -> Path:
    """Return a name for the old version that no file has."""
    number = 1
    while (kept := file.with_suffix(f".old-{number}")).exists():
        number += 1
    return kept
