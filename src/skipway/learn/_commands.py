"""`skipway learn`: its arguments, and which act each of them asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._errors import LearnError
from ._exercise import Exercise, course, find

if TYPE_CHECKING:
    from rich.console import Console

    from ._folder import Folder

NAME_HELP = "NAME is a number, a name or a file of the course; without it, the next one to do."


class _Commands(click.Group):
    """The commands in the order in which one meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Commands, invoke_without_command=True)
@click.pass_context
def learn(ctx: click.Context) -> None:
    """Write the skip connection yourself, and be told why an attempt is wrong.

    Without a command: where you are, and what is next.
    """
    if ctx.invoked_subcommand is None:
        from ._folder import Folder
        from ._screen import show_status

        show_status(_console(), Folder.here())


@learn.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def start(folder: Path | None) -> None:
    """Write the course into FOLDER (by default skipway-course).

    A file that is there already stays as it is.
    """
    from ._folder import DEFAULT, Folder
    from ._screen import show_status

    if folder is None and (around := Folder.around(Path.cwd())):
        raise LearnError(
            f"You are in a course already, {around}. `skipway learn` shows where you are; "
            f"`skipway learn start {around}` brings back files that are missing."
        )
    folder = folder or DEFAULT
    made, written = Folder.start(folder)
    kept = len(course()) - len(written)
    note = f" {kept} of yours stay as they are." if kept else ""
    click.echo(f"{len(written)} exercises written into {folder}.{note}\n")
    show_status(_console(), made)


@learn.command(epilog=NAME_HELP)
@click.argument("name", required=False)
def watch(name: str | None) -> None:
    """Check whenever you save; h, s, n, l and q show hint, solution, next, list, or quit."""
    from ._folder import Folder
    from ._keys import single_keys
    from ._watch import Watching

    folder = Folder.here()
    watching = Watching(folder, _exercise(name, folder), _console())
    with single_keys() as keys:
        watching.run(keys)


@learn.command(epilog=NAME_HELP)
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Check every exercise, one line for each.")
def check(name: str | None, every: bool) -> None:
    """Check your answer. Ends with status 0 when it is right, 1 when not yet."""
    from ._attempt import attempt, save_picture
    from ._folder import Folder
    from ._screen import show_success, show_verdict

    folder, console = Folder.here(), _console()
    if every:
        raise SystemExit(_check_all(folder, console))
    exercise = _exercise(name, folder)
    with console.status(f"checking {exercise.file_name}"):
        verdict = attempt(folder, exercise)
    show_verdict(console, folder, exercise, verdict)
    if not verdict.passed:
        raise SystemExit(1)
    png = save_picture(folder, exercise, verdict)
    show_success(console, folder, exercise, verdict, png)


def _check_all(folder: Folder, console: Console) -> int:
    from ._attempt import attempt
    from ._screen import show_list

    passed = True
    with console.status("") as status:
        for exercise in course():
            status.update(f"checking {exercise.file_name}")
            # A file as it came has no answer in it, and needs no process to say so.
            right = not folder.is_untouched(exercise) and attempt(folder, exercise).passed
            passed = passed and right
    show_list(console, folder)
    return 0 if passed else 1


@learn.command(epilog=NAME_HELP)
@click.argument("name", required=False)
def hint(name: str | None) -> None:
    """Show where to look, without the answer."""
    from ._screen import show_hint

    show_hint(_console(), _exercise(name))


@learn.command(epilog=NAME_HELP)
@click.argument("name", required=False)
@click.option("--force", is_flag=True, help="Also before an attempt of your own.")
def solution(name: str | None, force: bool) -> None:
    """Show one way to write it, once you have tried."""
    from ._folder import Folder
    from ._screen import show_solution

    exercise = _exercise(name)
    if not force and not Folder.here().is_tried(exercise):
        raise LearnError(
            f"Try {exercise.number} {exercise.title} first: an attempt, even a wrong one, and "
            "`skipway learn check`. Or insist with --force."
        )
    show_solution(_console(), exercise)


@learn.command()
@click.argument("name")
def reset(name: str) -> None:
    """Write one exercise anew; your version is kept beside it."""
    from ._folder import Folder

    folder, exercise = Folder.here(), find(name)
    kept = folder.reset(exercise)
    note = f" Your version is now {kept.name}." if kept else ""
    click.echo(f"{exercise.file_name} is as it was at the start.{note}")


@learn.command("list")
def list_exercises() -> None:
    """List the exercises, and which of them are done."""
    from ._folder import Folder
    from ._screen import show_list

    try:
        folder = Folder.here()
    except LearnError:
        folder = None
    show_list(_console(), folder)


@learn.command()
@click.argument("folder", default="skipway-notebooks", type=click.Path(path_type=Path))
def notebooks(folder: Path) -> None:
    """Write the course as Jupyter notebooks into FOLDER. What is there already stays."""
    from ._notebooks import write_notebooks

    written = write_notebooks(folder)
    kept = len(course()) - len(written)
    note = f" {kept} of yours stay as they are." if kept else ""
    click.echo(f"{len(written)} notebooks written into {folder}.{note}")


def _exercise(name: str | None, folder: Folder | None = None) -> Exercise:
    """Return the exercise that is meant: by name, or the next one to do."""
    if name is not None:
        return find(name)
    from ._folder import Folder

    following = (folder or Folder.here()).next()
    if following is None:
        raise LearnError("All exercises are done. To look at one again, give its number.")
    return following


def _console() -> Console:
    from .._console import CommandConsole

    return CommandConsole(highlight=False)
