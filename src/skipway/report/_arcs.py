"""Skip connections as arcs in lanes beside the spine."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

# A layer read by this many later ones, or a sixth lane, calls for one bus line instead of arcs.
DENSE = 4
MOST_LANES = 6


@dataclass(frozen=True)
class Arc:
    """A skip from one row to a later one; -1 is the network's input, above the first row.

    Attributes:
        start: the row whose output is handed on.
        end: the row after which it joins again.
        label: at its head: `"cat"`, `"1×1"` or nothing.
        proposed: whether it is planned; otherwise the model already has it.
        lane: 0 is next to the spine.
    """

    start: int
    end: int
    label: str = ""
    proposed: bool = False
    lane: int = 0


@dataclass(frozen=True)
class Bus:
    """Many skips between the same rows, drawn as one line.

    Attributes:
        start: the first row that feeds it.
        end: the last row that reads it.
        sources: the rows that feed it.
        readers: how many sources each reading row has.
        proposed: whether its skips are planned.
        lane: 0 is next to the spine.
    """

    start: int
    end: int
    sources: frozenset[int]
    readers: Mapping[int, int]
    proposed: bool = False
    lane: int = 0


def arcs(
    skips: Iterable[Mapping[str, Any]], rows: Mapping[str, int], *, proposed: bool
) -> tuple[list[Arc], int]:
    """Return the arcs of skips, and how many have an end that is no row.

    Args:
        skips: skip connections, or the skips of a plan.
        rows: the row of each layer name.
        proposed: whether they come from a plan.
    """
    found, lost = [], 0
    for skip in skips:
        start = -1 if skip["source"] == "input" else rows.get(skip["source"])
        end = rows.get(skip["destination"])
        if start is None or end is None or end <= start:
            lost += 1
        else:
            found.append(Arc(start, end, _label(skip), proposed))
    return found, lost


def arranged(found: Sequence[Arc]) -> tuple[list[Arc], list[Bus]]:
    """Give every arc its lane; what is too dense for lanes becomes buses, further out."""
    readers = Counter(arc.start for arc in found)
    dense = [arc for arc in found if readers[arc.start] >= DENSE]
    simple, outside = _in_lanes([arc for arc in found if readers[arc.start] < DENSE])
    dense += outside
    outer = 1 + max((arc.lane for arc in simple), default=-1)
    return simple, [replace(bus, lane=outer) for bus in _buses(dense)]


def _label(skip: Mapping[str, Any]) -> str:
    if skip.get("merge") in ("cat", "dense") or skip.get("kind") == "concatenation":
        return "cat"
    shortcut = str(skip.get("shortcut", "identity"))
    if skip.get("kind") == "projection" or "1x1" in shortcut:
        return "1×1"
    return "" if shortcut == "identity" else shortcut[:6]


def _in_lanes(found: Iterable[Arc]) -> tuple[list[Arc], list[Arc]]:
    """Put each arc, the shortest first, into the innermost lane where it overlaps none.

    Returns:
        Those that found a lane, and those for which there was none left.
    """
    lanes: list[list[tuple[int, int]]] = [[] for _ in range(MOST_LANES)]
    placed, outside = [], []
    for arc in sorted(found, key=lambda each: (each.end - each.start, each.start)):
        lane = next((n for n, taken in enumerate(lanes) if _free(taken, arc)), None)
        if lane is None:
            outside.append(arc)
        else:
            bisect.insort(lanes[lane], (arc.start, arc.end))
            placed.append(replace(arc, lane=lane))
    return placed, outside


def _free(taken: Sequence[tuple[int, int]], arc: Arc) -> bool:
    # Arcs that only touch do not overlap: a chain of residual blocks needs one lane.
    after = bisect.bisect_left(taken, (arc.end, -1))
    return after == 0 or taken[after - 1][1] <= arc.start


def _buses(dense: Iterable[Arc]) -> list[Bus]:
    """Join arcs that overlap into one bus each."""
    groups: list[list[Arc]] = []
    end = -2
    for arc in sorted(dense, key=lambda each: (each.start, each.end)):
        if arc.start >= end or not groups:
            groups.append([])
        groups[-1].append(arc)
        end = max(end, arc.end) if len(groups[-1]) > 1 else arc.end
    return [_bus(group) for group in groups]


def _bus(group: Sequence[Arc]) -> Bus:
    readers: dict[int, int] = defaultdict(int)
    for arc in group:
        readers[arc.end] += 1
    return Bus(
        start=min(arc.start for arc in group),
        end=max(arc.end for arc in group),
        sources=frozenset(arc.start for arc in group),
        readers=dict(readers),
        proposed=all(arc.proposed for arc in group),
    )
