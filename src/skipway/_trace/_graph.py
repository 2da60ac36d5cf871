"""`Graph`: what one run of a model did, call by call.

```
Graph ── nodes: every input and every call in execution order (`Node`)
      ── sources, consumers: the calls right before and right after each
      ── ancestors(i): the nodes that node i was computed from, as a bit set
      ── units: the weight layers in execution order (`Unit`), the rows of every table
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

# Calls that read a part of a tensor.
SLICES = {"getitem", "select", "narrow", "unbind", "chunk", "split", "tensor_split"}


@dataclass(frozen=True)
class Node:
    """One call, or one input of the model.

    Attributes:
        index: its place in execution order; inputs come first.
        op: the name of the torch function (`"linear"`, `"relu"`, `"add"`, `"cat"` ...), or
            `"input"`, or `"constant"` for a tensor that came from outside.
        module: dotted path of the innermost module that made the call, `""` for the root.
        call: which call of that module this is, from 0.
        inputs: indices of the nodes whose tensors it read, in argument order.
        parameters: names of the parameters it read directly or through functions of parameters
            alone (weight norm, a cast).
        shape: the shape of its (first) output tensor.
        dtype: of that tensor, without `torch.`.
        differentiable: whether that tensor carries a gradient.
        inplace: whether it overwrote one of its inputs.
    """

    index: int
    op: str
    module: str = ""
    call: int = 0
    inputs: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    differentiable: bool = True
    inplace: bool = False


@dataclass(frozen=True)
class Unit:
    """A weight layer: one call that multiplies by a weight of two or more dimensions.

    Attributes:
        name: how it is called everywhere: its module path, with `#call` added where the module
            is called more than once in one run (`"cell#3"`), or the parameter's name where no
            module of its own holds the weight.
        node: index of the node that multiplies.
        module: the module path alone.
        call: which call of that module, from 0.
        type: for readers: `"Linear 64 → 10"`, `"Conv2d 3 → 6, 3×3"`.
        parameters: names of its parameters, weight first.
        shared: whether its module is called more than once in a run.
    """

    name: str
    node: int
    module: str
    call: int
    type: str
    parameters: tuple[str, ...]
    shared: bool = False


@dataclass(frozen=True)
class Graph:
    """The observed computation of one run.

    Attributes:
        nodes: every input and every call, in execution order.
        units: the weight layers, in execution order.
        outputs: the nodes whose tensors the model returned; where it was called several times,
            those of the last call and those of earlier ones that no call read.
        calls: how often each module was called, by path.
        entries: the node of the tensor that each call of a module (path, which call) got first.
        exits: the node of the tensor that it returned, and its place where that was a tuple or a
            list: 0.
    """

    nodes: tuple[Node, ...]
    units: tuple[Unit, ...]
    outputs: tuple[int, ...]
    calls: dict[str, int] = field(default_factory=dict)
    entries: dict[tuple[str, int], int] = field(default_factory=dict)
    exits: dict[tuple[str, int], tuple[int, int | None]] = field(default_factory=dict)

    @cached_property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        """For every node the nodes that it was computed from in one call, each once.

        A slice of an input was computed from nothing: it counts as an input of its own. What a
        recurrent net reads at step 7 has nothing to do with what it read at step 3.
        """
        found: list[tuple[int, ...]] = []
        roots: set[int] = set()
        for node in self.nodes:
            if node.op == "input" or (node.op in SLICES and set(node.inputs) <= roots):
                roots.add(node.index)
                found.append(())
            else:
                found.append(tuple(dict.fromkeys(node.inputs)))
        return tuple(found)

    @cached_property
    def _ancestors(self) -> tuple[int, ...]:
        # Quadratic memory, though a bit for each pair: nothing that runs on every network asks.
        sets: list[int] = []
        for sources in self.sources:
            bits = 0
            for source in sources:
                bits |= sets[source] | (1 << source)
            sets.append(bits)
        return tuple(sets)

    def ancestors(self, index: int) -> int:
        """Return a bit set: bit `i` is set when node `i` feeds node `index`, however far."""
        return self._ancestors[index]

    def feeds(self, source: int, destination: int) -> bool:
        """Tell whether `destination` was computed from `source`."""
        return bool(self._ancestors[destination] >> source & 1)

    @cached_property
    def roots(self) -> tuple[int, ...]:
        """For every node a bit set of the inputs, and slices of inputs, that it depends on.

        Two nodes whose sets share no bit have nothing in common.
        """
        sets: list[int] = []
        count = 0
        for sources in self.sources:
            bits = 0
            for source in sources:
                bits |= sets[source]
            if not sources:
                bits, count = 1 << count, count + 1
            sets.append(bits)
        return tuple(sets)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """For every node the number of calls on the longest way to it."""
        found: list[int] = []
        for sources in self.sources:
            found.append(1 + max((found[source] for source in sources), default=-1))
        return tuple(found)

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """For every node the nodes that read it, in execution order."""
        readers: list[list[int]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                readers[source].append(node.index)
        return tuple(tuple(each) for each in readers)

    @cached_property
    def used(self) -> frozenset[int]:
        """The nodes that an output of the model was computed from, the outputs among them."""
        found, waiting = set(self.outputs), list(self.outputs)
        while waiting:
            new = set(self.sources[waiting.pop()]) - found
            found |= new
            waiting += new
        return frozenset(found)

    @cached_property
    def read_on(self) -> tuple[bool, ...]:
        """For every node whether a weight layer was computed from it."""
        found = [False] * len(self.nodes)
        for index in reversed(range(len(self.nodes))):
            if found[index] or index in self._units_by_node:
                for source in self.sources[index]:
                    found[source] = True
        return tuple(found)

    @cached_property
    def units_in(self) -> dict[str, tuple[Unit, ...]]:
        """The weight layers that ran inside each module, by its path, in execution order."""
        found: dict[str, list[Unit]] = {}
        for unit in self.units:
            parts = unit.module.split(".") if unit.module else []
            for length in range(len(parts) + 1):
                found.setdefault(".".join(parts[:length]), []).append(unit)
        return {path: tuple(units) for path, units in found.items()}

    def unit_at(self, node: int) -> Unit | None:
        """Return the weight layer that multiplies in this node, if one does."""
        return self._units_by_node.get(node)

    def unit(self, name: str) -> Unit:
        """Return the unit of this name.

        Raises:
            KeyError: there is none.
        """
        return self._units_by_name[name]

    @cached_property
    def _units_by_name(self) -> dict[str, Unit]:
        return {unit.name: unit for unit in self.units}

    @cached_property
    def _units_by_node(self) -> dict[int, Unit]:
        return {unit.node: unit for unit in self.units}
