"""How wide the layers of a DenseNet's plain twin are.

What is a fair network to hold a DenseNet against? One that lacks the concatenations and nothing
else: the same depth, resolutions, stem, transitions and kinds of layers, as many parameters. A
layer that reads `k` new channels instead of hundreds of old ones has far fewer weights, so the twin
gets a larger growth rate, block by block, until the count is the same: each layer then reads `w`
channels and makes `w`. With a whole `w` for a block the count would miss by up to a tenth, so the
first layers of a block may have one channel more than the others; what still remains is carried to
the next block.
"""

from __future__ import annotations


def plain_growths(
    growth_rate: int,
    blocks: tuple[int, ...],
    initial: int,
    bottleneck: int | None,
    reduction: float,
    num_classes: int,
) -> list[list[int]]:
    """Return, for each block, how many channels each layer of the plain twin makes."""
    found, width, missing = [], initial, 0
    for i, count in enumerate(blocks):
        dense = width + count * growth_rate
        out = int(dense * reduction) if i < len(blocks) - 1 else num_classes
        target = missing + _count(
            [width + j * growth_rate for j in range(count)],
            [growth_rate] * count,
            bottleneck,
            dense,
            out,
        )
        growths = _nearest(width, count, bottleneck, out, target)
        found.append(growths)
        missing = target - _count_chain(width, growths, bottleneck, out)
        width = out
    return found


def _nearest(width: int, count: int, bottleneck: int | None, out: int, target: int) -> list[int]:
    """Return the growths whose block has the number of parameters nearest to `target`."""
    base = 1
    while _count_chain(width, [base + 1] * count, bottleneck, out) <= target:
        base += 1
    choices = [[base + 1] * wide + [base] * (count - wide) for wide in range(count + 1)]
    return min(choices, key=lambda each: abs(target - _count_chain(width, each, bottleneck, out)))


def _count_chain(width: int, growths: list[int], bottleneck: int | None, out: int) -> int:
    return _count([width, *growths[:-1]], growths, bottleneck, growths[-1], out)


def _count(
    reads: list[int], growths: list[int], bottleneck: int | None, width: int, out: int
) -> int:
    """Return the parameters of layers, of the norm behind them and of its 1 × 1 or classifier."""
    total = 2 * width + width * out
    for read, growth in zip(reads, growths, strict=True):
        if bottleneck is None:
            total += 2 * read + 9 * read * growth
        else:
            inner = bottleneck * growth
            total += 2 * read + read * inner + 2 * inner + 9 * inner * growth
    return total
