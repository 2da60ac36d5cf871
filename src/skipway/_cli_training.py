"""Trainings from the command line: how many, where they run and are kept, and beside what.

`cure` and `compare` share these options.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

RUNS = Path("skipway-runs")
Command = Callable[..., None]


@dataclass(frozen=True)
class Training:
    """What the options say.

    Attributes:
        seeds: paired trainings of every variant.
        epochs: instead of the case's own number.
        workers: what `compare` takes as its workers.
        folder: where all is kept; by default one below `skipway-runs`.
        fresh: whether what the folder holds is forgotten.
        controls: whether controls run beside.
        budget: what is equal for all variants.
        time_limit: seconds for one training.
        retry_failed: whether what failed before is trained again.
    """

    seeds: int
    epochs: int | None
    workers: Any
    folder: Path | None
    fresh: bool
    controls: bool
    budget: Any
    time_limit: float | None
    retry_failed: bool

    def place(self, name: str) -> Path:
        """Return the folder of a run."""
        plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
        return self.folder or RUNS / plain

    def settings(self, place: Path) -> dict[str, Any]:
        """Return what goes on to `cure` and `compare` as it is."""
        return {
            "seeds": self.seeds,
            "workers": self.workers,
            "folder": place,
            "controls": self.controls,
            "budget": self.budget,
            "retry_failed": self.retry_failed,
        }

    @contextmanager
    def kept_in(self, place: Path) -> Iterator[None]:
        """Keep other processes out until trainings, result and report are all there."""
        from ._compare import forget, locked

        with locked(place):
            if self.fresh:
                forget(place)
            yield


def training_options(command: Command) -> Command:
    """Add the options; the command gets what they say as one `training`."""
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

    @functools.wraps(command)
    def gathered(
        *, workers: int | None, cluster: str | None, cluster_options: tuple[str, ...], **given: Any
    ) -> None:
        own = {each.name: given.pop(each.name) for each in fields(Training) if each.name in given}
        where = _workers(workers, cluster, cluster_options)
        command(**given, training=Training(workers=where, **own))

    added: Command = gathered
    for option in reversed(options):
        added = option(added)
    return added


def _workers(workers: int | None, cluster: str | None, options: tuple[str, ...]) -> Any:
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
