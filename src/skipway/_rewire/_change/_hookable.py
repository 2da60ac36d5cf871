"""Whether hooks can carry a skip to or from a place."""

from __future__ import annotations

from torch import nn

from ..._errors import RewireError
from ..._trace import Graph
from .._code._classes import base_of
from .._where._places import Place


def check_hookable(graph: Graph, result: nn.Module, place: Place, reason: str) -> None:
    """Refuse a place that is no module of its own, or one that is called several times.

    Raises:
        RewireError: with `reason`, why the forward cannot be written anew either.
    """
    if place.child and graph.calls.get(place.child) == 1:
        return
    kind = base_of(result.get_submodule(place.scope)).__name__
    why = (
        f"`{place.child}` is called {graph.calls[place.child]} times there"
        if place.child
        else f"`{place.name}` is no module of its own"
    )
    raise RewireError(
        f"The forward of {kind} (`{place.scope or 'the model'}`) cannot be written anew: "
        f"{reason}. Hooks cannot carry a skip at `{place.name}` either: {why}. Write it by hand: "
        "keep the tensor (skip = x) and add it two layers later (x = skip + x)."
    )
