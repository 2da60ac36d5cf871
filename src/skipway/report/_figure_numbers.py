"""The numbers behind the pictures of a notebook, as rows of words."""

from __future__ import annotations

from collections.abc import Sequence

from . import _heat
from ._card import lost_of
from ._rows import Reading, Side, in_sight, rows
from ._values import NONE, STATES, plural, short

MOST = 30

Table = tuple[list[str], list[list[str]]]


def layers(sides: Sequence[Side]) -> tuple[str, Table]:
    """Return what the table of the layers is called, its head and its rows.

    Of a long network it has the ends, the findings and what changes, and says what it left out.
    """
    found = rows(sides)
    head = ["Layer"]
    for side in sides:
        before = f"{side.title}: " if len(sides) > 1 else ""
        head += [f"{before}state", "elasticity", "decades lost"]
    made, last = [], -1
    for at in in_sight(found, MOST):
        if at > last + 1:
            made.append([f"⋮ {plural(at - last - 1, 'layer')}", *[""] * (len(head) - 1)])
        cells = [cell for readings in found.readings for cell in _cells(readings[at])]
        made.append([found.called[at], *cells])
        last = at
    return "The numbers of the layers", (head, made)


def steps(made: _heat.Heat) -> tuple[str, Table]:
    """Return the same of a watched training."""
    head = ["Layer", "elasticity of the weights, first", "lowest", "at step", "last"]
    found = [list(row) for row in _heat.summary(made, MOST)]
    return "The numbers over the steps", (head, found)


def _cells(layer: Reading | None) -> list[str]:
    if layer is None:
        return [NONE, NONE, NONE]
    return [STATES[layer["state"]][1], short(layer["elasticity"]), lost_of(layer)]
