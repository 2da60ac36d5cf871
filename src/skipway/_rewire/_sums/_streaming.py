"""One rule with several streams over every stretch of residual sums."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from torch import Tensor, nn

import skipway

from ..._errors import RewireError
from ..._results import Undo
from ..._trace import Graph, Joint, Site
from .._change._apply import copied
from .._change._feature_axis import feature_axis
from .._change._same import same_outputs
from .._change._stream_sum import StreamSum, Stretch
from .._code._forward import UnreadableError
from .._code._source import Page
from .._code._statements import Line
from ._stretches import stretches
from ._text_scope import TextScope

_N = 4  # streams, as in the papers
Make = Callable[[int, int], str]


def _along(dim: int) -> str:
    return "" if dim == -1 else f", dim={dim}"


# Constructors by the number of features and their axis, and whether the training begins with the
# network as it was.
STREAMED: Mapping[str, tuple[Make, bool, str]] = {
    "hyper-connections": (
        lambda features, dim: f"skipway.nn.HyperConnections({_N}{_along(dim)})",
        True,
        "A_r^T X + B^T f(A_m^T X)",
    ),
    "manifold-hyper-connections": (
        lambda features, dim: f"skipway.nn.ManifoldHyperConnections({_N}{_along(dim)})",
        True,
        "H_res X + H_post^T f(H_pre X)",
    ),
    "denseformer": (lambda features, dim: "skipway.nn.DenseFormer()", True, "sum_j a_ij x_j"),
    "attention-residuals": (
        lambda features, dim: f"skipway.nn.AttentionResiduals({features}{_along(dim)})",
        False,
        "sum_i softmax_i(w_l . RMSNorm(v_i)) v_i",
    ),
    "delta-attention-residuals": (
        lambda features, dim: f"skipway.nn.DeltaAttentionResiduals({features}{_along(dim)})",
        True,
        "x + f(x + g sum_i a_i v_i)",
    ),
}


class Streaming:
    """The stretches of a network under one rule.

    Args:
        graph: of the network.
        sites: where its sums are written.
        joints: the sums that may change.
        rule: the name of a rule, or a rule.
    """

    def __init__(
        self,
        graph: Graph,
        sites: Mapping[int, Site],
        joints: Sequence[Joint],
        rule: str | skipway.nn.Rule,
    ) -> None:
        self.graph, self.sites, self.rule = graph, sites, rule
        self.runs, self.left = stretches(graph, joints, sites)
        for run in [run for run in self.runs if self._alternates(run)]:
            self._leave(run, "it alternates with sums of another module inside its own")

    @property
    def keeps(self) -> bool:
        """Tell whether the network computes at first what it did."""
        if isinstance(self.rule, str):
            return STREAMED[self.rule][1]
        return self.rule.preserves_function

    @property
    def words(self) -> str:
        """Return the formula, for readers."""
        return STREAMED[self.rule][2] if isinstance(self.rule, str) else type(self.rule).__name__

    def change(
        self, model: nn.Module, inputs: Any
    ) -> tuple[nn.Module, list[tuple[str, Page]], list[Undo]]:
        """Return a copy of the model under the rule, its source, and how it is taken back.

        Raises:
            RewireError: the stream goes another way than its sums say.
        """
        self._settle(model)
        if not self.runs:
            return copied(model), [], []
        self._probe(model, inputs, skipway.nn.Residual())
        if not self.keeps:
            # Nothing else would show that somebody reads the shape of what he takes for a tensor.
            self._probe(model, inputs, _Boxed())
        return self._applied(model, None)

    def _probe(self, model: nn.Module, inputs: Any, rule: skipway.nn.Rule) -> None:
        """See that plain sums, handed on as the rule's state is, are the network as it was."""
        probe, _, _ = self._applied(model, rule)
        try:
            same = same_outputs(model, probe, inputs)
        except Exception as error:  # what code between the blocks raises on a state
            raise RewireError(
                f"{self.trouble} It raised {type(error).__name__}: {error}",
                page="skips#rules-with-several-streams",
            ) from error
        if not same:
            raise RewireError(self.trouble, page="skips#rules-with-several-streams")

    @property
    def trouble(self) -> str:
        """Say what is wrong where the network does not compute what it did."""
        return (
            "Something between the blocks looks at what flows from sum to sum, which is a state "
            "under this rule and no tensor of the old shape. Reconnect a part of the skips "
            "(plan=), or take a rule that changes one sum at a time, such as rule='rezero'."
        )

    def joints(self) -> list[Joint]:
        """Return the sums that are served, in the order in which they run."""
        return sorted((j for run in self.runs for j in run), key=lambda joint: joint.node)

    def _alternates(self, run: Sequence[Joint]) -> bool:
        owners = [owner for owner, _ in groupby(self.sites[j.node].owner for j in run)]
        return len(set(owners)) < len(owners)

    def _leave(self, run: list[Joint], why: str) -> None:
        self.runs.remove(run)
        self.left.update({joint.node: why for joint in run})

    def _settle(self, model: nn.Module) -> None:
        """Leave out the stretches with a module whose text cannot be changed."""
        result = copied(model)
        while True:
            broken: dict[str, str] = {}
            for owner, sums in self._by_owner(self._stretches(None)).items():
                try:
                    TextScope(model, result, owner, sums).page()
                except UnreadableError as reason:
                    broken[owner] = str(reason)
            bad = [r for r in self.runs if {self.sites[j.node].owner for j in r} & set(broken)]
            if not bad:
                return
            for run in bad:
                owner = next(o for j in run if (o := self.sites[j.node].owner) in broken)
                self._leave(run, broken[owner])

    def _stretches(self, rule: skipway.nn.Rule | None) -> list[Stretch]:
        found = []
        for number, run in enumerate(self.runs, 1):
            name = "streams" if number == 1 else f"streams_{number}"
            if rule is not None:
                found.append(Stretch(run, name, "", copy.deepcopy(rule)))
            elif isinstance(self.rule, str):
                made = STREAMED[self.rule][0](*feature_axis(self.graph, run[0]))
                found.append(Stretch(run, name, made))
            else:
                words = f"{type(self.rule).__name__}({self.rule.extra_repr()})"
                home = "skipway.nn." if type(self.rule).__module__.startswith("skipway.") else ""
                found.append(Stretch(run, name, home + words, copy.deepcopy(self.rule)))
        return found

    def _by_owner(self, found: Sequence[Stretch]) -> dict[str, list[StreamSum]]:
        owners: dict[str, list[StreamSum]] = {}
        for stretch in found:
            for owner, group in groupby(stretch.joints, key=lambda j: self.sites[j.node].owner):
                joints = list(group)
                known = owners.setdefault(owner, [])
                count = 1 + sum(each.opens for each in known)
                local = "stream" if count == 1 else f"stream_{count}"
                known += [
                    StreamSum(
                        self.graph, joint, self.sites[joint.node], stretch, local,
                        opens=at == 0, joins=len(joints), starts=joint is stretch.joints[0],
                    )
                    for at, joint in enumerate(joints)
                ]  # fmt: skip
        return owners

    def _applied(
        self, model: nn.Module, rule: skipway.nn.Rule | None
    ) -> tuple[nn.Module, list[tuple[str, Page]], list[Undo]]:
        result, found = copied(model), self._stretches(rule)
        for stretch in found:
            stretch.build()
        lines = tuple(Line(stretch.line, True) for stretch in found)
        pages: list[tuple[str, Page]] = [("", Page(frozenset({"import skipway"}), lines))]
        undo = []
        for owner, sums in self._by_owner(found).items():
            page, back = TextScope(model, result, owner, sums).rewire()
            pages.append((owner, page))
            undo.append(back)
        return result, pages, undo


class _Boxed(skipway.nn.Rule):
    """Plain sums in a state that nobody can take for a tensor."""

    def begin(self, x: Tensor) -> Any:
        return _Box(x)

    def read(self, state: Any, layer: int) -> tuple[Tensor, Any]:
        return state.content, state

    def write(self, waiting: Any, layer: int, y: Tensor) -> Any:
        return _Box(waiting.content + y)

    def end(self, state: Any) -> Tensor:
        content: Tensor = state.content
        return content


@dataclass(frozen=True)
class _Box:
    content: Tensor
