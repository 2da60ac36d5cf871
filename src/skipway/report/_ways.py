"""The layers between which skips lead, in order, and the arcs between them; nothing measured."""

from __future__ import annotations

from collections.abc import Sequence

from ._arcs import arcs, arranged
from ._rows import Rows, merged
from ._values import Data


def ways(data: Data) -> Rows:
    """Return rows without numbers: the layers that the skips name, and their arcs."""
    names = order(data)
    index = {name: at for at, name in enumerate(names)}
    # Where branches or inputs meet is told, and is no skip.
    skips = [each for each in _skips(data) if each.get("kind") not in ("parallel", "merge")]
    found, lost = arcs(skips, index, proposed=_planned(data))
    return Rows(names, [[None] * len(names)], {}, [], [arranged(found)], lost, "")


def order(data: Data) -> list[str]:
    """Return the layers that have a row, in execution order as far as the skips tell it."""
    if "layers" in data and not isinstance(data["layers"], int):
        return list(data["layers"])
    chains = [
        [name for name in (skip["source"], *skip.get("branch", ()), skip["destination"])
         if name != "input"]
        for skip in _skips(data)
    ]  # fmt: skip
    return merged(chains) if chains else []


def _skips(data: Data) -> Sequence[Data]:
    skips: Sequence[Data] = data.get("plan", data)["skips"]
    return skips


def _planned(data: Data) -> bool:
    how = data.get("plan", data).get("how")
    return bool(data["result"] != "skips" and how != "reconnect")
