"""Check again whenever the learner saves, with keys for hint, solution, next, list and quit."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ._attempt import attempt, save_picture
from ._exercise import Exercise
from ._folder import Folder
from ._keys import Keys
from ._run import Process
from ._screen import show_hint, show_list, show_solution, show_success, show_verdict
from ._verdict import Verdict

POLL = 0.2  # seconds between two looks at the file
GRACE = 0.5  # seconds for which a file may be away: many editors save by moving a new one there
KEYS = "h hint  s solution  n next  l list  r again  q quit"

Stamp = tuple[int, int, int] | None


class Watching:
    """One exercise on the screen at a time."""

    def __init__(self, folder: Folder, exercise: Exercise, console: Console) -> None:
        self.folder, self.exercise, self.console = folder, exercise, console
        self.verdict: Verdict | None = None
        self.stamp: Stamp = None
        self.process = Process(exercise)

    def run(self, keys: Keys) -> None:
        """Check, wait for a save or a key, and so on until the learner quits."""
        try:
            self._run(keys)
        finally:
            self.process.close()

    def _run(self, keys: Keys) -> None:
        self.check(keys)
        while (event := self._wait(keys)) != "q":
            if event in ("saved", "r"):
                self.check(keys)
            elif event == "n":
                if not self._go_on(keys):
                    return
            elif event in ("h", "s", "l"):
                self._show(event)
                self._footer(keys)

    def check(self, keys: Keys) -> None:
        """Check the answer and show what came of it on a fresh screen."""
        # Looked at first: what is saved while the check runs is checked next.
        self.stamp = _stamp(self.file)
        self.console.clear()
        with self.console.status(f"checking {self.exercise.file_name}"):
            self.verdict = attempt(self.folder, self.exercise, self.process)
        # The next one imports torch while the learner reads and writes.
        self.process = Process(self.exercise)
        show_verdict(self.console, self.folder, self.exercise, self.verdict)
        if self.verdict.passed:
            png = save_picture(self.folder, self.exercise, self.verdict)
            show_success(self.console, self.folder, self.exercise, self.verdict, png)
        self._footer(keys)

    @property
    def file(self) -> Path:
        """The file that is watched."""
        return self.folder.file(self.exercise)

    def _wait(self, keys: Keys) -> str:
        """Return the next key, or `"saved"`."""
        while True:
            try:
                if key := keys.wait(POLL):
                    return key
            except EOFError:
                return "q"
            if _stamp(self.file) != self.stamp:
                if _stamp(self.file) is None:
                    time.sleep(GRACE)
                return "saved"

    def _go_on(self, keys: Keys) -> bool:
        """Go to the next exercise; return False when there is none."""
        if not self.folder.is_done(self.exercise):
            self.console.print(
                Text("\nThis one is not right yet. h shows where to look; s, after an attempt, "
                     "one way to write it.")
            )  # fmt: skip
            return True
        following = self.folder.next()
        if following is None:
            return False
        self.exercise = following
        self.check(keys)
        return True

    def _show(self, key: str) -> None:
        self.console.print()
        if key == "h":
            show_hint(self.console, self.exercise)
        elif key == "l":
            show_list(self.console, self.folder)
        elif self.folder.is_tried(self.exercise):
            show_solution(self.console, self.exercise)
        else:
            self.console.print(Text("Try it first: an attempt, even a wrong one, then s again."))

    def _footer(self, keys: Keys) -> None:
        what = KEYS if keys.working else "Ctrl-C ends"
        self.console.print()
        self.console.print(Text.assemble((what, "reverse"), f"   {self.exercise.file_name}"))


def _stamp(file: Path) -> Stamp:
    """Return what changes when the file is saved, None while it is away."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
