"""`Change`: one thing that is done to the forward of one module."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

from .._code._edits import Edit

if TYPE_CHECKING:
    from .._code._reading import Reading


@dataclass(frozen=True)
class Part:
    """A module that a change needs.

    Attributes:
        role: what it is: `"shortcut"`, `"fuse"`, `"gate"` ...; the attribute is called so, or
            with an s where the scope gets several.
        constructor: the text that builds it, from `skipway` and `nn`.
        like: name of the parameter whose device and type it takes.
        given: further names that the constructor uses, with what they mean.
    """

    role: str
    constructor: str
    like: str
    given: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Hooks:
    """A change carried by hooks, where a forward cannot be written anew.

    Attributes:
        relay: the module that carries it, not attached yet.
        described: what it does, as lines of code for the forward's owner.
    """

    relay: nn.Module
    described: tuple[str, ...]


class Change(abc.ABC):
    """One thing that is done to the forward of one module.

    It says itself in two ways: as an edit of a traced forward, and as hooks. Subclass it for
    another kind.
    """

    @property
    @abc.abstractmethod
    def scope(self) -> str:
        """Return the path of the module whose forward changes."""

    @property
    def inlined(self) -> frozenset[str]:
        """Return the modules inside the scope whose forward has to be written into its own."""
        return frozenset()

    @property
    @abc.abstractmethod
    def order(self) -> tuple[int, ...]:
        """Return where in the run it happens: hooks are attached in this order."""

    @abc.abstractmethod
    def parts(self) -> Sequence[Part]:
        """Return the modules that it needs."""

    @abc.abstractmethod
    def edit(self, reading: Reading, names: Sequence[str]) -> Edit:
        """Return it as an edit; `names` are the expressions of its parts, `self.fuses[3]`.

        Raises:
            UnreadableError: the traced forward does not show the place.
        """

    @abc.abstractmethod
    def attach(
        self, result: nn.Module, modules: Sequence[nn.Module], names: Sequence[str], reason: str
    ) -> Hooks:
        """Return the relay that carries it, attached to `result`.

        Args:
            result: the copy of the network that is rewired.
            modules: its parts, built.
            names: how they are called in the lines that describe it.
            reason: why the forward cannot be written anew.

        Raises:
            RewireError: hooks cannot carry it either.
        """


def grouped(changes: Sequence[Change]) -> dict[str, list[Change]]:
    """Return the changes of each scope, in the order in which they happen.

    What changes the forward of a module that is written into another one belongs to the latter.
    """
    into = {path: change.scope for change in changes for path in change.inlined}
    groups: dict[str, list[Change]] = {}
    for change in sorted(changes, key=lambda each: each.order):
        scope = change.scope
        while scope in into:
            scope = into[scope]
        groups.setdefault(scope, []).append(change)
    return groups
