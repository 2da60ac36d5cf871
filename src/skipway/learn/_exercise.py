"""`Exercise`: one exercise of the course, and the course in order. Nothing here imports torch."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .._errors import LearnError

COURSE = Path(__file__).parent / "course"


@dataclass(frozen=True)
class Exercise:
    """One exercise: its place in the order, its name, its title and its texts."""

    number: int
    name: str
    title: str

    @property
    def folder(self) -> Path:
        """Where its files lie inside the package."""
        return COURSE / self.name

    @property
    def file_name(self) -> str:
        """How the learner's file is called."""
        return f"{self.number:02d}_{self.name}.py"

    @property
    def stub(self) -> str:
        """The file as the learner gets it."""
        return self._read("exercise.py")

    @property
    def solution(self) -> str:
        """One way to write it."""
        return self._read("solution.py")

    @property
    def hint(self) -> str:
        """Where to look, as Markdown."""
        return self._read("hint.md")

    @property
    def explanation(self) -> str:
        """What was just learned, as Markdown."""
        return self._read("explanation.md")

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def course() -> tuple[Exercise, ...]:
    """Return all exercises in order."""
    lines = (COURSE / "order.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(": ", 1) for line in lines if line.strip()]
    return tuple(Exercise(i, name, title) for i, (name, title) in enumerate(pairs, start=1))


def find(spec: str) -> Exercise:
    """Return the exercise that `spec` means: a number, a name, or the learner's file.

    Raises:
        LearnError: there is none; the message names close ones.
    """
    stem = Path(spec).name.removesuffix(".py")
    for exercise in course():
        names = (exercise.name, exercise.file_name[:-3])
        if stem in names or (stem.isdecimal() and int(stem) == exercise.number):
            return exercise
    known = {exercise.name: exercise for exercise in course()}
    close = difflib.get_close_matches(stem, known, n=1, cutoff=0.4)
    meant = f" Did you mean {close[0]}?" if close else ""
    raise LearnError(
        f"There is no exercise {spec!r}.{meant} `skipway learn list` has all "
        f"{len(known)}; give a number or a name."
    )
