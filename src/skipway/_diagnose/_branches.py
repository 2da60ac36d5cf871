"""What the branches beside skips do: the gradient they get, and what they add to the stream.

A norm over everything alive at a depth cannot see a dead branch, for the skip beside it is alive.
So every branch is weighed by itself, by the best that any of its weights could do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from .._trace import Graph, chains
from .._trace._probe import Probe
from .._trace._skips import Joint, between, read_joints, read_skips
from . import _thresholds as limit
from ._facts import Branch
from ._faults import Weight

# Where a parameter is only added, it moves the stream by a constant and passes nothing on.
_ADDS = {"add", "sub"}
_ADDED = ("bias", "beta")


def read_branches(
    seen: Probe, weights: Mapping[str, Weight], first_name: Mapping[str, str], scale: float
) -> tuple[Branch, ...]:
    """Weigh every branch beside an identity, a projection, a concatenation or another branch."""
    graph = seen.graph
    runs = {unit.name: at for at, run in enumerate(chains(graph)) for unit in run}
    found = []
    for joint, skip in zip(read_joints(graph), read_skips(graph), strict=True):
        if joint.start is None or joint.node not in seen.gradients_at:
            continue
        for ends, beside in _sides(joint):
            inside = sorted({i for end in ends for i in between(graph, joint.start, end)})
            learns = [weights[name] for name in _multiplied(graph, inside, first_name)]
            branch = _branch(seen, joint.node, ends, beside, inside, learns, scale)
            if branch is not None:
                chain = len({runs.get(name, -1) for name in branch.layers}) == 1
                fall = branch.fall if chain and branch.layers[0] in runs else 0.0
                parallel = not joint.skipped
                found.append(replace(branch, source=skip.source, fall=fall, parallel=parallel))
    return tuple(found)


def _sides(joint: Joint) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return each branch as its ends, with what it joins: the skip, or the other branches."""
    if joint.skipped:
        return [(joint.branch, joint.skipped)]
    return [((end,), tuple(e for e in joint.branch if e != end)) for end in joint.branch]


def _branch(
    seen: Probe,
    node: int,
    ends: tuple[int, ...],
    beside: tuple[int, ...],
    inside: list[int],
    learns: list[Weight],
    scale: float,
) -> Branch | None:
    units = [unit.name for unit in map(seen.graph.unit_at, inside) if unit is not None]
    learns = [weight for weight in learns if weight.requires_grad]
    if not units or not learns:
        return None
    stream = math.hypot(*(seen.outputs_at.get(i, 0.0) for i in beside))
    added = math.hypot(*(seen.outputs_at.get(i, 0.0) for i in ends))
    heights = {name: seen.units[name].gradient * seen.units[name].output for name in units}
    weakest = min(heights, key=heights.__getitem__)
    zero = any(weight.norm == 0 for weight in learns)
    return Branch(
        source="",
        destination=units[-1],
        layers=tuple(units),
        reach=max(each.gradient * max(each.norm, each.narrow**0.5) for each in learns) / scale,
        stream=seen.gradients_at[node] * stream / scale,
        share=added / stream if stream else math.inf,
        fall=0.0 if zero else _fall(heights[weakest], max(heights.values())),
        weakest=weakest,
        cut=not any(weight.reached for weight in learns),
        blank=not zero and _blank(seen.units[units[0]].signal, seen.units[units[-1]].signal),
    )


def _blank(first: float | None, last: float | None) -> bool:
    if first is None or last is None:
        return False
    return last < limit.COLLAPSED and first > limit.TELLING


def _fall(low: float, high: float) -> float:
    if not (0 < high < math.inf):
        return 0.0
    return math.inf if low == 0 else math.log10(high / low)


def _multiplied(graph: Graph, inside: list[int], first_name: Mapping[str, str]) -> set[str]:
    """Return the parameters that the branch multiplies by: weights, gates, scales of norms."""
    return {
        first_name[name]
        for index in inside
        for name in graph.nodes[index].parameters
        if graph.nodes[index].op not in _ADDS and not _is_added(name)
    }


def _is_added(name: str) -> bool:
    return any(word in name.rpartition(".")[2] for word in _ADDED)
