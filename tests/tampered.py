"""An independent run of a network whose sums are weighed differently, without changing its code."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

_VALUELESS = {"zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like",
              "new_zeros", "new_ones", "new_full", "new_empty", "new_tensor"}  # fmt: skip


class Tampered(TorchFunctionMode):
    """While it is on, the branches of some sums count half, or their skips count nothing.

    Sums are numbered in the order in which they run; those that nothing of the inputs goes into
    are not counted.

    Args:
        skipped: for each sum to be tampered with, by number, which operand is the skip: 0 or 1.
        inputs: of the network; run it on `self.inputs`, a copy.
        cut: leave the skips out.
    """

    def __init__(self, skipped: dict[int, int], inputs: Any, *, cut: bool = False) -> None:
        super().__init__()
        self.skipped, self.count, self.cut = skipped, 0, cut
        self.inputs = copy.deepcopy(inputs)
        self.known = WeakTensorKeyDictionary()
        for tensor in tensors(self.inputs):
            self.known[tensor] = True

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        live = any(tensor in self.known for tensor in tensors((args, kwargs)))
        if live and name in ("add", "iadd", "radd"):
            skip = self.skipped.get(self.count)
            self.count += 1
            if skip is not None and self.cut:
                func, args, kwargs = torch.clone, (args[1 - skip],), {}
            elif skip is not None:
                halved = list(args)
                halved[1 - skip] = args[1 - skip] * 0.5
                if name == "iadd" and skip == 1:
                    args[0].mul_(0.5)  # what is overwritten stays the same object
                else:
                    args = tuple(halved)
        output = func(*args, **kwargs)
        if live and name not in _VALUELESS:
            for tensor in tensors(output):
                self.known[tensor] = True
        return output


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors inside nested containers."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [tensor for each in value for tensor in tensors(each)]
    return []


def sums_of(
    model: Any, inputs: Any, changed: set[tuple[str, str, str]]
) -> tuple[dict[int, int], int]:
    """Return what `Tampered` takes for skips (source, destination, module), and the sums' count."""
    from skipway._trace import observe, read_joints, read_skips

    graph = observe(model, inputs)
    live: set[int] = set()
    for node in graph.nodes:
        if node.op == "input" or live & set(node.inputs):
            live.add(node.index)
    numbers = [node.index for node in graph.nodes if node.op == "add" and node.index in live]
    skipped: dict[int, int] = {}
    for joint, fact in zip(read_joints(graph), read_skips(graph), strict=True):
        if (
            (fact.source, fact.destination, fact.module) in changed
            and joint.merge == "add"
            and joint.skipped
        ):
            operands = graph.nodes[joint.node].inputs
            skipped[numbers.index(joint.node)] = operands.index(joint.skipped[0])
    return skipped, len(numbers)


def halved(rewiring: Any) -> Any:
    """Return a copy of a network under ReZero with all of its gates at one half."""
    model = copy.deepcopy(rewiring.model)
    new = {id(parameter) for parameter in rewiring.new_parameters()}
    with torch.no_grad():
        for own, twin in zip(rewiring.model.parameters(), model.parameters(), strict=True):
            if id(own) in new:
                twin.fill_(0.5)
    return model
