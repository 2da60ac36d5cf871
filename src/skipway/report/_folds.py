"""Which rows of a long network fold into one: runs of repeated blocks."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass

from . import _stages

# Up to this many rows nothing folds; beyond it a page should open with at most MOST_ROWS.
FEW_ROWS = 40
MOST_ROWS = 60
LONGEST_PERIOD = 12
FEWEST_REPEATS = 4


@dataclass(frozen=True)
class Fold:
    """Rows `first` to `end - 1`, which are so many blocks of one or more rows each.

    The first block ends before row `head`, the last one begins at row `tail`.
    """

    first: int
    end: int
    blocks: int
    head: int
    tail: int

    @property
    def rows(self) -> int:
        """How many rows it hides."""
        return self.end - self.first

    @property
    def label(self) -> str:
        """What it holds: `"Block × 11"`."""
        return f"{'Layer' if self.blocks == self.rows else 'Block'} × {self.blocks}"


def folds(
    signs: Sequence[Hashable],
    classes: Sequence[Hashable],
    kept: Collection[int],
    names: Sequence[str] = (),
) -> list[Fold]:
    """Choose the folds, in order, so that what matters stays in sight.

    Args:
        signs: what makes two rows repeats of each other: type, shapes, skips.
        classes: the health of each row; a change of it stays visible while that leaves few rows.
        kept: rows that are never folded.
        names: module paths of the rows, for a network in which too little is alike.

    Returns:
        Folds; those of blocks that are alike keep one repeat visible at each end.
    """
    if len(signs) <= FEW_ROWS:
        return []
    found: list[Fold] = []
    for found in _attempts(signs, classes, kept, names):
        if len(signs) - sum(fold.rows - 1 for fold in found) <= MOST_ROWS:
            break
    return found


def _attempts(
    signs: Sequence[Hashable],
    classes: Sequence[Hashable],
    kept: Collection[int],
    names: Sequence[str],
) -> Iterator[list[Fold]]:
    """Yield folds, those that show the most of a network first."""
    nothing = [None] * len(signs)
    yield _folds(signs, classes, kept)
    yield _folds(signs, nothing, kept)
    for level in reversed(range(_stages.depth(names))):
        for ends in (1, 0):
            yield _by_stage(names, level, kept, ends)
    for parts in reversed(range(1, max((name.count(".") for name in names), default=0) + 1)):
        yield [
            Fold(first, end, end - first, first + 1, end - 1)
            for first, end in _stages.modules(names, parts, kept)
            if end - first >= FEWEST_REPEATS
        ]
    yield _folds(nothing, nothing, kept)


def _by_stage(names: Sequence[str], level: int, kept: Collection[int], ends: int) -> list[Fold]:
    """Fold the blocks of each stage, all but so many at either end."""
    found = []
    for blocks in _stages.stages(names, level, kept):
        inner = blocks[ends : len(blocks) - ends]
        if len(inner) > 1 and inner[-1][1] - inner[0][0] >= FEWEST_REPEATS:
            (first, head), (tail, end) = inner[0], inner[-1]
            found.append(Fold(first, end, len(inner), head, tail))
    return found


def _folds(
    signs: Sequence[Hashable], classes: Sequence[Hashable], kept: Collection[int]
) -> list[Fold]:
    found = []
    for start, end, period in _runs(signs):
        for low, high in _segments(start, end, classes, kept):
            first = start + -(-(low + period - start) // period) * period
            last = start + (high - period - start) // period * period
            if last - first >= FEWEST_REPEATS * period:
                blocks = (last - first) // period
                found.append(Fold(first, last, blocks, first + period, last - period))
    return found


def _runs(signs: Sequence[Hashable]) -> list[tuple[int, int, int]]:
    """Return (start, end, period) of every stretch of repeats, the shortest period first."""
    repeats = {period: _matches(signs, period) for period in range(1, LONGEST_PERIOD + 1)}
    found, at = [], 0
    while at < len(signs):
        for period, length in repeats.items():
            if length[at] >= (FEWEST_REPEATS + 1) * period:
                found.append((at, at + length[at] + period, period))
                at += length[at] + period
                break
        else:
            at += 1
    return found


def _matches(signs: Sequence[Hashable], period: int) -> list[int]:
    """For each row: how many rows from here on equal the one a period later."""
    length = [0] * (len(signs) + 1)
    for at in range(len(signs) - period - 1, -1, -1):
        length[at] = length[at + 1] + 1 if signs[at] == signs[at + period] else 0
    return length


def _segments(
    start: int, end: int, classes: Sequence[Hashable], kept: Collection[int]
) -> list[tuple[int, int]]:
    """Cut a run at the rows that stay and between two classes."""
    found, low = [], start
    for at in range(start, end):
        if at in kept:
            found.append((low, at))
            low = at + 1
        elif at > low and classes[at] != classes[at - 1]:
            found.append((low, at))
            low = at
    return [*found, (low, end)]
