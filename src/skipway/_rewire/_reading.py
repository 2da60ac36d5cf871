"""`Reading`: the forward of one module, read, checked, and written anew with edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from torch import fx, nn

from ._classes import base_of
from ._edits import Edit
from ._expressions import Expressions
from ._faithful import is_faithful
from ._forward import UnreadableError, read_forward
from ._places import Place
from ._source import Page, class_page
from ._statements import statements


class Reading:
    """The forward of the module at `path`, as calls that can be edited and written.

    Args:
        model: the network; it is not changed.
        inputs: what it is run on to see that the reading is right.
        path: of the module; `""` for the network itself.

    Raises:
        UnreadableError: what would be written is not surely what the forward does.
    """

    def __init__(self, model: nn.Module, inputs: Any, path: str) -> None:
        self.path = path
        self.scope = model.get_submodule(path)
        self.forward = read_forward(self.scope)
        self.me = next(iter(self.forward.signature.parameters))
        self.nodes = [node for node, _ in self.forward.nodes]
        plain = self.page((), {})
        if not is_faithful(model, inputs, path, base_of(self.scope), plain.text):
            raise UnreadableError("what fx reads is not what it does")

    def page(self, edits: Sequence[Edit], made: Mapping[str, str]) -> Page:
        """Write the class with these edits; `made` are constructors by attribute name.

        Raises:
            UnreadableError: a call cannot be written as text.
        """
        expressions = Expressions(self.scope, self.forward.signature)
        body = statements(self.forward, expressions, edits)
        return class_page(
            base_of(self.scope), self.forward.signature, body, made, expressions.imports
        )

    def node(self, place: Place) -> fx.Node:
        """Return the call that makes the value at `place`.

        Raises:
            UnreadableError: fx does not see it.
        """
        inside = len(self.path) + 1 if self.path else 0
        name = (place.child or place.parameter)[inside:]
        calls = self._calls.get(name, [])
        if not place.child and len(calls) != 1:
            calls = []
        if len(calls) <= place.call:
            raise UnreadableError(f"fx does not see it call `{name}`")
        return calls[place.call]

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
