"""Stretches: residual sums in a row, each of which takes the stream right from the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..._trace import Graph, Joint, Site


def stretches(
    graph: Graph, joints: Sequence[Joint], sites: Mapping[int, Site]
) -> tuple[list[list[Joint]], dict[int, str]]:
    """Return the runs of two or more sums that one rule with several streams can serve.

    Such a rule hands a state from sum to sum instead of a tensor, so nothing else may read what
    flows between them: no activation behind the sum, no projection, no second reader.

    Returns:
        The runs, and for every other sum, by node, why it is in none.
    """
    found: list[list[Joint]] = []
    why: dict[int, str] = {}
    for joint in joints:
        reason = _alone(graph, joint, sites)
        if reason:
            why[joint.node] = reason
            continue
        if found and _follows(graph, found[-1][-1], joint, sites):
            found[-1].append(joint)
        else:
            found.append([joint])
    for run in found:
        if len(run) == 1:
            why[run[0].node] = (
                "it stands alone: what it puts out does not go straight into the next sum, but "
                "through an activation, a norm or another size, or something else reads it"
            )
    return [run for run in found if len(run) > 1], why


def _alone(graph: Graph, joint: Joint, sites: Mapping[int, Site]) -> str:
    site = sites.get(joint.node)
    if joint.kind != "identity" or joint.start != joint.skipped[0]:
        return "it has no plain skip: a state cannot go through what lies on it"
    if site is None:
        return "it is written in no method of a module"
    if graph.calls.get(site.owner, 1) > 1:
        return "it is run several times by the same module"
    return ""


def _follows(graph: Graph, before: Joint, joint: Joint, sites: Mapping[int, Site]) -> bool:
    """Tell whether what `before` puts out is read by `joint` and its branch, and nothing else."""
    source = before.node
    if joint.skipped[0] != source or source in graph.outputs:
        return False
    owner = sites[joint.node].owner
    inside = f"{owner}." if owner else ""
    for reader in graph.consumers[source]:
        module = graph.nodes[reader].module
        within = module == owner or module.startswith(inside)
        branch = joint.branch[0]
        inside_branch = within and (reader == branch or graph.feeds(reader, branch))
        if reader != joint.node and not inside_branch:
            return False
    return True
