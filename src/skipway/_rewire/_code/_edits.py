"""What may be done to a forward while it is written anew: `Join`, `Gather` and `Swap`.

An edit speaks of the calls of one traced forward; which modules it needs, and what they are
called, was settled before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from torch import fx


@dataclass(frozen=True)
class Join:
    """A skip: the value of `source` joins the value of `destination`.

    Attributes:
        source: the call whose value is tapped, after what joins it.
        destination: the call whose value it joins.
        merge: the expression, with `{skip}` and `{x}` for the two.
        clone: whether something overwrites the tapped value in place before it joins.
    """

    source: fx.Node
    destination: fx.Node
    merge: str
    clone: bool = False


@dataclass(frozen=True)
class Gather:
    """A dense block: the values of several calls are kept in a list, which later calls read.

    Attributes:
        taps: the calls whose values are kept, in execution order; a value that reads the list
            itself is kept as it was before.
        merges: for each tap the expression that takes its place, with `{skips}` for the list so
            far, its own value at the end; `None` where it only is kept.
        clones: the taps that something overwrites in place later.
    """

    taps: tuple[fx.Node, ...]
    merges: tuple[str | None, ...]
    clones: frozenset[fx.Node] = frozenset()


@dataclass(frozen=True)
class Swap:
    """A call is written as something else.

    Attributes:
        node: the call.
        text: the expression that takes its place, with `{0}`, `{1}` ... for its operands. What
            only an operand that is left out needs is not computed any more.
    """

    node: fx.Node
    text: str


Edit: TypeAlias = Join | Gather | Swap
