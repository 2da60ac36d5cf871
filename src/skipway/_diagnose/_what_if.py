"""`what_if`: the same pass again, with a way for the gradient added or taken away."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._errors import SkipwayError
from .._numbers import prose
from .._results import Diagnosis, LayerReading, SkipConnection, WhatIf
from .._trace import Graph, Unit
from .._trace._alter import AddedSkips, Alteration, CutSkips
from .._trace._crossing import carried
from .._trace._probe import Probe
from .._trace._skips import Joint, read_joints, read_skips
from ._facts import Facts
from ._words import code, decades, plural

_PAGE = "diagnosis#what-if"  # of the docs

# The pass of a question is that of the diagnosis again; kernels may sum in another order.
_SAME = 1e-4
CHANGED = "The model is no longer what was diagnosed. Diagnose it again, then ask."


@dataclass(frozen=True)
class Asker:
    """Answers the questions of one diagnosis; holds its model and its batch.

    Attributes:
        graph: of the pass that was diagnosed.
        facts: that it gave.
        repeat: runs the pass again, in the same random state, altered.
    """

    graph: Graph
    facts: Facts
    repeat: Callable[[Alteration], tuple[Probe, Facts]]

    def __call__(self, diagnosis: Diagnosis, skip: Any, cut: Any) -> WhatIf:
        """Answer `Diagnosis.what_if`."""
        if (skip is None) == (cut is None):
            raise SkipwayError("Ask about one thing: give either skip= or cut=.", page=_PAGE)
        if skip is not None:
            ends = [self._units(*pair) for pair in _pairs(skip)]
            names = [(first.name, last.name) for first, last in ends]
            return self._answer(diagnosis, AddedSkips(ends), _added(names), names[0][0])
        found = self._skips(_pairs(cut))
        operands = {joint.node: joint.skipped for joint, _ in found}
        skips = [each for _, each in found]
        place = skips[0].source
        if place == "input":
            place = skips[0].branch[0]
        return self._answer(diagnosis, CutSkips(self.graph, operands), _without(skips), place)

    def _units(self, first: str, last: str) -> tuple[Unit, Unit]:
        start, end = self._unit(first), self._unit(last)
        shapes = self.graph.nodes[start.node].shape, self.graph.nodes[end.node].shape
        if start.node not in carried(self.graph, (start.node, end.node)):
            raise SkipwayError(
                f"`{first}` does not come before `{last}`, so no skip can lead from the one to the "
                "other. Swap the two, or choose layers of which one feeds the other.",
                page=_PAGE,
            )
        if shapes[0] != shapes[1]:
            raise SkipwayError(
                f"The output of `{first}` {list(shapes[0])} cannot be added to that of `{last}` "
                f"{list(shapes[1])}. Ask about two layers of the same shape"
                f"{self._others(start)}.",
                page=_PAGE,
            )
        return start, end

    def _others(self, start: Unit) -> str:
        """Name layers that a skip from `start` could join."""
        shape = self.graph.nodes[start.node].shape
        names = [
            code(unit.name)
            for unit in self.graph.units
            if unit.node > start.node and self.graph.nodes[unit.node].shape == shape
        ]
        return f", such as {code(start.name)} and {names[-1]}" if names else ""

    def _unit(self, name: str) -> Unit:
        try:
            return self.graph.unit(name)
        except KeyError:
            names = ", ".join(code(unit.name) for unit in self.graph.units[:8])
            raise SkipwayError(
                f"No layer is called {name!r}; the first ones are {names}.",
                page=_PAGE,
            ) from None

    def _skips(self, wanted: Sequence[tuple[str, str]]) -> list[tuple[Joint, SkipConnection]]:
        every = list(zip(read_joints(self.graph), read_skips(self.graph), strict=True))
        found = []
        for pair in wanted:
            fitting = [each for each in every if (each[1].source, each[1].destination) == pair]
            kept = [each for each in fitting if each[0].skipped]
            if not kept:
                raise SkipwayError(_no_such_skip(pair, every, bool(fitting)), page=_PAGE)
            found += kept
        return found

    def _answer(
        self, diagnosis: Diagnosis, alteration: Alteration, question: str, place: str
    ) -> WhatIf:
        seen, facts = self.repeat(alteration)
        if not math.isclose(seen.loss, self.facts.loss, rel_tol=_SAME):
            raise SkipwayError(CHANGED, page=_PAGE)
        lost = max(layer.decades_lost for layer in facts.layers)
        return WhatIf(
            question=question,
            answer=_words(diagnosis, facts.layers, place, lost),
            place=place,
            before=diagnosis.layers,
            after=facts.layers,
            lost_before=diagnosis.decades_lost,
            lost_after=lost,
            skips=diagnosis.skips,
            skips_after=facts.skips,
            when=diagnosis.when,
            batch=diagnosis.batch,
            relative=diagnosis.relative,
        )


def _pairs(given: Any) -> list[tuple[str, str]]:
    """Bring what was asked about into pairs of names."""
    if hasattr(given, "source") and hasattr(given, "destination"):
        return [(given.source, given.destination)]
    if isinstance(given, (tuple, list)) and given:
        if len(given) == 2 and all(isinstance(each, str) for each in given):
            return [(given[0], given[1])]
        if not any(isinstance(each, str) for each in given):
            return [pair for each in given for pair in _pairs(each)]
    raise SkipwayError(
        f"{given!r} names no skip. Give a pair of layer names, (from, to), or several such pairs, "
        "or a skip of a plan or of a diagnosis.",
        page=_PAGE,
    )


def _no_such_skip(
    pair: tuple[str, str], every: Sequence[tuple[Joint, SkipConnection]], parallel: bool
) -> str:
    if parallel:
        return (
            f"Between `{pair[0]}` and `{pair[1]}` lie parallel branches, each with weights of its "
            "own; none of them is a skip that could be cut."
        )
    skips = [skip for joint, skip in every if joint.skipped]
    if not skips:
        return "This network has no skip that could be cut; ask about skip=(from, to) instead."
    names = ", ".join(f"({each.source!r}, {each.destination!r})" for each in skips[:6])
    more = " ..." if len(skips) > 6 else ""
    return f"No skip leads from {pair[0]!r} to {pair[1]!r}; there are {names}{more}."


def _added(names: Sequence[tuple[str, str]]) -> str:
    first, last = names[0][0], names[-1][1]
    if len(names) == 1:
        return f"What if a skip led from {code(first)} to {code(last)}?"
    return f"What if there were {plural(len(names), 'skip')}, from {code(first)} to {code(last)}?"


def _without(skips: Sequence[SkipConnection]) -> str:
    if len(skips) == 1:
        skip = skips[0]
        start = "the input" if skip.source == "input" else code(skip.source)
        return f"What if the skip from {start} to {code(skip.destination)} carried no gradient?"
    return f"What if {plural(len(skips), 'skip')} carried no gradient?"


def _words(diagnosis: Diagnosis, layers: Sequence[LayerReading], place: str, lost: float) -> str:
    known: Mapping[str, LayerReading] = {layer.name: layer for layer in layers}
    before, after = diagnosis.layer(place).elasticity, known[place].elasticity
    if prose(before) == prose(after):
        text = f"Nothing would change at {code(place)}: its elasticity would stay {prose(after)}."
    else:
        text = f"The elasticity at {code(place)} would be {prose(after)} instead of "
        text += f"{prose(before)}."
    old, new = decades(diagnosis.decades_lost), decades(lost)
    if old == new:
        return f"{text} The most that a layer loses would stay {new}."
    return f"{text} The most that a layer loses would be {new} instead of {old}."
