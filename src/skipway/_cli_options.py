"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def plan_and_save(command: F) -> F:
    """Add --plan and --save, as `rewire` and `reconnect` have them."""
    saved = click.option(
        "--save",
        type=click.Path(path_type=Path),
        help="Also write it: .html, .json (plan and source) or .py (the source).",
    )
    planned = click.option(
        "--plan",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A saved plan to apply instead of a new one.",
    )
    return planned(saved(command))


def json_option(command: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        command
    )


def shape_option(command: F) -> F:
    """Add --shape."""
    return click.option(
        "--shape", help="For a MODEL: the shape of a random input, such as 1,3,224,224."
    )(command)


def check_ending(save: Path | None, *endings: str) -> None:
    """Refuse another kind of file before the work is done, not after."""
    if save is not None and save.suffix not in endings:
        raise click.BadParameter(
            f"{save.name!r} ends in none of {', '.join(endings)}", param_hint="--save"
        )
