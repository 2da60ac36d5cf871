"""`AddedSkip`: the output of one layer joins that of a later one, by a sum or side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from ..._trace import Graph
from .._code._edits import Join
from .._code._reading import Reading
from .._where._places import between
from .._where._placing import Placed
from .._where._shortcuts import merge_of, modules_of
from ._change import Change, Hooks, Part
from ._hookable import check_hookable
from ._overwritten import is_overwritten
from ._relay import Relay


@dataclass(frozen=True)
class AddedSkip(Change):
    """A planned skip at its place in one network."""

    graph: Graph
    placed: Placed

    @property
    def scope(self) -> str:
        """Return the path of the module that calls both layers."""
        return self.placed.source.scope

    @property
    def inlined(self) -> frozenset[str]:
        """Return the modules between the forward that sees both ends and the ends."""
        source, destination = self.placed.source, self.placed.destination
        return frozenset((*between(source), *between(destination)))

    @property
    def order(self) -> tuple[int, ...]:
        """Return where it joins, and where it starts."""
        return self.placed.destination.node, self.placed.source.node

    @property
    def clone(self) -> bool:
        """Tell whether something overwrites the tapped tensor before it joins."""
        return is_overwritten(self.graph, self.placed.source.node)

    def parts(self) -> Sequence[Part]:
        """Return what lies on the skip, and what fuses."""
        like = self.graph.unit(self.placed.destination.name).parameters[0]
        made = modules_of(self.placed.skip, self.placed.ends)
        return [Part(role, constructor, like) for role, constructor in made.items()]

    def edit(self, reading: Reading, names: Sequence[str]) -> Join:
        """Return the join of the two calls."""
        return Join(
            source=reading.node(self.placed.source),
            destination=reading.node(self.placed.destination),
            merge=self._merge(names),
            clone=self.clone,
        )

    def attach(
        self, result: nn.Module, modules: Sequence[nn.Module], names: Sequence[str], reason: str
    ) -> Hooks:
        """Return the relay between the two modules."""
        source, destination = self.placed.source, self.placed.destination
        for place in (source, destination):
            check_hookable(self.graph, result, place, reason)
        own = dict(zip(self._roles, modules, strict=True))
        relay = Relay(
            source.child,
            destination.child,
            shortcut=own.get("shortcut"),
            gate=own.get("gate"),
            fuse=own.get("fuse"),
            scale=self.placed.skip.branch_scale,
            clone=self.clone,
            items=(source.item, destination.item),
        )
        relay.attach(
            result.get_submodule(source.child),
            result.get_submodule(destination.child),
            before=source.is_input,
        )
        return Hooks(relay, self._described(names))

    @property
    def _roles(self) -> list[str]:
        return [part.role for part in self.parts()]

    def _merge(self, names: Sequence[str]) -> str:
        return merge_of(self.placed.skip, dict(zip(self._roles, names, strict=True)))

    def _described(self, names: Sequence[str]) -> tuple[str, ...]:
        inside = len(self.scope) + 1 if self.scope else 0
        source = self.placed.source.child[inside:] or self.scope
        where = "what comes into" if self.placed.source.is_input else "after"
        destination = self.placed.destination.child[inside:]
        merged = self._merge(names).format(skip="skip", x="x")
        return (
            f"skip = x{'.clone()' if self.clone else ''}  # {where} {source}",
            f"x = {merged}  # after {destination}",
        )
