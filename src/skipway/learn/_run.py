"""Run a learner's answer in a process of its own, with a time limit. Nothing here imports torch."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from ._exercise import Exercise
from ._verdict import Verdict

SECONDS = 30.0  # for a check that takes under 5 s on an idle core
START = 100.0  # more, for importing torch on a busy machine

_ROOT = str(Path(__file__).resolve().parents[2])
# This very skipway, wherever it lies, and nothing else that lies beside it.
_CHILD = (
    f"import sys; sys.path.insert(0, {_ROOT!r}); import skipway; sys.path.pop(0); "
    "from skipway.learn._child import main; main()"
)


class Process:
    """A process that has torch and the check imported, and waits for one answer."""

    def __init__(self, exercise: Exercise) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="skipway-learn-")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, exercise.name], cwd=self._place.name,
            env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, exercise: Exercise, file: Path, seconds: float = SECONDS) -> Verdict:
        """Return the verdict on `file`, whatever the code in it does; once."""
        if not file.is_file():
            return Verdict(
                "error", f"{file.name} is gone. `skipway learn reset {exercise.number}` brings it "
                "back as it was at the start.",
            )  # fmt: skip
        result = Path(self._place.name) / "verdict.json"
        job = [exercise.name, str(file.resolve()), str(result), seconds]
        try:
            self._process.communicate(f"{json.dumps(job)}\n".encode(), timeout=seconds + START)
        except subprocess.TimeoutExpired:
            return _read(result, file, None, seconds)
        return _read(result, file, self._process.returncode, seconds)

    def close(self) -> None:
        """End the process, if it has not ended."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            with contextlib.suppress(OSError):  # what it did not read any more
                self._process.stdin.close()
        self._place.cleanup()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def run(exercise: Exercise, file: Path, seconds: float = SECONDS) -> Verdict:
    """Return the verdict on `file`, from a process that is started for it."""
    with Process(exercise) as process:
        return process.run(exercise, file, seconds)


def _environment() -> dict[str, str]:
    """Return the environment, its relative paths made absolute: the process runs elsewhere."""
    paths = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    path = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, paths))} if paths else {}
    return {**os.environ, **path, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _read(result: Path, file: Path, status: int | None, seconds: float) -> Verdict:
    if result.is_file():
        return Verdict.from_dict(json.loads(result.read_text(encoding="utf-8")))
    stack = Path(f"{result}.stack")
    frames = stack.read_text(encoding="utf-8", errors="replace") if stack.is_file() else ""
    if status is None or frames:
        return _too_long(frames, file, seconds)
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return Verdict(
        "error",
        f"Your code ended the whole process {how}, before the check could look at it. Out of "
        "memory, or an exit in the code?",
    )


def _too_long(frames: str, file: Path, seconds: float) -> Verdict:
    found = re.search(rf'File "{re.escape(str(file.resolve()))}", line (\d+)', frames)
    line = int(found.group(1)) if found else None
    where = f"It was at line {line} then. " if line else ""
    return Verdict(
        "error",
        f"Your code was still running after {seconds:g} seconds and was stopped. {where}Is there "
        "a loop that never ends?",
        line,
    )
