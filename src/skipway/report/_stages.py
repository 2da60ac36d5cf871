"""Blocks of a network told by their names: `"stage3.block4.conv1"` is in block 4 of stage 3.

Networks whose layers are nowhere quite alike (every layer of a DenseNet reads more channels than
the last) still say in their module paths which layers make up a block, and which blocks a stage.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

_NUMBERED = re.compile(r"(.*?)(\d+)")

# A row's stage, and its block there: what stands before the number of the block, and with it.
Place = tuple[str, str]
Block = tuple[int, int]  # its first row, and the one behind its last


def depth(names: Sequence[str]) -> int:
    """Return how many levels of numbered modules there are around the deepest layer."""
    return max((len(_levels(name)) for name in names), default=0)


def stages(names: Sequence[str], level: int, kept: Collection[int]) -> list[list[Block]]:
    """Return the stages of a network, each a list of its blocks.

    Args:
        names: module paths of all rows.
        level: 0 takes the outermost numbered modules for blocks, 1 those inside them, and so on; a
            module without a numbered neighbour is no block, but what holds some.
        kept: rows whose block ends a stage and belongs to none.
    """
    found: list[list[Block]] = []
    for blocks in _grouped(names, range(len(names)), level):
        stage: list[Block] = []
        for block in blocks:
            if any(at in kept for at in range(*block)):
                found.append(stage)
                stage = []
            else:
                stage.append(block)
        found.append(stage)
    return [stage for stage in found if stage]


def _grouped(names: Sequence[str], rows: Iterable[int], level: int) -> Iterator[list[Block]]:
    levels = {at: _levels(names[at]) for at in rows}
    places = {at: known[min(level, len(known) - 1)] for at, known in levels.items() if known}
    for stage, members in groupby(levels, key=lambda at: places[at][0] if at in places else None):
        inside = list(members)
        several = [list(block) for _, block in groupby(inside, key=places.get)]
        if stage is None:
            continue
        if len(several) > 1:
            yield [(block[0], block[-1] + 1) for block in several]
        elif any(len(levels[at]) > level + 1 for at in inside):
            yield from _grouped(names, inside, level + 1)


def modules(names: Sequence[str], parts: int, kept: Collection[int]) -> list[Block]:
    """Return the runs of rows, none of them kept, whose paths share so many parts at the front."""
    keys = [None if at in kept else name.split(".")[:parts] for at, name in enumerate(names)]
    runs = [list(run) for _, run in groupby(range(len(names)), key=keys.__getitem__)]
    return [(run[0], run[-1] + 1) for run in runs if keys[run[0]] is not None]


def block_of(names: Sequence[str]) -> str:
    """Return the module that holds all of these layers, or the layer where there is one."""
    parts = [name.split(".") for name in names]
    shared = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return ".".join(shared)


def _levels(name: str) -> list[Place]:
    """Return the numbered modules around a layer, the outermost first."""
    found, before = [], ""
    for part in name.split(".")[:-1]:
        numbered = _NUMBERED.fullmatch(part)
        if numbered:
            found.append((before + numbered[1], before + part))
        before += f"{part}."
    return found
