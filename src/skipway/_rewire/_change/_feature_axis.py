"""Along which axis the features of a sum lie: 1 behind convolutions, -1 for tokens."""

from __future__ import annotations

from ..._trace import Graph, Joint, branch_of

_TURNS = {"permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims"}


def feature_axis(graph: Graph, joint: Joint) -> tuple[int, int]:
    """Return how many features a sum has, and the axis that they lie along."""
    shape = graph.nodes[joint.node].shape
    axis = _axis(graph, joint, shape) if len(shape) > 2 else -1
    return shape[axis], axis


def _axis(graph: Graph, joint: Joint, shape: tuple[int, ...]) -> int:
    units = {unit.name: unit for unit in graph.units}
    last = branch_of(graph, joint)[-1]
    if last not in units:
        return 1 if len(shape) == 4 else -1
    node = graph.nodes[units[last].node]
    conv = "conv" in node.op and len(node.shape) > 2
    features = node.shape[1 if conv else -1]
    fits = [axis for axis in (1, -1) if shape[axis] == features]
    if len(fits) == 1:
        return fits[0]
    # Both axes have this size, or the layer's output was reshaped: what was turned after it says.
    turned = any(
        each.op in _TURNS and graph.feeds(node.index, each.index)
        for each in graph.nodes[node.index : joint.node]
    )
    return 1 if conv != turned else -1
