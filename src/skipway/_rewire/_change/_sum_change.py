"""`SumChange`: what is done to a sum that a network has already."""

from __future__ import annotations

from dataclasses import dataclass

from ..._trace import Graph, Joint, branch_of
from ._change import Change


@dataclass(frozen=True)
class SumChange(Change):
    """A change of one sum, at its place.

    Attributes:
        graph: of the network.
        joint: the sum.
    """

    graph: Graph
    joint: Joint

    @property
    def order(self) -> tuple[int, ...]:
        """Return where in the run it is."""
        return (self.joint.node,)

    @property
    def skip(self) -> int:
        """Return which of its two operands is skipped, 0 or 1."""
        return self.graph.nodes[self.joint.node].inputs.index(self.joint.skipped[0])

    @property
    def like(self) -> str:
        """Return the name of a parameter of the branch; a new module takes its device and type."""
        layer = branch_of(self.graph, self.joint)[-1]
        units = {unit.name: unit for unit in self.graph.units}
        if layer in units:
            return units[layer].parameters[0]
        nodes = reversed(self.graph.nodes[: self.joint.node])
        return next(node.parameters[0] for node in nodes if node.parameters)
