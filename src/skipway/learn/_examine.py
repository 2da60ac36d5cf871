"""Run a learner's code and its check in this process, and turn whatever happens into a verdict."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from ._advice import advice
from ._marking import Wrong
from ._printed import LINES, Flood, Printed
from ._verdict import Verdict


def examine(name: str, file: Path) -> Verdict:
    """Return the verdict on the answer in `file` to the exercise `name`."""
    answer = ModuleType(file.stem)
    answer.__file__ = str(file)
    sys.modules[file.stem] = answer  # dataclasses and pickle look a module up by its name
    printed = Printed()
    sys.stdout = sys.stderr = printed
    try:
        exec(compile(file.read_bytes(), str(file), "exec"), answer.__dict__)
        verdict = judge(name, answer, answer.__dict__)
    except BaseException as error:
        verdict = explain(error, answer.__dict__)
    finally:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    return Verdict(verdict.kind, verdict.message, verdict.line, printed.shown(), verdict.picture)


def judge(name: str, answer: Any, names: dict[str, Any]) -> Verdict:
    """Return the verdict on an answer that could be loaded.

    Args:
        name: of the exercise.
        answer: has what the learner defined as attributes.
        names: the globals of the learner's code, by which its lines are known.
    """
    check = importlib.import_module(f"skipway.learn.course.{name}.check")
    try:
        check.check(answer)
    except BaseException as error:
        return explain(error, names)
    try:
        return Verdict("right", picture=check.picture(answer))
    except Exception:
        # The picture draws on the learner's code in new ways; the answer is right all the same.
        return Verdict("right")


def explain(error: BaseException, names: dict[str, Any]) -> Verdict:
    """Return the verdict on an answer that raised, with the learner's own line."""
    line = _line(error, names)
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
    if isinstance(error, KeyboardInterrupt):
        return Verdict("error", f"Interrupted at line {line}.", line)
    if line is None:
        return Verdict("error", f"The check could not work with your code: {_say(error)}")
    return Verdict("error", f"Line {line} raised {_say(error)}", line)


def _what_to_write(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"write `{frame.name}` in the place of `raise NotImplementedError`. What it is to do "
        "stands at the top."
    )


def _say(error: BaseException) -> str:
    text = str(error).strip()
    if not text:
        return type(error).__name__
    what = f"{type(error).__name__}: {text}"
    return f"{what}{'' if what.endswith('.') else '.'} {advice(text)}" if advice(text) else what


def _line(error: BaseException, names: dict[str, Any]) -> int | None:
    """Return the innermost line of the learner's code that the error went through."""
    if isinstance(error, SyntaxError) and error.filename == names.get("__file__"):
        return error.lineno
    frames = traceback.walk_tb(error.__traceback__)
    lines = [number for frame, number in frames if frame.f_globals is names]
    return lines[-1] if lines else None
