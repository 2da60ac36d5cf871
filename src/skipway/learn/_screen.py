"""What the learner sees: where they are, what an answer came to, hints and solutions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from ._draw import draw
from ._exercise import Exercise, course
from ._folder import Folder

if TYPE_CHECKING:
    from ._verdict import Verdict

GOOD, BAD, QUIET = "bold green", "bold red", "dim"
NO_PICTURES = "As a PNG too: pip install 'skipway[plot]' (it needs matplotlib)."


def show_list(console: Console, folder: Folder | None) -> None:
    """Print all exercises, those that are done marked, the next one pointed at."""
    following = folder.next() if folder else None
    width = max(len(each.title) for each in course())
    for each in course():
        done = folder is not None and folder.is_done(each)
        mark = ("✓", GOOD) if done else ("→", "bold") if each == following else ("·", QUIET)
        line = Text.assemble(
            f"{each.number:>2} ", mark, f" {each.title:<{width}}  ", (each.name, QUIET)
        )
        console.print(line)


def show_status(console: Console, folder: Folder) -> None:
    """Print how far the learner is, and what to do now."""
    following, total = folder.next(), len(course())
    done = sum(folder.is_done(each) for each in course())
    bar = ("█" * done, GOOD), ("░" * (total - done), QUIET)
    console.print(Text.assemble(*bar, f"  {done} of {total} done"))
    if following is None:
        console.print(Text("\nThat was the last one. " + THE_END))
        return
    tried = folder.progress.attempts.get(following.name, 0)
    again = f", tried {tried} time{'s' * (tried != 1)}" if tried else ""
    console.print(
        Text.assemble(
            (f"\nNext: {following.number} {following.title}", "bold"), again,
            f"\nEdit {_shown(folder.file(following))}, then `skipway learn check`; or leave "
            "`skipway learn watch` running, which checks whenever you save.\n"
            "Stuck? `skipway learn hint`, and after an attempt `skipway learn solution`.",
        )
    )  # fmt: skip


THE_END = (
    "What you now know by hand, skipway does to real networks: "
    "`skipway cure your_case.py`, and skipway.nn has the blocks."
)


def show_verdict(console: Console, folder: Folder, exercise: Exercise, verdict: Verdict) -> None:
    """Print what came of an attempt: the reason and the line, or the success."""
    if verdict.printed:
        console.print(Text("Your code printed:", QUIET))
        console.print(Padding(Text(verdict.printed), (0, 0, 1, 4)))
    if verdict.passed:
        console.print(Text(f"✓ {exercise.number} {exercise.title}", GOOD))
        return
    sign = ("… ", "bold yellow") if verdict.kind == "unwritten" else ("✗ ", BAD)
    title = Text.assemble(sign, (f"{exercise.number} {exercise.title}", "bold"))
    console.print(title.append(f"   {exercise.file_name}", QUIET))
    console.print(Padding(Text(verdict.message), (1, 0, 1, 2)))
    if verdict.line is not None:
        console.print(Text(_line(folder.file(exercise), verdict.line) + "\n"))


def show_success(
    console: Console, folder: Folder, exercise: Exercise, verdict: Verdict, png: Path | None
) -> None:
    """Print the explanation, the picture and what is next."""
    console.print(Padding(Markdown(exercise.explanation), (1, 0, 1, 0)))
    if verdict.picture:
        console.print(draw(verdict.picture))
        console.print(Text(f"\nPNG  {_shown(png)}" if png else f"\n{NO_PICTURES}", QUIET))
    following = folder.next()
    if following is None:
        console.print(Text(f"\nAll {len(course())} done. {THE_END}"))
        return
    console.print(
        Text(f"\nNext: {following.number} {following.title}   {following.file_name}", "bold")
    )


def show_hint(console: Console, exercise: Exercise) -> None:
    """Print where to look."""
    console.print(Text(f"{exercise.number} {exercise.title}\n", "bold"))
    console.print(Markdown(exercise.hint))


def show_solution(console: Console, exercise: Exercise) -> None:
    """Print one way to write it: bare code where the output is no terminal."""
    if console.is_terminal:
        console.print(Syntax(exercise.solution, "python", background_color="default"))
    else:
        console.file.write(exercise.solution)


def _line(file: Path, number: int) -> str:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"  {number:>4} │ {lines[number - 1]}"
    except (OSError, IndexError):
        return ""


def _shown(path: Path | None) -> str:
    """Return the path as the learner would type it from where they are."""
    assert path is not None
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
