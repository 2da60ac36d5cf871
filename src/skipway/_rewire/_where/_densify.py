"""From skips in series to dense blocks: every layer reads all earlier ones of its block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..._results import PlannedSkip

# So many layers a block has at most: its weights grow with the square of them. The next block
# starts from what the last one has mixed (the blocks of a DenseNet-264 have 6 to 64).
_MOST = 32


def densified(run: Sequence[PlannedSkip]) -> list[PlannedSkip]:
    """Return one skip for each pair of a layer and an earlier one of its block.

    A block ends where the shape changes: the skip across the change stays a single one, and the
    next block starts from what it has joined.

    Args:
        run: skips by concatenation, in series.
    """
    found: list[PlannedSkip] = []
    block: list[str] = []
    for skip in run:
        if not block or block[-1] != skip.source or len(block) >= _MOST:
            block = [skip.source]
        if skip.source_shape == skip.destination_shape:
            found += [replace(skip, source=source, merge="dense") for source in block]
            block.append(skip.destination)
        else:
            found.append(skip)
            block = [skip.destination]
    return found
