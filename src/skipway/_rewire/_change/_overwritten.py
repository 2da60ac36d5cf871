"""Whether something overwrites a tensor in place after it was tapped."""

from __future__ import annotations

from ..._trace import Graph

# Calls whose output may share memory with their input, or be it (dropout in evaluation).
_ALIASES = {
    "view", "reshape", "flatten", "unflatten", "transpose", "permute", "t", "T", "mT", "squeeze",
    "unsqueeze", "expand", "expand_as", "contiguous", "to", "float", "type_as", "detach", "get",
    "getitem", "select", "narrow", "unbind", "chunk", "split", "tensor_split", "view_as",
    "movedim", "swapaxes", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
    "feature_dropout", "identity",
}  # fmt: skip


def is_overwritten(graph: Graph, node: int) -> bool:
    """Tell whether the tensor of `node`, or a view of it, is written to after it was made.

    A skip that keeps it would carry what an in-place ReLU has left of it, without an error.
    """
    waiting, seen = [node], {node}
    while waiting:
        for reader in graph.consumers[waiting.pop()]:
            if graph.nodes[reader].inplace:
                return True
            if graph.nodes[reader].op in _ALIASES and reader not in seen:
                seen.add(reader)
                waiting.append(reader)
    return False
