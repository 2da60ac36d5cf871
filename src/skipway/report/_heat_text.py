"""The heat map of a watched training in a terminal: one line for each layer, then the events."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ._heat import BANDS, Heat
from ._names import clipped_apart
from ._terminal_parts import STYLES, prose
from ._values import quantity

MOST = 30


def heat_map(made: Heat) -> RenderableType:
    """Return the map; of very many layers every so many, and those with events."""
    every = math.ceil(len(made.names) / MOST)
    marked = {row for mark in made.marks for row in mark.rows[:1]}
    shown = [at for at in range(len(made.names)) if at % every == 0 or at in marked]
    grid, called = Table.grid(padding=(0, 1)), clipped_apart(made.names)
    for at in shown:
        grid.add_row(Text(called[at]), _strip(made, at))
    first, last = made.ticks[0][0], made.ticks[-1][0]
    grid.add_row("", Text(f"step {first} to {last} and on", STYLES["quiet"]))
    lines = [prose(f"step {quantity(mark.step)}: {mark.words}") for mark in made.marks]
    return Group(grid, _key(), *lines)


def _strip(made: Heat, row: int) -> Text:
    strip = Text(no_wrap=True)
    for band in made.cells[row]:
        strip.append(" " if band is None else BANDS[band][3], "" if band is None else _style(band))
    return strip


def _style(band: int) -> str:
    return STYLES[BANDS[band][1]]


def _key() -> Text:
    key = Text("Elasticity of the weights: ", STYLES["quiet"])
    for at in reversed(range(len(BANDS))):
        key.append(BANDS[at][3], _style(at))
        key.append(f" {BANDS[at][4]}{', ' if at else ''}", STYLES["quiet"])
    return key
