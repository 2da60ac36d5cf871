"""One rule for each residual sum by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ..._errors import RewireError
from ..._results import Undo
from ..._trace import Graph, Joint, Site
from .._change._apply import copied
from .._change._existing_sum import ExistingSum
from .._change._feature_axis import feature_axis
from .._change._rules import LocalRule, Spot
from .._change._scope import Scope
from .._code._forward import UnreadableError
from .._code._source import Page
from ._text_scope import TextScope


@dataclass
class Locally:
    """The sums of a network, each under a rule of its own.

    Attributes:
        graph: of the network.
        sites: where its sums are written.
        wanted: the sums that may change.
        rule: what takes their place.
        preserve: whether the network is to compute at first what it did.
        left: why a sum is left as it is, by node; known once they were changed.
    """

    graph: Graph
    sites: Mapping[int, Site]
    wanted: Sequence[Joint]
    rule: LocalRule
    preserve: bool
    left: dict[int, str] = field(default_factory=dict)

    @property
    def keeps(self) -> bool:
        """Tell whether the network computes at first what it did."""
        return self.preserve and self.rule.keeps

    @property
    def words(self) -> str:
        """Return the formula, for readers."""
        return self.rule.words

    @property
    def trouble(self) -> str:
        """Say what is wrong where the network does not compute what it did."""
        return (
            "With its sums written anew the network does not compute what it did: something "
            "else reads a tensor that one of them overwrote. Change that sum by hand, or leave "
            "it out of the plan."
        )

    def joints(self) -> list[Joint]:
        """Return the sums that are changed, in the order in which they run."""
        return [joint for joint in self.wanted if joint.node not in self.left]

    def change(
        self, model: nn.Module, inputs: Any
    ) -> tuple[nn.Module, list[tuple[str, Page]], list[Undo]]:
        """Return a copy of the model under the rule, its source, and how it is taken back."""
        work = _Work(model, copied(model), inputs)
        work.change(self._sums())
        self.left = work.left
        return work.result, work.pages, work.undo

    def _sums(self) -> list[ExistingSum]:
        found = []
        for number, joint in enumerate(self.wanted):
            spot = Spot(number, len(self.wanted), *feature_axis(self.graph, joint))
            site = self.sites.get(joint.node)
            found.append(ExistingSum(self.graph, joint, site, self.rule, spot, self.preserve))
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

    def change(self, sums: Sequence[ExistingSum]) -> None:
        """Make the changes that can be made."""
        owners: dict[str | None, list[ExistingSum]] = defaultdict(list)
        for each in sums:
            owners[each.site.owner if each.site else None].append(each)
        for owner, group in owners.items():
            if owner is None or not self._by_text(owner, group):
                for part in _scopes(group):
                    self._by_trace(part)

    def _by_text(self, owner: str, group: Sequence[ExistingSum]) -> bool:
        try:
            once = _of_one_call(group)
            page, undo = TextScope(self.model, self.result, owner, once).rewire()
        except UnreadableError as reason:
            self.left.update({each.joint.node: str(reason) for each in group})
            return False
        self._note(owner, page, undo)
        return True

    def _by_trace(self, group: Sequence[ExistingSum]) -> None:
        path = group[0].scope
        try:
            once = _of_one_call(group)
            page, undo = Scope(self.model, self.result, self.inputs, path, once).rewire()
        except (UnreadableError, RewireError) as reason:
            for each in group:
                known = self.left.get(each.joint.node)
                self.left[each.joint.node] = f"{known}; {reason}" if known else str(reason)
            return
        for each in group:
            self.left.pop(each.joint.node, None)
        self._note(path, page, undo)

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
