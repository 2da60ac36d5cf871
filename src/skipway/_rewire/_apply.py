"""A plan becomes a network: one scope after the other, on a copy."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import fx, nn

import skipway

from .._errors import RewireError
from .._trace import Graph
from ._classes import base_of, rewired_class
from ._expressions import Expressions
from ._faithful import is_faithful
from ._forward import Forward, UnreadableError, read_forward
from ._overwritten import is_overwritten
from ._places import Place
from ._plan import Placed
from ._relay import Relay
from ._shortcuts import merge_of, modules_of
from ._source import Page, class_page
from ._statements import Join, Line, statements


@dataclass(frozen=True)
class Applied:
    """A rewired copy of a model, and the source of every module that changed."""

    model: nn.Module
    pages: tuple[tuple[str, Page], ...]


def apply(model: nn.Module, inputs: Any, graph: Graph, placed: Sequence[Placed]) -> Applied:
    """Return a copy of the model with the skips; the model is not changed.

    Raises:
        RewireError: the model cannot be copied, or a skip can be put in neither way.
    """
    result = copied(model)
    pages = []
    ordered = sorted(placed, key=lambda each: each.source.scope)
    for scope, group in groupby(ordered, key=lambda each: each.source.scope):
        pages.append((scope, _Scope(model, result, inputs, graph, scope, list(group)).rewire()))
    return Applied(result, tuple(pages))


def copied(model: nn.Module) -> nn.Module:
    """Return a deep copy of a model.

    Raises:
        RewireError: it cannot be copied.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever the model's attributes raise when they are copied
        raise RewireError(
            f"The network ({type(model).__name__}) cannot be copied ({type(error).__name__}: "
            f"{error}), and rewire never changes the one it is given. A tensor kept from an "
            "earlier forward is the usual reason: set that attribute to None and try again."
        ) from error


