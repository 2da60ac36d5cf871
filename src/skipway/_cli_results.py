"""What a command does with a result: show it, save it, find one again that was saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._errors import RunError

if TYPE_CHECKING:
    from ._results import Plan, Rewiring


KINDS = {".html": "Report", ".json": "Data", ".py": "Source"}


def result_in(folder: Path) -> Path:
    """Return the file that holds the result; one that compare() left counts as well."""
    for name in ("result.json", "comparison.json"):
        if (folder / name).exists():
            return folder / name
    cells = len(list((folder / "cells").glob("*.json")))
    raise RunError(
        f"{folder} holds no result yet, but {cells} finished trainings. The command that began "
        "the run goes on where it stopped."
        if cells
        else f"{folder} holds no run: neither result.json nor comparison.json is in it."
    )


def plan_in(path: Path | None) -> Plan | None:
    """Return the plan that --plan gives, if it does."""
    from ._results import Plan, read

    given = read(path) if path else None
    if given is not None and not isinstance(given, Plan):
        raise click.BadParameter(f"{path} holds no plan", param_hint="--plan")
    return given


def finish_rewiring(result: Rewiring, save: Path | None, as_json: bool) -> None:
    """Show a rewiring, and save it: as .py its source alone."""
    from ._files import write_text

    if save is None or save.suffix != ".py":
        finish(result, save, as_json)
        return
    write_text(save, result.source())
    show(result.to_dict(), as_json)
    say_where(save, as_json)


def finish(result: Any, save: Path | None, as_json: bool) -> None:
    """Show a result and say where it was saved."""
    written = result.save(save) if save else None
    show(result.to_dict(), as_json)
    if written:
        say_where(written, as_json)


def say_where(file: Path, as_json: bool) -> None:
    """Name the file that was written; not where the output is to be JSON alone."""
    if not as_json:
        click.echo(f"{KINDS[file.suffix]:<8}{file}")


def show(data: dict[str, Any], as_json: bool) -> None:
    """Print plain data, for a person or as JSON."""
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=False, allow_nan=False))
        return
    from . import report as reports
    from ._console import CommandConsole

    reports.show(data, CommandConsole())
