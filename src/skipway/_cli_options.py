"""Options that several commands share, and what their values mean."""

from __future__ import annotations

import math
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


def training_options(command: F) -> F:
    """Add what `cure` and `compare` share: how much is trained, where, and beside what."""
    options = (
        click.option("--seeds", default=5, show_default=True, type=click.IntRange(1),
                     help="Paired trainings of every variant."),
        click.option("--epochs", type=int, help="Instead of the case's own number."),
        click.option("--workers", type=click.IntRange(0),
                     help="Local processes.  [default: one per usable core]"),
        click.option("--folder", type=click.Path(file_okay=False, path_type=Path),
                     help="Where trainings and results are kept.  [default: skipway-runs/CASE]"),
        click.option("--fresh", is_flag=True, help="Forget what the folder holds and start over."),
        click.option("--controls/--no-controls", default=True, show_default=True,
                     help="Run a linear and a shallow network beside, and the given one "
                          "better initialised, normalised, as large or as dear as the treated."),
        click.option("--budget", type=click.Choice(["epochs", "flops", "time"]), default="epochs",
                     show_default=True, help="What is equal for all variants."),
        click.option("--time-limit", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
                     callback=_finite, help="A training that takes longer counts as failed."),
        click.option("--retry-failed", is_flag=True, help="Train again what failed before."),
        click.option("--cluster", type=click.Choice(["slurm"]),
                     help="Train on a Slurm cluster; the folder must be one that its nodes see."),
        click.option("--cluster-option", "cluster_options", multiple=True, metavar="NAME=VALUE",
                     help="For its jobs, by submitit's names: timeout_min=90, mem_gb=8, "
                          "slurm_partition=gpu; also at_once, together, poll. Repeatable."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def check_ending(save: Path | None, *endings: str) -> None:
    """Refuse another kind of file before the work is done, not after."""
    if save is not None and save.suffix not in endings:
        raise click.BadParameter(
            f"{save.name!r} ends in none of {', '.join(endings)}", param_hint="--save"
        )


def workers_of(workers: int | None, cluster: str | None, options: tuple[str, ...]) -> Any:
    """Return what `compare` takes as its workers."""
    if cluster is None:
        if options:
            raise click.UsageError("--cluster-option goes with --cluster slurm.")
        return workers
    if workers is not None:
        raise click.UsageError("--workers is for this machine, --cluster for another; give one.")
    from ._compare import Slurm

    given = dict(_option(each) for each in options)
    own = {name: given.pop(name) for name in ("at_once", "together", "poll") if name in given}
    return Slurm(given, **own)


def _finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number of seconds; leave it out for no limit.")
    return value


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is no NAME=VALUE", param_hint="--cluster-option")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value
