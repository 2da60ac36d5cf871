"""`ExistingSum`: a residual sum that a network has already, under another rule."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn

from ..._errors import RewireError
from ..._trace import Site
from .._code._edits import Swap
from .._code._forward import UnreadableError
from .._code._reading import Reading
from ._change import Hooks, Part
from ._rules import LocalRule, Spot
from ._sum_change import SumChange

_FIRST = "{skip} + "
_ADDS = (operator.add, operator.iadd, torch.add)
_METHODS = ("add", "add_", "__add__", "__iadd__")
# What a traced forward computes that is no tensor: sizes, and arithmetic with them.
_SIZES = ("size", "dim", "numel", "ndimension", "stride")
_SIZE_ATTRIBUTES = ("shape", "ndim", "dtype", "device")


@dataclass(frozen=True)
class ExistingSum(SumChange):
    """A residual sum at its place in one network.

    Attributes:
        site: where it is written, if that is known.
        rule: what takes its place.
        spot: what the rule may want to know of it.
        preserve: whether the network is to compute at first what it did.
    """

    site: Site | None
    rule: LocalRule
    spot: Spot
    preserve: bool

    @property
    def scope(self) -> str:
        """Return the path of the module in whose forward it is."""
        return self.graph.nodes[self.joint.node].module

    def parts(self) -> Sequence[Part]:
        """Return the module of the rule."""
        if self.rule.make is None:
            return []
        return [
            Part(
                self.rule.role,
                self.rule.make(self.spot, self.preserve),
                self.like,
            )
        ]

    def template(self, part: str) -> str:
        """Return what takes its place, with the expression of its module put in."""
        text = self.rule.join(self.spot)
        if self.skip == 1 and text.startswith(_FIRST):
            # The user wrote f(x) + x, and goes on to read it so.
            text = f"{text.removeprefix(_FIRST)} + {{skip}}"
        return text.replace("{part}", part)

    def edit(self, reading: Reading, names: Sequence[str]) -> Swap:
        """Return the swap of the call."""
        node = self._node(reading)
        text = self.template(names[0] if names else "")
        for name, index in (("skip", self.skip), ("branch", 1 - self.skip)):
            text = text.replace(f"{{{name}}}", f"{{{index}}}")
            text = text.replace(f"{{{name}{'ped' if name == 'skip' else 'ed'}}}", f"{{{index}}}")
        return Swap(node, text)

    def attach(
        self, result: nn.Module, modules: Sequence[nn.Module], names: Sequence[str], reason: str
    ) -> Hooks:
        """Hooks see modules; a sum is none."""
        raise RewireError(f"{reason}, and hooks do not see a sum")

    def _node(self, reading: Reading) -> fx.Node:
        seen = [
            node.index
            for node in self.graph.nodes
            if node.module == self.scope and node.call == 0 and node.op == "add"
        ]
        read = [node for node in reading.nodes if _is_sum(node)]
        if len(seen) != len(read) or self.joint.node not in seen:
            raise UnreadableError("fx does not see the same sums in it")
        node = read[seen.index(self.joint.node)]
        if node.kwargs or len(node.args) != 2:
            raise UnreadableError("its sum has further arguments")
        return node


def _is_sum(node: fx.Node) -> bool:
    adds = (node.op == "call_function" and node.target in _ADDS) or (
        node.op == "call_method" and node.target in _METHODS
    )
    return adds and not _is_number(node)


def _is_number(node: fx.Node) -> bool:
    """Tell whether a value is a size, or was computed from sizes alone."""
    if node.op == "call_method" and node.target in _SIZES:
        return True
    if node.target is getattr and node.args[1] in _SIZE_ATTRIBUTES:
        return True
    inputs = node.all_input_nodes
    plain = node.op == "call_function" and getattr(node.target, "__module__", "") in (
        "_operator", "builtins", "math",
    )  # fmt: skip
    return plain and bool(inputs) and all(map(_is_number, inputs))