@dataclass
class _Scope:
    """One module whose forward gets skips."""

    model: nn.Module
    result: nn.Module
    inputs: Any
    graph: Graph
    path: str
    placed: list[Placed]

    def rewire(self) -> Page:
        names = [self._names(number, each) for number, each in enumerate(self.placed)]
        try:
            return self._by_source(names)
        except UnreadableError as reason:
            return self._by_hooks(names, str(reason))

    @property
    def target(self) -> nn.Module:
        return self.result.get_submodule(self.path)

    def _by_source(self, names: list[dict[str, str]]) -> Page:
        scope = self.model.get_submodule(self.path)
        forward = read_forward(scope)
        plain = self._page(scope, forward, (), {})
        if not is_faithful(self.model, self.inputs, self.path, base_of(scope), plain.text):
            raise UnreadableError("what fx reads is not what it does")
        me = next(iter(forward.signature.parameters))
        joins = [
            self._join(forward, each, {role: f"{me}.{name}" for role, name in named.items()})
            for each, named in zip(self.placed, names, strict=True)
        ]
        made = self._constructors(names)
        page = self._page(scope, forward, joins, made)
        for number, named in enumerate(names):
            for name, module in self._build(self.placed[number], named).items():
                self.target.add_module(name, module)
        self.target.__class__ = rewired_class(base_of(scope), page.text)
        return page

    def _page(
        self, scope: nn.Module, forward: Forward, joins: Sequence[Join], made: dict[str, str]
    ) -> Page:
        expressions = Expressions(scope, forward.signature)
        body = statements(forward, expressions, joins)
        return class_page(base_of(scope), forward.signature, body, made, expressions.imports)

    def _join(self, forward: Forward, each: Placed, names: dict[str, str]) -> Join:
        return Join(
            source=_node(forward, self.path, each.source),
            destination=_node(forward, self.path, each.destination),
            merge=merge_of(each.skip, names),
            clone=is_overwritten(self.graph, each.source.node),
        )

    def _names(self, number: int, each: Placed) -> dict[str, str]:
        """Return free attribute names for the new modules, by role."""
        return {role: self._free(role, number) for role in modules_of(each.skip, each.ends)}

    def _free(self, role: str, number: int) -> str:
        scope = self.model.get_submodule(self.path)
        prefixes = (role, f"skip_{role}", f"skipway_{role}")
        return next(
            f"{prefix}_{number}" for prefix in prefixes if not hasattr(scope, f"{prefix}_0")
        )

    def _constructors(self, names: list[dict[str, str]]) -> dict[str, str]:
        return {
            named[role]: constructor
            for each, named in zip(self.placed, names, strict=True)
            for role, constructor in modules_of(each.skip, each.ends).items()
        }

    def _build(self, each: Placed, named: dict[str, str]) -> dict[str, nn.Module]:
        """Build the new modules from the very text that is shown."""
        like = self._weight(each)
        built = {}
        for role, constructor in modules_of(each.skip, each.ends).items():
            module: nn.Module = eval(constructor, {"skipway": skipway})
            module.train(self.target.training)
            built[named[role]] = module.to(like.device, like.dtype)
        return built

    def _weight(self, each: Placed) -> torch.Tensor:
        unit = self.graph.unit(each.destination.name)
        return self.model.get_parameter(unit.parameters[0])

    def _by_hooks(self, names: list[dict[str, str]], reason: str) -> Page:
        lines = [
            Line(f"# The forward of {base_of(self.target).__name__} stays as it is: {reason}."),
            Line("# Hooks carry its skips. In your own forward they would be:"),
        ]
        for number, each in enumerate(self.placed):
            self._check_hookable(each, reason)
            built = self._build(each, {role: role for role in names[number]})
            relay = Relay(
                each.source.child,
                each.destination.child,
                shortcut=built.get("shortcut"),
                fuse=built.get("fuse"),
                scale=each.skip.branch_scale,
                clone=is_overwritten(self.graph, each.source.node),
            )
            relay.train(self.target.training)
            self.target.add_module(self._free("relay", number), relay)
            relay.attach(
                self.result.get_submodule(each.source.child),
                self.result.get_submodule(each.destination.child),
            )
            lines += self._described(each, names[number], relay.clone)
        return Page(frozenset(), tuple(lines))

    def _described(self, each: Placed, names: dict[str, str], clone: bool) -> list[Line]:
        inside = len(self.path) + 1 if self.path else 0
        source, destination = each.source.child[inside:], each.destination.child[inside:]
        merge = merge_of(each.skip, {role: f"self.{name}" for role, name in names.items()})
        texts = [
            *(f"self.{names[r]} = {c}" for r, c in modules_of(each.skip, each.ends).items()),
            f"skip = x{'.clone()' if clone else ''}  # after {source}",
            f"x = {merge.format(skip='skip', x='x')}  # after {destination}",
        ]
        return [Line("#", True), *(Line(f"#     {text}", True) for text in texts)]

    def _check_hookable(self, each: Placed, reason: str) -> None:
        for place in (each.source, each.destination):
            if not place.child or self.graph.calls.get(place.child) != 1:
                kind = base_of(self.target).__name__
                why = (
                    f"`{place.child}` is called {self.graph.calls[place.child]} times there"
                    if place.child
                    else f"`{place.name}` is no module of its own"
                )
                raise RewireError(
                    f"The forward of {kind} (`{self.path or 'the model'}`) cannot be written anew: "
                    f"{reason}. Hooks cannot carry a skip at `{place.name}` either: {why}. Write "
                    "it by hand: keep the tensor (skip = x) and add it two layers later "
                    "(x = skip + x)."
                )


def _node(forward: Forward, scope: str, place: Place) -> fx.Node:
    inside = len(scope) + 1 if scope else 0
    nodes = [node for node, _ in forward.nodes]
    name = (place.child or place.parameter)[inside:]
    named = [node for node in nodes if node.op == "get_attr" and node.target == name]
    calls = [node for node in nodes if node.op == "call_module" and node.target == name]
    # A module that is an argument (of a checkpoint), or a weight that a function multiplies by.
    calls = calls or [user for node in named for user in node.users]
    if not place.child and len(calls) != 1:
        calls = []
    if len(calls) <= place.call:
        raise UnreadableError(f"fx does not see it call `{name}`")
    return calls[place.call]
