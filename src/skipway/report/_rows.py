"""Which rows the spine has: the layers of both sides, their findings, their folds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from . import _card
from ._arcs import Arc, Bus, arcs, arranged
from ._folds import Fold, folds
from ._names import clipped_apart
from ._values import Data

Reading = Mapping[str, Any]


@dataclass(frozen=True)
class Side:
    """What one half of the spine shows.

    Attributes:
        title: `"Before"`.
        diagnosis: plain data of a diagnosis.
        planned: skips of a plan that this side has.
        column: its head in the card of a layer, where there are two sides.
        said: how a sentence on this side begins, where there are two.
    """

    title: str
    diagnosis: Data
    planned: Sequence[Mapping[str, Any]] = ()
    column: str = "before"
    said: str = "After the treatment"


@dataclass(frozen=True)
class Rows:
    """The rows of the table and what each side knows of them.

    Attributes:
        names: of the layers in execution order, those of both sides.
        readings: for each side, the layer's numbers or `None`.
        flags: row to the numbers of the findings that point at it.
        folds: which rows fold.
        drawn: for each side, its arcs and buses.
        undrawn: how many skips have an end that is no row.
        said: how a sentence on the last side begins.
    """

    names: list[str]
    readings: list[list[Reading | None]]
    flags: Mapping[int, list[int]]
    folds: list[Fold]
    drawn: list[tuple[list[Arc], list[Bus]]]
    undrawn: int
    said: str

    @cached_property
    def called(self) -> list[str]:
        """The names as long as there is room for, each told from the others."""
        return clipped_apart(self.names)


def rows(sides: Sequence[Side]) -> Rows:
    """Bring the layers of all sides into one order and decide which fold."""
    names = merged([[layer["name"] for layer in side.diagnosis["layers"]] for side in sides])
    index = {name: at for at, name in enumerate(names)}
    readings: list[list[Reading | None]] = []
    for side in sides:
        known = {layer["name"]: layer for layer in side.diagnosis["layers"]}
        readings.append([known.get(name) for name in names])
    drawn, undrawn = [], 0
    for side in sides:
        had, lost = arcs(side.diagnosis["skips"], index, proposed=False)
        new, missing = arcs(side.planned, index, proposed=True)
        twice = {(arc.start, arc.end) for arc in new}
        drawn.append(arranged([arc for arc in had if (arc.start, arc.end) not in twice] + new))
        undrawn += lost + missing
    flags = _flags(sides[0].diagnosis["findings"], index)
    signs, kept = _signs(names, readings, drawn), _kept(sides, index, flags)
    chosen = folds(signs, _classes(readings), kept, names)
    return Rows(names, readings, flags, chosen, drawn, undrawn, sides[-1].said)


def merged(orders: Sequence[Sequence[str]]) -> list[str]:
    """Insert names that only a later order has behind their predecessor there."""
    merged = list(dict.fromkeys(orders[0]))
    for order in orders[1:]:
        known, behind = set(merged), defaultdict[str | None, list[str]](list)
        last = None
        for name in dict.fromkeys(order):
            if name in known:
                last = name
            else:
                behind[last].append(name)
        merged = behind[None] + [each for name in merged for each in (name, *behind[name])]
    return merged


def _flags(findings: Sequence[Data], index: Mapping[str, int]) -> dict[int, list[int]]:
    flags: dict[int, list[int]] = defaultdict(list)
    for number, finding in enumerate(findings, 1):
        place = next((index[name] for name in finding["layers"] if name in index), None)
        if place is not None:
            flags[place].append(number)
    return dict(flags)


def _signs(
    names: Sequence[str],
    readings: Sequence[Sequence[Reading | None]],
    drawn: Sequence[tuple[Sequence[Arc], Sequence[Bus]]],
) -> list[tuple[object, ...]]:
    """What makes two rows repeats of each other: type, shapes and the pattern of skips."""
    signs: list[list[object]] = [[] for _ in names]
    for at, sign in enumerate(signs):
        sign.append(_card.type_of([side[at] for side in readings]))
    for side, (simple, _) in enumerate(drawn):
        for arc in sorted(simple, key=lambda each: (each.start, each.end)):
            signs[arc.end].append((side, "in", arc.end - arc.start))
            if arc.start >= 0:
                signs[arc.start].append((side, "out", arc.end - arc.start))
    return [tuple(sign) for sign in signs]


def _classes(readings: Sequence[Sequence[Reading | None]]) -> list[tuple[str, ...]]:
    return [
        tuple(layer["state"] if layer else "" for layer in row)
        for row in zip(*readings, strict=True)
    ]


def _kept(
    sides: Sequence[Side], index: Mapping[str, int], flags: Mapping[int, list[int]]
) -> set[int]:
    """The rows that never fold: findings, the named place, the weakest layer."""
    kept = set(flags)
    diagnosis = sides[0].diagnosis
    if diagnosis["place"] in index:
        kept.add(index[diagnosis["place"]])
    if diagnosis["layers"]:
        weakest = diagnosis["layers"][_card.weakest(diagnosis["layers"])]
        kept.add(index[weakest["name"]])
    return kept


def in_sight(found: Rows, most: int) -> list[int]:
    """Choose the rows for a small place: the ends, findings, changes of health, and around them.

    Args:
        found: all rows.
        most: how many lines there are, one for each gap included.
    """
    count = len(found.names)
    if count <= most:
        return list(range(count))
    states = _classes(found.readings)
    changes = [at for at in range(1, count) if states[at] != states[at - 1]]
    wanted = [0, count - 1, *found.flags, *(at for each in changes for at in (each - 1, each))]
    kept: set[int] = set()
    for distance in range(count):
        for near in (at + way for at in wanted for way in (-distance, distance)):
            if 0 <= near < count and _lines({*kept, near}) <= most:
                kept.add(near)
        if _lines(kept) >= most - 1:
            break
    return sorted(kept)


def _lines(kept: set[int]) -> int:
    """Count rows and the gaps between them."""
    return len(kept) + sum(after > at + 1 for at, after in pairwise(sorted(kept)))
