"""Run a learner's file and its check in this process, and turn whatever happens into a verdict."""

from __future__ import annotations

import importlib
import linecache
import sys
import traceback
from pathlib import Path
from types import ModuleType

from ._marking import Wrong
from ._printed import LINES, Flood, Printed
from ._verdict import Verdict


def examine(name: str, file: Path) -> Verdict:
    """Return the verdict on the answer in `file` to the exercise `name`."""
    printed = Printed()
    sys.stdout = sys.stderr = printed
    try:
        verdict = judge(name, load(file), str(file))
    except BaseException as error:
        verdict = explain(error, str(file))
    finally:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    return Verdict(verdict.kind, verdict.message, verdict.line, printed.shown(), verdict.picture)


def load(file: Path) -> ModuleType:
    """Run the file as a module of its own."""
    module = ModuleType(file.stem)
    module.__file__ = str(file)
    sys.modules[file.stem] = module  # dataclasses and pickle look a module up by its name
    exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
    return module


def judge(name: str, answer: ModuleType, file: str) -> Verdict:
    """Return the verdict on an answer that could be loaded."""
    check = importlib.import_module(f"skipway.learn.course.{name}.check")
    try:
        check.check(answer)
    except BaseException as error:
        return explain(error, file)
    try:
        return Verdict("right", picture=check.picture(answer))
    except Exception:
        # The picture draws on the learner's code in new ways; the answer is right all the same.
        return Verdict("right")


def explain(error: BaseException, file: str) -> Verdict:
    """Return the verdict on an answer that raised, with the learner's own line."""
    line = _line(error, file)
    if isinstance(error, Wrong):
        return Verdict("wrong", str(error))
    if isinstance(error, NotImplementedError) and not str(error):
        return Verdict(
            "unwritten", f"Line {line} is where you begin: {_what_to_write(error)}", line
        )
    if isinstance(error, Flood):
        return Verdict(
            "error", f"Line {line} has printed more than {LINES:,} lines and was stopped. Is it in "
            "a loop that should end earlier?", line,
        )  # fmt: skip
    if isinstance(error, SyntaxError):
        return Verdict("error", f"Python cannot read line {line}: {error.msg}.", line)
    if isinstance(error, SystemExit):
        return Verdict("error", f"Line {line} ends the program; take the exit out.", line)
    if line is None:
        return Verdict("error", f"The check could not work with your code: {_say(error)}")
    return Verdict("error", f"Line {line} raised {_say(error)}", line)


def _what_to_write(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"write `{frame.name}` in the place of `raise NotImplementedError`. What it is to do "
        "stands at the top of the file."
    )


def _say(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line(error: BaseException, file: str) -> int | None:
    """Return the innermost line of the learner's file that the error went through."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    linecache.checkcache(file)
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == file]
    return frames[-1].lineno if frames else None
