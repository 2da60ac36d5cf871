"""The residual sums of a network: which of them another rule can serve."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..._errors import RewireError
from ..._results import Plan
from ..._trace import Graph, Joint, branch_of, read_joints, read_skips


@dataclass
class ResidualSums:
    """The residual sums of a network.

    Attributes:
        graph: of the network.
        joints: the sums that may change.
        left: why the others are left as they are, by node.
    """

    graph: Graph
    joints: list[Joint] = field(default_factory=list)
    left: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for joint in read_joints(self.graph):
            if joint.kind in ("parallel", "merge"):
                continue
            why = self._why_not(joint)
            if why:
                self.left[joint.node] = why
            else:
                self.joints.append(joint)

    def _why_not(self, joint: Joint) -> str:
        node = self.graph.nodes[joint.node]
        shapes = {self.graph.nodes[each].shape for each in node.inputs}
        if joint.merge == "cat":
            return "it concatenates: what reads it has its weights for all of it"
        if node.op != "add":
            return "it subtracts"
        if len(node.inputs) != 2:
            return "it adds more than two"
        if shapes != {node.shape}:
            return "it broadcasts one of its sides"
        if not branch_of(self.graph, joint):
            return "nothing on its branch learns"
        return ""

    def narrow(self, plan: Plan) -> None:
        """Keep the sums that a plan names.

        Raises:
            RewireError: one of them is not there.
        """
        wanted = [(skip.source, skip.destination, skip.module) for skip in plan.skips]
        if not wanted:
            raise RewireError(
                "The plan holds no skip; reconnect without plan= to have one made.",
                page="skips#a-part-of-the-skips-and-another-instance",
            )
        names = names_of(self.graph)
        kept = []
        for joint in self.joints:
            if names[joint.node] in wanted:
                wanted.remove(names[joint.node])
                kept.append(joint)
        if wanted:
            source, destination, module = wanted[0]
            raise RewireError(
                f"There is no skip from `{source}` to `{destination}` in "
                f"`{module or 'the model'}` of this network; "
                "skipway.skips(model, inputs) lists those it has.",
                page="skips#a-part-of-the-skips-and-another-instance",
            )
        self.joints, self.left = kept, {}


def names_of(graph: Graph) -> dict[int, tuple[str, str, str]]:
    """Return source, destination and module of every skip, by the node that joins."""
    facts = zip(read_joints(graph), read_skips(graph), strict=True)
    return {joint.node: (fact.source, fact.destination, fact.module) for joint, fact in facts}
