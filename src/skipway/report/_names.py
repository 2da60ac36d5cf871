"""Names of layers, shortened so that each is still told from the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ._values import Data, clipped

_LEAST = 6  # characters, below which nothing is left to tell names apart by


def clipped_apart(names: Sequence[str], most: int = 28) -> list[str]:
    """Shorten names; where two come out the same, what they differ in is kept.

    Args:
        names: of the layers, `"encoder.layer.11.attention.self.query"`.
        most: how many characters each may have.

    Returns:
        One for each, `"…oder.layer.11…self.query"`.
    """
    short = [clipped(name, most) for name in names]
    if most < _LEAST:
        return short
    places: defaultdict[str, list[int]] = defaultdict(list)
    for at, name in enumerate(short):
        places[name].append(at)
    for same in places.values():
        alike = list(dict.fromkeys(names[at] for at in same))
        if len(alike) > 1:
            told = dict(zip(alike, _told(alike, most), strict=True))
            for at in same:
                short[at] = told[names[at]]
    return short


def ends_apart(skips: Sequence[Data], most: int) -> list[tuple[str, str]]:
    """Return the two ends of each skip of plain data, shortened in the same way."""
    names = [skip[end] for skip in skips for end in ("source", "destination")]
    called = dict(zip(names, clipped_apart(names, most), strict=True))
    return [(called[skip["source"]], called[skip["destination"]]) for skip in skips]


def _told(names: Sequence[str], most: int) -> list[str]:
    before = _shared(names)
    after = _shared([name[before:][::-1] for name in names])
    parts = clipped_apart([name[before : len(name) - after] for name in names], most - 2)
    pairs = zip(names, parts, strict=True)
    return [_around(name[:before], part, name[len(name) - after :], most) for name, part in pairs]


def _around(before: str, part: str, after: str, most: int) -> str:
    """Put beside what differs as much of what is the same as there is room for."""
    room = most - len(part) - 2
    tail = min(len(after), room * 3 // 5)
    head = min(len(before), room - tail)
    start = before if head == len(before) else f"…{before[len(before) - head :]}"
    end = after if tail == len(after) else f"…{after[len(after) - tail :]}"
    return f"{start}{part}{end}"


def _shared(names: Sequence[str]) -> int:
    """Return how many characters all names begin with."""
    first, last = min(names), max(names)  # all others lie between these two
    pairs = enumerate(zip(first, last, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(first), len(last)))
