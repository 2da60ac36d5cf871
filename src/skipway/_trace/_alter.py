"""A run with another way for the gradient, or with one less, though every value stays the same.

Added:  `f(x) + (x - x.detach())`, whose value is `f(x)` and whose slope is `1 + f'(x)`.
Cut:    `x.detach() + f(x)`, whose value is `x + f(x)` and whose slope is `f'(x)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from .._errors import ModelError
from ._calls import name_of
from ._graph import Graph, Unit


class Alteration(Protocol):
    """What `record` asks before and after every call inside the model, in one run."""

    def anew(self) -> Alteration:
        """Return the same for another run."""

    def arguments(
        self, index: int, func: Any, arguments: tuple[Any, Any], home: Mapping[Tensor, int]
    ) -> tuple[Any, Any]:
        """Return the arguments for the call that will be node `index`."""

    def output(self, index: int, tensor: Tensor) -> tuple[Tensor, tuple[int, int]] | None:
        """Return what goes on instead of the output of node `index`, and the nodes it joins."""


class AddedSkips:
    """Ways for the gradient alone, from one weight layer's output to a later one's."""

    def __init__(self, ends: Sequence[tuple[Unit, Unit]]) -> None:
        self.given = ends
        self.ends = sorted((last.node, first.node) for first, last in ends)
        self.sources = {first for _, first in self.ends}
        self.nodes = {unit.node: unit.name for pair in ends for unit in pair}
        self.ways: dict[int, tuple[Tensor, int]] = {}
        self.added = 0

    def anew(self) -> AddedSkips:
        """Return the same for another run."""
        return AddedSkips(self.given)

    def arguments(
        self, index: int, func: Any, arguments: tuple[Any, Any], home: Mapping[Tensor, int]
    ) -> tuple[Any, Any]:
        return arguments

    def output(self, index: int, tensor: Tensor) -> tuple[Tensor, tuple[int, int]] | None:
        # Every skip that was added before is one node more than the plain run had.
        plain = index - self.added
        if plain in self.nodes and not tensor.requires_grad:
            raise ModelError(
                f"The output of `{self.nodes[plain]}` carries no gradient where it is made, inside "
                "of a custom autograd function or without gradients, so no skip can be tried there."
            )
        joined, way = tensor, None
        for last, first in self.ends:
            if last == plain and first in self.ways:
                zero, way = self.ways[first]
                joined = joined + zero
        if plain in self.sources:
            # Taken at once: what overwrites the tensor later must not reach it.
            kept = index if way is None else index + 1
            self.ways[plain] = joined - joined.detach(), kept
        if way is None:
            return None
        self.added += 1
        return joined, (index, way)


class CutSkips:
    """Skips that carry the value and no gradient."""

    def __init__(self, graph: Graph, operands: Mapping[int, Sequence[int]]) -> None:
        """Take, by node of a join, the operands that are cut off there."""
        self.graph, self.operands = graph, operands

    def anew(self) -> CutSkips:
        """Return the same for another run."""
        return self

    def arguments(
        self, index: int, func: Any, arguments: tuple[Any, Any], home: Mapping[Tensor, int]
    ) -> tuple[Any, Any]:
        cut = self.operands.get(index, ())
        if not cut or self.graph.nodes[index].op != name_of(func):
            return arguments
        first = arguments[0][0] if arguments[0] else None
        if _overwrites(func) and isinstance(first, Tensor) and home.get(first) in cut:
            name = self.graph.nodes[index].module or "its own forward"
            raise ModelError(
                f"The skip in `{name}` is overwritten where it joins ({func.__name__}), so it "
                "cannot be cut for a trial. Write the sum as `y = x + f(x)`."
            )
        positional, named = _detached(arguments, cut, home)
        return positional, named

    def output(self, index: int, tensor: Tensor) -> tuple[Tensor, tuple[int, int]] | None:
        return None


def _overwrites(func: Any) -> bool:
    name: str = getattr(func, "__name__", "")
    return name.endswith("_") and not name.endswith("__")


def _detached(value: Any, cut: Sequence[int], home: Mapping[Tensor, int]) -> Any:
    if isinstance(value, Tensor):
        if home.get(value) not in cut:
            return value
        with torch._C.DisableTorchFunction():
            return value.detach()
    if type(value) in (tuple, list):
        return type(value)(_detached(each, cut, home) for each in value)
    if isinstance(value, dict):
        return {key: _detached(each, cut, home) for key, each in value.items()}
    return value


def replaced(output: Any, new: Mapping[int, Tensor]) -> Any:
    """Return an output with tensors (by their id) exchanged.

    Raises:
        ModelError: they are inside of something that cannot be built anew.
    """
    if isinstance(output, Tensor):
        return new.get(id(output), output)
    if type(output) in (tuple, list):
        return type(output)(replaced(each, new) for each in output)
    if type(output) is dict:
        return {key: replaced(each, new) for key, each in output.items()}
    raise ModelError(
        f"A layer returns a {type(output).__name__}, to which no skip can be joined for a trial."
    )
