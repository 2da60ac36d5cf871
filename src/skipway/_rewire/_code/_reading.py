"""`Reading`: the forward of one module, read, and written anew with edits."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

from torch import fx, nn

from .._where._places import Place
from ._classes import base_of
from ._edits import Edit
from ._expressions import Expressions
from ._faithful import Written, unfaithful
from ._forward import UnreadableError, read_forward
from ._loops import folded
from ._source import Page, class_page
from ._statements import statements


class Reading:
    """The forward of the module at `path`, as calls that can be edited and written.

    Args:
        model: the network; it is not changed.
        path: of the module; `""` for the network itself.
        inlined: paths of modules inside it whose forward is written into its own.

    Raises:
        UnreadableError: fx cannot follow it, or it cannot be written as text.
    """

    def __init__(self, model: nn.Module, path: str, inlined: frozenset[str] = frozenset()) -> None:
        self.path, self.inlined = path, inlined
        self.scope = model.get_submodule(path)
        self.forward = read_forward(self.scope, frozenset(map(self._inside, inlined)))
        self.me = next(iter(self.forward.signature.parameters))
        self.nodes = [node for node, _ in self.forward.nodes]
        self.plain = Written(path, base_of(self.scope), self.page((), {}).text, inlined)

    def page(self, edits: Sequence[Edit], made: Mapping[str, str]) -> Page:
        """Write the class with these edits; `made` are constructors by attribute name.

        Raises:
            UnreadableError: a call cannot be written as text.
        """
        expressions = Expressions(self.scope, self.forward.signature)
        body = folded(statements(self.forward, expressions, edits))
        return class_page(
            base_of(self.scope), self.forward.signature, body, made, expressions.imports
        )

    def node(self, place: Place) -> fx.Node:
        """Return the call that makes the value at `place`.

        Raises:
            UnreadableError: fx does not see it.
        """
        if place.is_input:
            return self._argument(place)
        name = self._inside(place.child or place.parameter)
        calls = self._calls.get(name, [])
        if not place.child and len(calls) != 1:
            calls = []
        if len(calls) <= place.call:
            raise UnreadableError(f"fx does not see it call `{name}`")
        call = calls[place.call]
        return call if place.item is None else _item(call, place.item, name)

    def _argument(self, place: Place) -> fx.Node:
        if place.child != self.path or not self.nodes or self.nodes[0].op != "placeholder":
            raise UnreadableError(f"fx does not see what comes into `{place.child}`")
        return self.nodes[0]

    def _inside(self, path: str) -> str:
        return path[len(self.path) + 1 :] if self.path else path

    @cached_property
    def _calls(self) -> Mapping[str, list[fx.Node]]:
        """Return the calls by the name of the module that they call, or the weight they read."""
        modules: dict[str, list[fx.Node]] = {}
        readers: dict[str, list[fx.Node]] = {}
        for node in self.nodes:
            if node.op == "call_module":
                modules.setdefault(str(node.target), []).append(node)
            elif node.op == "get_attr":
                # A module that is an argument (of a checkpoint), or a weight that a function
                # multiplies by.
                readers.setdefault(str(node.target), []).extend(node.users)
        return {**readers, **modules}


# By path the reading of a forward, or why there is none.
Readings: TypeAlias = Mapping[str, Reading | UnreadableError]


def readings_of(model: nn.Module, inputs: Any, wanted: Mapping[str, frozenset[str]]) -> Readings:
    """Read the forwards of several modules, and hold what was read to what the network does.

    Args:
        model: the network; it is not changed.
        inputs: what it is run on.
        wanted: paths of the modules, each with the paths that are written into it.

    Returns:
        By path the reading, or why there is none.
    """
    found: dict[str, Reading | UnreadableError] = {}
    for path, inlined in wanted.items():
        try:
            found[path] = Reading(model, path, inlined)
        except UnreadableError as reason:
            found[path] = reason
    written = [each.plain for each in found.values() if isinstance(each, Reading)]
    for path in unfaithful(model, inputs, written) if written else ():
        found[path] = UnreadableError("what fx reads is not what it does")
    return found


def _item(call: fx.Node, item: int, name: str) -> fx.Node:
    """Return the one call that takes this item out of the tuple that a module returns."""
    takers = [user for user in call.users if user.target is operator.getitem]
    of_item = [user for user in takers if user.args[1] == item]
    if len(of_item) != 1 or len(takers) != len(call.users):
        raise UnreadableError(f"it hands on the whole tuple that `{name}` returns")
    return of_item[0]
