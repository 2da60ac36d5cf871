"""How a command ends early: an error in one paragraph, Ctrl-C, a reader who has gone."""

from __future__ import annotations

import io
import sys
import traceback
from contextlib import suppress
from typing import Any

import click

from ._errors import SkipwayError
from ._visible import visible


class Commands(click.Group):
    """The commands in the order in which one meets them, and errors as one paragraph."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def main(self, *args: Any, **more: Any) -> Any:
        # A terminal or file that cannot hold ⁻ or × gets them written out, not an exception.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().main(*args, **more)
        except OSError as error:  # where a help text cannot be written
            _say_unwritten(error)
            raise SystemExit(2) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            value = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()  # a reader who has gone is noticed here, not when Python ends
            return value
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            from ._console import nobody_reads

            nobody_reads()
        except Exception as error:
            if ctx.params.get("show_traceback"):
                traceback.print_exc()
            _say(error)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo(
                "\nStopped. What was finished is kept; the same command continues.", err=True
            )
            ctx.exit(130)


def _say(error: Exception) -> None:
    """Say what went wrong, in the words that its kind asks for."""
    if isinstance(error, SkipwayError):
        click.echo(f"skipway: {visible(str(error))}", err=True)
        if error.more:
            click.echo(error.more, err=True)
    elif isinstance(error, OSError):
        _say_unwritten(error)
    else:
        click.echo(
            f"skipway: {type(error).__name__}, which was not foreseen: {visible(str(error))}. "
            "To see where it came from: skipway --traceback ...",
            err=True,
        )


def _say_unwritten(error: OSError) -> None:
    """Say what the system said, and let go of an output that takes nothing any more."""
    from ._console import silence

    where = f": {error.filename}" if error.filename is not None else ""
    words = f"skipway: {error.strerror or error}{where}. Make room or choose another place."
    with suppress(OSError):
        click.echo(visible(words), err=True)
    try:
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout)
