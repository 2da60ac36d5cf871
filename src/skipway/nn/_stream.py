"""`Streams`: one rule over blocks that are written already, and call each other as before."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .._errors import SkipError
from ._rule import Rule, check_unserved

_PAGE = "skips#rules-with-several-streams"  # of the docs


class Streams:
    """One rule over `depth` sums of a network, wherever they are written.

    A `Stack` runs its blocks; here the network does, and its blocks hand on the rule's state where
    they handed on a tensor. Each block takes its part, and in its forward the sums
    `x = x + f(x)` become

    ```
    stream = self.streams.enter(x)
    x = stream.read()
    x = stream.join(f(x))  # the last sum returns the state, and the last of all the output
    ```

    Args:
        rule: as for `Stack`; each `Streams` gets one of its own.
        depth: how many sums there are in all blocks together.

    Raises:
        SkipError: the rule serves another stack already, or the depth is below 1.

    Example:
        >>> import torch, skipway
        >>> class Block(nn.Module):
        ...     def __init__(self, streams):
        ...         super().__init__()
        ...         self.layer, self.streams = nn.Linear(8, 8), streams.take(1)
        ...     def forward(self, x):
        ...         stream = self.streams.enter(x)
        ...         x = stream.read()
        ...         return stream.join(torch.relu(self.layer(x)))
        >>> streams = Streams(skipway.nn.HyperConnections(2), 3)
        >>> net, x = nn.Sequential(*(Block(streams) for _ in range(3))), torch.randn(4, 8)
        >>> expected = x
        >>> for block in net:
        ...     expected = expected + torch.relu(block.layer(expected))
        >>> torch.allclose(net(x), expected)
        True
    """

    def __init__(self, rule: Rule, depth: int) -> None:
        if not isinstance(rule, Rule):
            raise SkipError(
                f"A rule is a skipway.nn.Rule, not {rule!r}.",
                page=_PAGE,
            )
        check_unserved(rule, _PAGE)
        if depth < 1:
            raise SkipError(
                f"There is to be one sum or more, not {depth}.",
                page=_PAGE,
            )
        self.rule, self.depth, self.taken = rule, depth, 0
        rule.depth = depth
        rule.prepare(nn.ModuleList(nn.Identity() for _ in range(depth)))

    def take(self, joins: int) -> StreamPart:
        """Return the part of the next block, which has so many sums.

        Raises:
            SkipError: so many are not left.
        """
        if not 1 <= joins <= self.depth - self.taken:
            raise SkipError(
                f"{self.taken} of {self.depth} sums have their block, and the next one wants "
                f"{joins}. Give Streams the number of sums that all blocks have together.",
                page=_PAGE,
            )
        part = StreamPart(self.rule, self.taken, joins)
        self.taken += joins
        return part


class StreamPart(nn.Module):
    """A block's part of `Streams`.

    Args:
        rule: shared with the other blocks.
        first: which of all sums its first one is, from 0.
        joins: how many sums it has.
    """

    def __init__(self, rule: Rule, first: int, joins: int) -> None:
        super().__init__()
        self.rule, self.first, self.joins = rule, first, joins

    def enter(self, state: Any) -> Stream:
        """Return the stream of one run, from the tensor or state that comes in."""
        return Stream(self, self.rule.begin(state) if self.first == 0 else state)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"first={self.first}, joins={self.joins}"


class Stream:
    """One run through a block: what its branches read, and what waits for their outputs."""

    def __init__(self, part: StreamPart, state: Any) -> None:
        self.part, self.layer = part, part.first
        self.h, self.waiting = part.rule.read(state, part.first)

    def read(self) -> Tensor:
        """Return what the first branch reads."""
        return self.h

    def join(self, y: Tensor) -> Any:
        """Take what a branch gave; return what the next one reads.

        After the block's last sum return the state, and after the last of all the output.
        """
        rule, part = self.part.rule, self.part
        state = rule.write(self.waiting, self.layer, y)
        self.layer += 1
        if self.layer == rule.depth:
            return rule.end(state)
        if self.layer == part.first + part.joins:
            return state
        self.h, self.waiting = rule.read(state, self.layer)
        return self.h
