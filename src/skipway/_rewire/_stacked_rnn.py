"""Skips across the layers of a stacked LSTM, GRU or RNN, which one call runs all at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

import skipway

from .._errors import RewireError
from .._results import PlannedSkip, Undo
from .._trace import Graph, Unit
from ._code._classes import rewired_class
from ._code._source import Page
from ._code._statements import Line
from ._where._placing import unit_of

_KINDS = (nn.LSTM, nn.GRU, nn.RNN)
_NAME = re.compile(r"(.+)\[(\d+)\]")


def inner_skips(graph: Graph, merge: str) -> list[list[PlannedSkip]]:
    """Return a skip across every layer but the first of each stacked recurrent module."""
    found = []
    for unit in graph.units:
        count = sum(1 for name in unit.parameters if re.search(r"\.?weight_ih_l\d+$", name))
        if count > 1 and unit.module and graph.calls.get(unit.module) == 1:
            shape = graph.nodes[unit.node].shape
            found.append([_skip(unit, layer, merge, shape) for layer in range(1, count)])
    return found


def _skip(unit: Unit, layer: int, merge: str, shape: tuple[int, ...]) -> PlannedSkip:
    return PlannedSkip(
        source=f"{unit.name}[{layer - 1}]",
        destination=f"{unit.name}[{layer}]",
        merge="add" if merge == "add" else "cat",
        fuse=None if merge == "add" else "linear",
        source_shape=shape,
        destination_shape=shape,
    )


def is_inner(skip: PlannedSkip) -> bool:
    """Tell whether a planned skip goes across a layer inside a stacked module."""
    return bool(_NAME.fullmatch(skip.source) and _NAME.fullmatch(skip.destination))


def outer_name(name: str) -> str:
    """Return `rnn` for `rnn[1]`, and every other name as it is."""
    found = _NAME.fullmatch(name)
    return found[1] if found else name


@dataclass(frozen=True)
class StackedRNN:
    """One stacked recurrent module whose layers get skips.

    Attributes:
        unit: the module as a layer of the network.
        layers: which of its layers.
        skips: the planned ones, in the order of the layers.
    """

    unit: Unit
    layers: tuple[int, ...]
    skips: tuple[PlannedSkip, ...]

    def rewire(self, result: nn.Module) -> tuple[Page, Undo]:
        """Make the change in `result`; return the source, and how it is taken back.

        Raises:
            RewireError: the module is of another kind.
        """
        module = result.get_submodule(self.unit.module)
        kind = type(module)
        if kind not in _KINDS:
            raise RewireError(
                f"`{self.unit.name}` is a {kind.__name__}, not one of PyTorch's own LSTM, GRU and "
                "RNN: the way into its layers is not known. Write the skips in its own forward."
            )
        role, constructor = self._part(module)
        page = self._page(kind, role, constructor)
        if role:
            built = eval(constructor, {"skipway": skipway, "nn": nn})
            weight = next(module.parameters())
            module.add_module(role, built.to(weight.device, weight.dtype).train(module.training))
        module.__class__ = rewired_class(kind, page.text)
        return page, Undo(self.unit.module, kind, (role,) if role else ())

    def _part(self, module: nn.Module) -> tuple[str, str]:
        first = self.skips[0]
        ways = 2 if module.bidirectional else 1
        width = ways * (module.proj_size or module.hidden_size)  # type: ignore[operator]
        if first.merge == "add":
            one = "skipway.nn.ReZero()" if first.gate else ""
        else:
            start = ', start="branch"' if first.gate else ""
            scale = f", scale={first.branch_scale}" if first.branch_scale != 1 else ""
            one = f"skipway.nn.Fuse({width}{scale}{start})"
        if not one:
            return "", ""
        role = "gates" if first.merge == "add" else "fuses"
        return role, f"nn.ModuleList({one} for _ in range({len(self.layers)}))"

    def _page(self, kind: type[nn.Module], role: str, constructor: str) -> Page:
        more = f", joins=self.{role}" if role else ""
        scale = self.skips[0].branch_scale
        more += f", scale={scale}" if scale != 1 and not role else ""
        which = ", ".join(map(str, self.layers)) + ("," if len(self.layers) == 1 else "")
        lines = [Line(f"class {kind.__name__}(nn.{kind.__name__}):")]
        if role:
            lines += [
                Line("    def __init__(self, *args, **kwargs):"),
                Line("        ...  # as before, and then"),
                Line(f"        self.{role} = {constructor}", True),
                Line(""),
            ]
        call = f"skipway.nn.layer_by_layer(self, input, hx, skipped=({which}){more})"
        lines += [
            Line("    def forward(self, input, hx=None):"),
            Line(f"        return {call}", True),
        ]
        return Page(frozenset({"import skipway", "from torch import nn"}), tuple(lines))


def stacked_rnns(graph: Graph, skips: Sequence[PlannedSkip]) -> list[StackedRNN]:
    """Return the modules whose layers get skips.

    Raises:
        RewireError: the network has no such module, or a skip goes across several layers.
    """
    found: dict[str, list[PlannedSkip]] = {}
    for skip in skips:
        (source, first), (destination, last) = (_parts(skip.source), _parts(skip.destination))
        if source != destination or last != first + 1:
            raise RewireError(
                f"A skip from `{skip.source}` to `{skip.destination}` goes across more than one "
                "layer of a stacked module; give one across each layer."
            )
        found.setdefault(source, []).append(skip)
    made = []
    for name, own in found.items():
        unit = unit_of(graph, name)
        own.sort(key=lambda skip: _parts(skip.destination)[1])
        made.append(StackedRNN(unit, tuple(_parts(s.destination)[1] for s in own), tuple(own)))
    return made


def _parts(name: str) -> tuple[str, int]:
    found = _NAME.fullmatch(name)
    assert found is not None
    return found[1], int(found[2])
