"""`Progress`: what is done and what was tried, in one small file of the learner's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from .._errors import LearnError
from .._files import write_text

STATE = ".skipway-learn.json"


@dataclass
class Progress:
    """The exercises that are done, and how often each was tried; saved at every change."""

    file: Path
    done: list[str] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Progress:
        """Read the state file of `folder`; without one, nothing is done yet.

        Raises:
            LearnError: the file is there and cannot be understood.
        """
        file = folder / STATE
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            done = [str(name) for name in data["done"]]
            attempts = {str(name): int(n) for name, n in data["attempts"].items()}
        except FileNotFoundError:
            return cls(file)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LearnError(
                f"{file} holds your progress and cannot be read ({error}). Delete it, then "
                "`skipway learn check --all` finds again what you have done."
            ) from error
        return cls(file, done, attempts)

    def record(self, name: str, passed: bool) -> None:
        """Count an attempt; a right answer stays done, whatever comes later."""
        self.attempts[name] = self.attempts.get(name, 0) + 1
        if passed and name not in self.done:
            self.done.append(name)
        self.save()

    def forget(self, name: str) -> None:
        """Take an exercise back to where it started."""
        self.done = [each for each in self.done if each != name]
        self.attempts.pop(name, None)
        self.save()

    def save(self) -> None:
        """Write the state file, whole or not at all."""
        data = {"done": self.done, "attempts": self.attempts}
        write_text(self.file, json.dumps(data, indent=1) + "\n")
