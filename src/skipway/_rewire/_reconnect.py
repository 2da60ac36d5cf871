"""`reconnect`: existing skips under another rule, or none at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from .._case import call
from .._errors import RewireError, SkipwayError
from .._results import Plan, PlannedSkip, Rewiring, Undo
from .._trace import Graph, Joint, Site, observe_sites, read_joints, read_skips, untouched
from ._apply import copied
from ._existing_sum import ExistingSum
from ._feature_axis import feature_axis
from ._forward import UnreadableError
from ._rules import CUT, LOCAL, LocalRule, Spot
from ._same import same_outputs
from ._scope import Scope
from ._source import Page
from ._text_scope import TextScope
from ._verb import check, rewiring_of


def reconnect(
    model: nn.Module,
    inputs: Any,
    *,
    rule: str | None = "rezero",
    keep: bool = True,
    plan: Plan | None = None,
) -> Rewiring:
    """Give the residual sums of a network another rule, or cut them.

    The model you give is not changed. The new one is of the same class, has every key of its
    state dict with its value, and copies, pickles, compiles and exports as before. What changes is
    your own code, at the sums alone.

    Args:
        model: any module that runs eagerly.
        inputs: what its forward takes: a tensor, a tuple of positional or a dict of keyword
            arguments.
        rule: what becomes of `x + f(x)`, for `L` such sums:

            - `"rezero"` or `"skipinit"`: `x + a f(x)`, `a` learned (arXiv:2003.04887, 2002.10444);
            - `"layerscale"`: `x + diag(l) f(x)` (arXiv:2103.17239);
            - `"stochastic-depth"`: in training a sample loses the branch, from early to late ones
              with a probability that grows to 0.5 (arXiv:1603.09382);
            - `"fixup"`: `x + a f(x) + c` (arXiv:1901.09321);
            - `"scaled"`: `x + f(x) / sqrt(L)`;
            - `"deepnorm"`: `LN(L^(1/4) x + f(x))` (arXiv:2203.00555);
            - `"highway"`: `T f(x) + (1 - T) x` (arXiv:1505.00387);
            - `None`: `f(x)`: the plain twin, for comparison.
        keep: let the network compute at first what it did, where the rule can: gates start at
            one. With False they start as in their papers: ReZero's at 0, LayerScale's at 1e-5.
            `"scaled"`, `"deepnorm"`, `"highway"` and `None` cannot keep it; stochastic depth keeps
            it in evaluation. The values of the network's own weights stay in any case.
        plan: of an earlier call, for this or for another instance; skips may be left out of it.

    Returns:
        The new network, the plan with what was left as it is and why, and the source.

    Raises:
        RewireError: there is no sum that could change, or the plan does not fit.
        ModelError: the model raises in forward.

    Example:
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
        >>> x = torch.randn(2, 3, 8)
        >>> rewiring = reconnect(layer, x, rule="rezero")
        >>> len(rewiring.plan.skips), rewiring.parameters_added
        (2, 2)
        >>> torch.equal(rewiring.model(x), layer(x))
        True
    """
    check(model, "reconnect")
    rule, keep = (rule, keep) if plan is None else _of_plan(plan)
    chosen = _rule(rule)
    with untouched(model):
        graph, sites = observe_sites(model, inputs)
        found = _Found(graph, sites)
        if plan is not None:
            found.narrow(plan)
        work = _Work(model, copied(model), inputs)
        changed = work.change(found.sums(chosen, keep))
        left = {**found.left, **work.left}
        if not changed:
            raise RewireError(_nothing(graph, left))
        _check_result(model, work.result, inputs, keep and chosen.keeps)
    made = _plan(graph, changed, rule, keep, _reason(graph, chosen, keep, changed, left))
    return rewiring_of(model, graph, made, work.result, work.pages, tuple(work.undo))


def _of_plan(plan: Plan) -> tuple[str | None, bool]:
    if not isinstance(plan, Plan):
        raise RewireError(
            f"plan is a {type(plan).__name__}, not a Plan: give rewiring.plan, or read a saved one "
            "with skipway.read(path)."
        )
    if plan.how != "reconnect":
        raise RewireError(
            f"The plan adds skips by {plan.how}; it is for skipway.rewire(model, inputs, "
            "plan=plan). reconnect changes those that are there."
        )
    return plan.rule, plan.keep


def _rule(rule: str | None) -> LocalRule:
    if rule is None:
        return CUT
    if rule not in LOCAL:
        raise RewireError(
            f"There is no rule {rule!r}; give one of {', '.join(LOCAL)}, or None to cut the skips."
        )
    return LOCAL[rule]


@dataclass
class _Found:
    """The residual sums of a network, and why others are left as they are."""

    graph: Graph
    sites: Mapping[int, Site]
    joints: list[Joint] = field(default_factory=list)
    left: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for joint in read_joints(self.graph):
            if joint.kind in ("parallel", "merge"):
                continue
            why = self._why_not(joint)
            if why:
                self.left[joint.node] = why
            else:
                self.joints.append(joint)

    def _why_not(self, joint: Joint) -> str:
        node = self.graph.nodes[joint.node]
        shapes = {self.graph.nodes[each].shape for each in node.inputs}
        if joint.merge == "cat":
            return "concatenates: what reads it has its weights for all of it"
        if node.op != "add":
            return "subtracts"
        if len(node.inputs) != 2:
            return "adds more than two"
        if shapes != {node.shape}:
            return "broadcasts one of its sides"
        return ""

    def narrow(self, plan: Plan) -> None:
        """Keep the sums that a plan names.

        Raises:
            RewireError: one of them is not there.
        """
        wanted = [(skip.source, skip.destination) for skip in plan.skips]
        if not wanted:
            raise RewireError("The plan holds no skip; reconnect without plan= to have one made.")
        names = _names(self.graph)
        kept = []
        for joint in self.joints:
            if names[joint.node] in wanted:
                wanted.remove(names[joint.node])
                kept.append(joint)
        if wanted:
            source, destination = wanted[0]
            raise RewireError(
                f"There is no skip from `{source}` to `{destination}` in this network; "
                "skipway.skips(model, inputs) lists those it has."
            )
        self.joints, self.left = kept, {}

    def sums(self, rule: LocalRule, keep: bool) -> list[ExistingSum]:
        """Return the sums as changes; a module that runs again has its own once."""
        found = []
        for number, joint in enumerate(self.joints):
            features, dim = feature_axis(self.graph, joint)
            spot = Spot(number, len(self.joints), features, dim)
            site = self.sites.get(joint.node)
            found.append(ExistingSum(self.graph, joint, site, rule, spot, keep))
        return found


@dataclass
class _Work:
    """Changes sums in a copy of the model, each where it is written."""

    model: nn.Module
    result: nn.Module
    inputs: Any
    pages: list[tuple[str, Page]] = field(default_factory=list)
    undo: list[Undo] = field(default_factory=list)
    left: dict[int, str] = field(default_factory=dict)

    def change(self, sums: Sequence[ExistingSum]) -> list[ExistingSum]:
        """Make the changes that can be made; return them."""
        done: list[ExistingSum] = []
        owners: dict[str | None, list[ExistingSum]] = defaultdict(list)
        for each in sums:
            owners[each.site.owner if each.site else None].append(each)
        for owner, group in owners.items():
            if owner is None or not self._by_text(owner, group):
                done += [each for part in _scopes(group) for each in self._by_trace(part)]
            else:
                done += group
        return sorted(done, key=lambda each: each.joint.node)

    def _by_text(self, owner: str, group: Sequence[ExistingSum]) -> bool:
        try:
            once = _of_one_call(group)
            page, undo = TextScope(self.model, self.result, owner, once).rewire()
        except UnreadableError as reason:
            self.left.update({each.joint.node: str(reason) for each in group})
            return False
        self._note(owner, page, undo)
        return True

    def _by_trace(self, group: Sequence[ExistingSum]) -> Sequence[ExistingSum]:
        path = group[0].scope
        try:
            once = _of_one_call(group)
            page, undo = Scope(self.model, self.result, self.inputs, path, once).rewire()
        except (UnreadableError, RewireError) as reason:
            for each in group:
                known = self.left.get(each.joint.node)
                self.left[each.joint.node] = f"{known}; {reason}" if known else str(reason)
            return ()
        for each in group:
            self.left.pop(each.joint.node, None)
        self._note(path, page, undo)
        return group

    def _note(self, path: str, page: Page, undo: Undo) -> None:
        self.pages.append((path, page))
        self.undo.append(undo)


def _scopes(sums: Iterable[ExistingSum]) -> Iterable[list[ExistingSum]]:
    scopes: dict[str, list[ExistingSum]] = defaultdict(list)
    for each in sums:
        scopes[each.scope].append(each)
    return scopes.values()


def _of_one_call(group: Sequence[ExistingSum]) -> list[ExistingSum]:
    """Return the sums of a module's first call: the others run the same text again.

    Raises:
        UnreadableError: its calls have not the same sums.
    """
    graph, owner = group[0].graph, group[0].site.owner if group[0].site else group[0].scope
    calls = max(1, graph.calls.get(owner, 1))
    first = [each for each in group if graph.nodes[each.joint.node].call == 0] if calls > 1 else []
    if calls > 1 and len(first) * calls != len(group):
        raise UnreadableError(f"it is called {calls} times, not always with the same sums")
    return first if calls > 1 else list(group)


def _names(graph: Graph) -> dict[int, tuple[str, str]]:
    facts = zip(read_joints(graph), read_skips(graph), strict=True)
    return {joint.node: (fact.source, fact.destination) for joint, fact in facts}


def _plan(
    graph: Graph, changed: Sequence[ExistingSum], rule: str | None, keep: bool, reason: str
) -> Plan:
    names = _names(graph)
    skips = tuple(
        PlannedSkip(
            *names[each.joint.node],
            shortcut=each.joint.kind,
            source_shape=graph.nodes[each.joint.start or 0].shape,
            destination_shape=graph.nodes[each.joint.node].shape,
        )
        for each in changed
    )
    return Plan("reconnect", skips, reason, rule, keep)


def _reason(
    graph: Graph,
    rule: LocalRule,
    keep: bool,
    changed: Sequence[ExistingSum],
    left: Mapping[int, str],
) -> str:
    start = (
        "At first the network computes what it did."
        if keep and rule.keeps
        else "It does not compute what it did."
    )
    said = [f"Every `x + f(x)` is `{rule.words}` now. {start}"]
    grouped: dict[str, list[str]] = defaultdict(list)
    names = _names(graph)
    for node, why in left.items():
        grouped[why].append(names[node][1])
    for why, layers in grouped.items():
        one = len(layers) == 1
        said.append(
            f"{len(layers)} {'stays as it is: it' if one else 'stay as they are, for each of them'}"
            f" {why} (after `{layers[0]}`{'' if one else ' ...'})."
        )
    return " ".join(said)


def _nothing(graph: Graph, left: Mapping[int, str]) -> str:
    if not left:
        return (
            "The network has no skip connection that could follow another rule; "
            "skipway.rewire(model, inputs) adds some."
        )
    names, (node, why) = _names(graph), next(iter(left.items()))
    return (
        f"None of the network's {len(left)} skip connections can follow another rule. The one that "
        f"ends at `{names[node][1]}`: {why}. Write it by hand: skipway.nn.Skip(body, gate=...)."
    )


def _check_result(model: nn.Module, result: nn.Module, inputs: Any, same: bool) -> None:
    try:
        if same and not same_outputs(model, result, inputs):
            raise RewireError(
                "With its sums written anew the network does not compute what it did: something "
                "else reads a tensor that one of them overwrote. Change that sum by hand, or leave "
                "it out of the plan."
            )
        if not same:
            with untouched(result), torch.no_grad():
                call(result, inputs)
    except SkipwayError:
        raise
    except Exception as error:  # whatever the user's code raises on what a rule returns
        raise RewireError(
            f"With the new rule the network does not run ({type(error).__name__}: {error}). Leave "
            "the skips at that place out of the plan."
        ) from error
