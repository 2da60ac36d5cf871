"""The card of every row: what stands on the page at first, and what the script fills in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from . import _card
from ._cells import FoldRow, Row
from ._rows import Rows
from ._words import embedded


def at(found: Rows, row: int, fields: Sequence[int], columns: Sequence[str]) -> dict[str, Any]:
    """Return the card as it stands before any script has run."""
    if not found.names:
        return {}
    layers = [side[row] for side in found.readings]
    written = [_card.numbers(layer, fields) for layer in layers]
    return {
        "name": found.names[row],
        "type": _card.type_of(layers),
        "words": _card.words(layers, found.said),
        "why": _card.why(layers, columns),
        "skips": skips_of(found).get(row, ""),
        "what_if": _card.what_if(layers, _called(found)),
        "rows": [
            (_card.label(each), [side[n] for side in written]) for n, each in enumerate(fields)
        ],
    }


def _called(found: Rows) -> dict[str, str]:
    return dict(zip(found.names, found.called, strict=True))


def skips_of(found: Rows) -> dict[int, str]:
    """Say of each row which skips begin and end there, on the last side."""
    ends: dict[int, list[str]] = defaultdict(list)
    starts: dict[int, list[str]] = defaultdict(list)
    simple, buses = found.drawn[-1]
    for arc in simple:
        ends[arc.end].append(found.called[arc.start] if arc.start >= 0 else "the input")
        if arc.start >= 0:
            starts[arc.start].append(found.called[arc.end])
    for bus in buses:
        for row, count in bus.readers.items():
            ends[row].append(f"{count} earlier layers" if count > 1 else "an earlier layer")
    said: dict[int, str] = {}
    for row in sorted({*ends, *starts}):
        parts = [f"from {', '.join(ends[row])}"] if ends[row] else []
        parts += [f"to {', '.join(starts[row])}"] if starts[row] else []
        said[row] = f"Skips: {'; '.join(parts)}."
    return said


def every(
    found: Rows, fields: Sequence[int], columns: Sequence[str], made: Sequence[Row | FoldRow]
) -> object:
    """Return what the script needs: the card of each row, the rows in folds; each string once."""
    table, skips, cards, called = _card.StringTable(), skips_of(found), [], _called(found)
    for at, name in enumerate(found.names):
        layers = [side[at] for side in found.readings]
        texts = [name, _card.type_of(layers), _card.words(layers, found.said)]
        texts += [_card.why(layers, columns), skips.get(at, ""), _card.what_if(layers, called)]
        numbers = zip(*(_card.numbers(layer, fields) for layer in layers), strict=True)
        texts += [number for row in numbers for number in row]
        cards.append([table.put(text) for text in texts])
    # Rows in a fold are built when it is first opened: they would be most of a long page.
    inner = {
        row.index: [table.put(text) for text in _texts(row)]
        for row in made
        if isinstance(row, Row) and row.inner
    }
    return embedded({"strings": table.strings, "rows": cards, "inner": inner})


def _texts(row: Row) -> list[str]:
    texts = [row.name, row.title]
    for cell in row.cells:
        width = "" if cell.width is None else f"{cell.width:.1f}"
        texts += [cell.lane, cell.state, width, cell.word, cell.number, cell.said]
    return texts
