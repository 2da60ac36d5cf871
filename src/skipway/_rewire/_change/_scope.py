"""`Scope`: one module whose forward changes, by new source or by hooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..._results import Undo
from .._code._classes import base_of, rewired_class
from .._code._forward import UnreadableError
from .._code._reading import Reading, readings_of
from .._code._source import Page
from .._code._statements import Line
from ._attributes import Attribute, attributes_of, names_of
from ._change import Change
from ._relay import Relays


@dataclass(frozen=True)
class Scope:
    """One module whose forward changes.

    Attributes:
        model: the network as it was given.
        result: the copy that is rewired.
        inputs: what it runs on.
        path: of the module.
        changes: made to its forward, in the order in which they happen.
        reading: of its forward, or why there is none; by default it is read when it is needed.
    """

    model: nn.Module
    result: nn.Module
    inputs: Any
    path: str
    changes: Sequence[Change]
    reading: Reading | UnreadableError | None = None

    @property
    def inlined(self) -> frozenset[str]:
        """Return the modules whose forward has to be written into this one's."""
        return frozenset().union(*(change.inlined for change in self.changes))

    def rewire(self) -> tuple[Page, Undo]:
        """Make the changes in `result`; return the source, and how they are taken back.

        Raises:
            RewireError: neither new source nor hooks can make them.
        """
        kind = type(self._target)
        attributes = attributes_of(self._target, self.changes)
        try:
            page, added = self._by_source(attributes)
        except UnreadableError as reason:
            page, added = self._by_hooks(attributes, str(reason))
        return page, Undo(self.path, kind, added)

    @property
    def _target(self) -> nn.Module:
        return self.result.get_submodule(self.path)

    def _by_source(self, attributes: Sequence[Attribute]) -> tuple[Page, tuple[str, ...]]:
        reading = self.reading or self._read()
        if isinstance(reading, UnreadableError):
            raise reading
        names = names_of(attributes, self.changes, reading.me)
        edits = [change.edit(reading, own) for change, own in zip(self.changes, names, strict=True)]
        made = {attribute.name: attribute.constructor for attribute in attributes}
        page = reading.page(edits, made)
        for attribute in attributes:
            self._add(attribute.name, attribute.build(self.model))
        self._target.__class__ = rewired_class(base_of(reading.scope), page.text, tuple(made))
        return page, tuple(made)

    def _read(self) -> Reading | UnreadableError:
        return readings_of(self.model, self.inputs, {self.path: self.inlined})[self.path]

    def _by_hooks(
        self, attributes: Sequence[Attribute], reason: str
    ) -> tuple[Page, tuple[str, ...]]:
        lines = [
            Line(f"# The forward of {base_of(self._target).__name__} stays as it is: {reason}."),
            Line("# Hooks carry its skips. In your own forward they would be:"),
        ]
        names = names_of(attributes, self.changes, "self")
        lines += _made(attributes)
        waiting = {each.parts[0].role: _members(each, self.model) for each in attributes}
        relays = Relays()
        for change, own in zip(self.changes, names, strict=True):
            modules = [waiting[part.role].pop(0) for part in change.parts()]
            hooks = change.attach(self.result, modules, own, reason)
            relays.append(hooks.relay)
            lines.append(Line("#", True))
            lines += [Line(f"#     {text}", True) for text in hooks.described]
        name = _relays_name(self._target)
        self._add(name, relays)
        return Page(frozenset(), tuple(lines)), (name,)

    def _add(self, name: str, module: nn.Module) -> None:
        module.train(self._target.training)
        self._target.add_module(name, module)


def _members(attribute: Attribute, model: nn.Module) -> list[nn.Module]:
    built = attribute.build(model)
    return list(built.children()) if attribute.is_list else [built]


def _made(attributes: Sequence[Attribute]) -> list[Line]:
    texts = [
        line
        for attribute in attributes
        for line in f"self.{attribute.name} = {attribute.constructor}".split("\n")
    ]
    return [Line("#", True), *(Line(f"#     {text}", True) for text in texts)] if texts else []


def _relays_name(scope: nn.Module) -> str:
    number, name = 2, "relays"
    while hasattr(scope, name):
        name, number = f"relays_{number}", number + 1
    return name
