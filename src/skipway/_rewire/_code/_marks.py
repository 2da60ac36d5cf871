"""The edits of a forward by the call they belong to, and what still reads what."""

from __future__ import annotations

import operator
import string
from collections import defaultdict
from collections.abc import Sequence

from torch import fx

from ._edits import Edit, Gather, Join, Swap


class Marks:
    """Looks edits up by call.

    Args:
        nodes: the calls in execution order.
        edits: made to them.
    """

    def __init__(self, nodes: Sequence[fx.Node], edits: Sequence[Edit]) -> None:
        self.at = {node: index for index, node in enumerate(nodes)}
        self.swaps = {edit.node: edit for edit in edits if isinstance(edit, Swap)}
        self.arriving: dict[fx.Node, list[Join]] = defaultdict(list)
        self.leaving: dict[fx.Node, list[Join]] = defaultdict(list)
        self.gathered: dict[fx.Node, list[tuple[Gather, int]]] = defaultdict(list)
        for edit in edits:
            if isinstance(edit, Join):
                self.arriving[edit.destination].append(edit)
                self.leaving[edit.source].append(edit)
            elif isinstance(edit, Gather):
                for number, tap in enumerate(edit.taps):
                    self.gathered[tap].append((edit, number))
        self._read(nodes)

    def _read(self, nodes: Sequence[fx.Node]) -> None:
        self.readers: dict[fx.Node, list[fx.Node]] = {node: [] for node in nodes}
        self.dropped: set[fx.Node] = set()
        self.last = dict(self.at)
        for node in reversed(nodes):
            # An item of a tuple that nobody reads does nothing.
            idle = bool(node.users) or node.target is operator.getitem
            if idle and not self.readers[node] and not self.is_marked(node):
                self.dropped.add(node)
                continue
            for operand in self.reads(node):
                self.readers[operand].append(node)
                self.last[operand] = max(self.last[operand], self.at[node])

    def reads(self, node: fx.Node) -> list[fx.Node]:
        """Return the operands that `node` reads as it will be written."""
        swap = self.swaps.get(node)
        if swap is None:
            return list(node.all_input_nodes)
        used = [node.args[index] for index in used_by(swap)]
        return [each for each in dict.fromkeys(used) if isinstance(each, fx.Node)]

    def is_marked(self, node: fx.Node) -> bool:
        """Tell whether the value of `node` needs a name: something joins it, or taps it."""
        return node in self.arriving or node in self.leaving or node in self.gathered

    def is_waited_for(self, node: fx.Node) -> bool:
        """Tell whether anything reads the value of `node`, or joins it."""
        return bool(self.readers[node]) or self.is_marked(node)

    def end_of(self, node: fx.Node) -> int:
        """Return where the last skip that was tapped at `node` joins."""
        return max(self.at[join.destination] for join in self.leaving[node])


def used_by(swap: Swap) -> list[int]:
    """Return which operands the text of a swap names, in the order in which it does."""
    fields = (name for _, name, _, _ in string.Formatter().parse(swap.text))
    return [int(name) for name in fields if name]
