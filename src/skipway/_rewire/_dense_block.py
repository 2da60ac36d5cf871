"""`DenseBlock`: every later layer reads all earlier ones, mixed to one width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from .._errors import RewireError
from .._trace import Graph
from ._change import Change, Hooks, Part
from ._edits import Gather
from ._hookable import check_hookable
from ._overwritten import is_overwritten
from ._places import Place
from ._placing import Placed
from ._reading import Reading
from ._relay import DenseRelay
from ._shortcuts import dense_fuse_of


@dataclass(frozen=True)
class DenseBlock(Change):
    """The places of one dense block; each but the first reads all before it, and itself.

    Attributes:
        graph: of the network.
        places: in execution order.
        last: the skip that ends at each place but the first, from the place before it.
    """

    graph: Graph
    places: tuple[Place, ...]
    last: tuple[Placed, ...]

    @property
    def scope(self) -> str:
        """Return the path of the module that calls all the layers."""
        return self.places[0].scope

    @property
    def order(self) -> tuple[int, ...]:
        """Return where it starts; what joins its first layer comes before."""
        return self.places[0].node, len(self.graph.nodes)

    def parts(self) -> Sequence[Part]:
        """Return the fusing layers."""
        return [
            Part(
                "fuse",
                dense_fuse_of(placed.skip, placed.ends, number + 2),
                self.graph.unit(placed.destination.name).parameters[0],
            )
            for number, placed in enumerate(self.last)
        ]

    def edit(self, reading: Reading, names: Sequence[str]) -> Gather:
        """Return the list that is kept, and who reads it."""
        nodes = tuple(reading.node(place) for place in self.places)
        merges = (None, *(f"{name}({{skips}})" for name in names))
        clones = frozenset(node for node, clone in zip(nodes, self._clones, strict=True) if clone)
        return Gather(nodes, merges, clones)

    def attach(
        self, result: nn.Module, modules: Sequence[nn.Module], names: Sequence[str], reason: str
    ) -> Hooks:
        """Return the relay between the modules."""
        for place in self.places:
            check_hookable(self.graph, result, place, reason)
        relay = DenseRelay([place.child for place in self.places], modules, self._clones)
        relay.attach(result)
        return Hooks(relay, self._described(names))

    @property
    def _clones(self) -> tuple[bool, ...]:
        # What reads the list is replaced by a new tensor: only the first can be overwritten.
        first = is_overwritten(self.graph, self.places[0].node)
        return (first, *(False for _ in self.last))

    def _described(self, names: Sequence[str]) -> tuple[str, ...]:
        inside = len(self.scope) + 1 if self.scope else 0
        paths = [place.child[inside:] for place in self.places]
        lines = [f"skips = [x{'.clone()' if self._clones[0] else ''}]  # after {paths[0]}"]
        for path, name in zip(paths[1:], names, strict=True):
            lines += [f"skips.append(x)  # after {path}", f"x = {name}(skips)"]
        return tuple(lines)


def dense_blocks(graph: Graph, placed: Sequence[Placed]) -> list[DenseBlock]:
    """Return the dense blocks that skips, one for each pair of layers, make up.

    Raises:
        RewireError: a layer reads some of a block's earlier layers and not the others.
    """
    arriving: dict[int, list[Placed]] = {}
    for each in sorted(placed, key=lambda p: (p.destination.node, p.source.node)):
        arriving.setdefault(each.destination.node, []).append(each)
    blocks: list[list[Placed]] = []
    for group in arriving.values():
        read = [each.source.node for each in group]
        for block in blocks:
            if _taps(block) == read:
                block.append(group[-1])
                break
        else:
            _check_first(group, blocks)
            blocks.append([group[-1]])
    return [
        DenseBlock(graph, (block[0].source, *(each.destination for each in block)), tuple(block))
        for block in blocks
    ]


def _taps(block: Sequence[Placed]) -> list[int]:
    return [block[0].source.node, *(each.destination.node for each in block)]


def _check_first(group: Sequence[Placed], blocks: Sequence[Sequence[Placed]]) -> None:
    if len(group) == 1:
        return
    name = group[0].destination.name
    read = ", ".join(f"`{each.source.name}`" for each in group)
    raise RewireError(
        f"In this plan `{name}` reads {read}. A dense layer reads every layer of its block before "
        "it, and these are not all that an earlier one there reads, with that layer itself. Give "
        f'it a skip from each of them, or join single ones to it with merge="cat".'
    )
