"""`DenseBlock`: every later layer reads all earlier ones, mixed to one width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from torch import nn

from ..._errors import RewireError
from ..._results import PlannedSkip
from ..._trace import Graph
from .._code._edits import Gather
from .._code._reading import Reading
from .._where._places import Place
from .._where._placing import Placed, place, unit_of
from .._where._shortcuts import dense_fuse_of
from ._change import Change, Hooks, Part
from ._hookable import check_hookable
from ._overwritten import is_overwritten
from ._relay import DenseRelay


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
        nodes = tuple(reading.node(each) for each in self.places)
        merges = (None, *(f"{name}({{skips}})" for name in names))
        clones = frozenset(node for node, clone in zip(nodes, self._clones, strict=True) if clone)
        return Gather(nodes, merges, clones)

    def attach(
        self, result: nn.Module, modules: Sequence[nn.Module], names: Sequence[str], reason: str
    ) -> Hooks:
        """Return the relay between the modules."""
        for each in self.places:
            check_hookable(self.graph, result, each, reason)
        relay = DenseRelay([each.child for each in self.places], modules, self._clones)
        relay.attach(result)
        return Hooks(relay, self._described(names))

    @property
    def _clones(self) -> tuple[bool, ...]:
        # What reads the list is replaced by a new tensor: only the first can be overwritten.
        first = is_overwritten(self.graph, self.places[0].node)
        return (first, *(False for _ in self.last))

    def _described(self, names: Sequence[str]) -> tuple[str, ...]:
        inside = len(self.scope) + 1 if self.scope else 0
        paths = [each.child[inside:] for each in self.places]
        lines = [f"skips = [x{'.clone()' if self._clones[0] else ''}]  # after {paths[0]}"]
        for path, name in zip(paths[1:], names, strict=True):
            lines += [f"skips.append(x)  # after {path}", f"x = {name}(skips)"]
        return tuple(lines)


def dense_blocks(graph: Graph, skips: Sequence[PlannedSkip]) -> list[DenseBlock]:
    """Return the dense blocks that skips, one for each pair of layers, make up.

    Raises:
        RewireError: they do not fit the network, or a layer reads some of a block's earlier
            layers and not the others.
    """
    found = []
    for block in _blocks(graph, skips):
        # Where a layer is in sight is told by the one before it: some pairs are far apart.
        placed = tuple(place(graph, skip) for skip in block)
        if len({each.source.scope for each in placed}) > 1:
            raise RewireError(
                f"The dense block from `{block[0].source}` to `{block[-1].destination}` lies in "
                "several modules' forwards, and no list can be handed from one to the other. End "
                "it where the first module ends."
            )
        places = placed[0].source, *(each.destination for each in placed)
        found.append(DenseBlock(graph, places, placed))
    return found


def _blocks(graph: Graph, skips: Sequence[PlannedSkip]) -> list[list[PlannedSkip]]:
    """Return the skips of each block that lead from one of its layers to the next."""

    def order(skip: PlannedSkip) -> tuple[int, int]:
        return unit_of(graph, skip.destination).node, unit_of(graph, skip.source).node

    blocks: list[list[PlannedSkip]] = []
    for _, group in groupby(sorted(skips, key=order), key=lambda skip: skip.destination):
        arriving = list(group)
        read = [skip.source for skip in arriving]
        block = next((each for each in reversed(blocks) if _names(each) == read), None)
        if block is not None:
            block.append(arriving[-1])
        elif len(read) == 1:
            blocks.append(arriving)
        else:
            raise _partial(arriving)
    return blocks


def _names(block: Sequence[PlannedSkip]) -> list[str]:
    return [block[0].source, *(skip.destination for skip in block)]


def _partial(arriving: Sequence[PlannedSkip]) -> RewireError:
    read = ", ".join(f"`{skip.source}`" for skip in arriving)
    return RewireError(
        f"In this plan `{arriving[0].destination}` reads {read}. A dense layer reads every layer "
        "of its block before it, and these are not all that an earlier one there reads, with that "
        "layer itself. Give it a skip from each of them, or join single ones to it with "
        'merge="cat".'
    )
