"""A plan becomes a network: one scope after the other, on a copy."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from ..._errors import RewireError
from ..._results import Undo
from .._code._reading import Readings, readings_of
from .._code._source import Page
from ._change import Change, grouped
from ._scope import Scope


@dataclass(frozen=True)
class Applied:
    """A rewired copy of a model.

    Attributes:
        model: the copy.
        pages: the source of every module that changed, by path.
        undo: what takes the changes away again.
        readings: of the forwards that changed, as they were before.
    """

    model: nn.Module
    pages: tuple[tuple[str, Page], ...]
    undo: tuple[Undo, ...]
    readings: Readings


def apply(
    model: nn.Module, inputs: Any, changes: Sequence[Change], readings: Readings | None = None
) -> Applied:
    """Return a copy of the model with the changes; the model is not changed.

    Args:
        model: the network.
        inputs: what it runs on.
        changes: to its forwards.
        readings: from an earlier call with changes to the same forwards; they need not be read
            and held to the network again.

    Raises:
        RewireError: the model cannot be copied, or a change can be made in neither way.
    """
    result = copied(model)
    pages, undo = [], []
    scopes = [Scope(model, result, inputs, path, own) for path, own in grouped(changes).items()]
    wanted = {scope.path: scope.inlined for scope in scopes}
    readings = readings_of(model, inputs, wanted) if readings is None else readings
    for scope in scopes:
        page, back = replace(scope, reading=readings[scope.path]).rewire()
        pages.append((scope.path, page))
        undo.append(back)
    return Applied(result, tuple(pages), tuple(undo), readings)


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
