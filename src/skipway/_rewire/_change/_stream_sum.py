"""`StreamSum`: a residual sum of a stretch that one rule with several streams serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

import skipway

from ..._errors import RewireError
from ..._trace import Joint, Site
from .._code._edits import Edit
from .._code._forward import UnreadableError
from .._code._reading import Reading
from ._change import Hooks, Part
from ._sum_change import SumChange


@dataclass
class Stretch:
    """The sums that one rule serves.

    Attributes:
        joints: in the order in which they run.
        name: of the variable that holds the rule where the blocks are built.
        rule: its constructor, or the words for it.
        made: the rule itself where the user gave one; else it is built from the constructor.
    """

    joints: list[Joint]
    name: str
    rule: str
    made: skipway.nn.Rule | None = None
    streams: Any = field(default=None, init=False)

    def build(self) -> None:
        """Make the rule anew, for one network."""
        rule = self.made
        if rule is None:
            rule = eval(self.rule, {"skipway": skipway})
        self.streams = skipway.nn.Streams(rule, len(self.joints))

    @property
    def line(self) -> str:
        """Return what stands where the blocks are built."""
        return f"{self.name} = skipway.nn.Streams({self.rule}, {len(self.joints)})"


@dataclass(frozen=True)
class StreamSum(SumChange):
    """A sum of a stretch, at its place.

    Attributes:
        site: where it is written.
        stretch: which it belongs to.
        local: what its module calls the stream of one run.
        opens: whether it is the first sum of its module.
        joins: how many sums of the stretch its module has.
        starts: whether it is the first of the stretch.
    """

    site: Site
    stretch: Stretch
    local: str
    opens: bool
    joins: int
    starts: bool

    @property
    def scope(self) -> str:
        """Return the path of the module whose method holds it."""
        return self.site.owner

    def parts(self) -> Sequence[Part]:
        """Return the module's part of the streams, once for all of its sums."""
        if not self.opens:
            return []
        name = self.stretch.name
        like = self.like
        given = {name: self.stretch.streams}
        return [Part("streams", f"{name}.take({self.joins})", like, given)]

    def template(self, part: str) -> str:
        """Return what takes its place."""
        return f"{self.local}.join({{branched}})"

    def entry(self, part: str, name: str) -> list[str]:
        """Return the lines that open the stream held by the variable `name`."""
        return [f"{self.local} = {part}.enter({name})", f"{name} = {self.local}.read()"]

    def edit(self, reading: Reading, names: Sequence[str]) -> Edit:
        """A traced forward shows no state."""
        raise UnreadableError("its streams are put into the text of a method alone")

    def attach(
        self, result: nn.Module, modules: Sequence[nn.Module], names: Sequence[str], reason: str
    ) -> Hooks:
        """Hooks see modules; a sum is none."""
        raise RewireError(
            f"{reason}, and hooks do not see a sum", page="skips#rules-with-several-streams"
        )
