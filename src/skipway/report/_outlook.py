"""What a comparison would run, before it is run."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ._values import Data, quantity


def outlook(data: Data, width: int) -> list[RenderableType]:
    """Say how much is done and how long the rest takes, and what one training of each does."""
    del width
    left = sum(data["left"].values())
    done = data["trainings"] - left
    broken = f" ({data['broken']} of them broke down)" if data["broken"] else ""
    first = f"{quantity(done)} of {quantity(data['trainings'])} trainings are done{broken}."
    if left:
        first += (
            f" The {quantity(left)} left take about {duration(data['seconds'])} on "
            f"{data['workers']} worker{'s' if data['workers'] > 1 else ''}."
        )
    return [Text(first, "bold"), *([_table(data)] if left else []), Text(f"In {data['folder']}.")]


def duration(seconds: float) -> str:
    """Write a rough time, as one would say it.

    Example:
        >>> duration(0.4), duration(75), duration(7_300), duration(200_000)
        ('1 s', '75 s', '2.0 h', '2.3 days')
    """
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    if seconds < 100 * 60:
        return f"{round(seconds / 60)} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def _table(data: Data) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for head in ("Variant", "Left", "One takes"):
        table.add_column(head, justify="left" if head == "Variant" else "right")
    for name, count in data["left"].items():
        if count:
            table.add_row(name, quantity(count), f"about {duration(data['seconds_each'][name])}")
    return table
