"""What has to lie on a skip, from the shapes of its two ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..._results import PlannedSkip
from ...nn._fit import stride_between

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Ends:
    """The two tensors of a skip; `dims` axes of positions follow the channels, or none (0)."""

    source: Shape
    destination: Shape
    dims: int

    @property
    def widths(self) -> tuple[int, int]:
        """Return the channels at both ends."""
        axis = 1 if self.dims else -1
        return self.source[axis], self.destination[axis]

    @property
    def stride(self) -> int | None:
        """Return how many positions become one; `None` where that is no whole number."""
        if not self.dims:
            return 1 if self.source[:-1] == self.destination[:-1] else None
        if self.source[0] != self.destination[0]:
            return None
        return stride_between(self.source[2:], self.destination[2:])


def ends(source: Shape, destination: Shape, op: str) -> Ends | None:
    """Return the two ends of a skip onto the output of `op`; `None` where they cannot meet."""
    dims = int(op[-2]) if "conv" in op else 0
    if len(source) != len(destination) or len(source) < 2:
        return None
    if dims and len(source) != dims + 2:
        # A block that ends in a convolution may flatten: then the features are the last axis.
        dims = 0
    return Ends(source, destination, dims)


def shortcut_of(between: Ends, how: str) -> str | None:
    """Return the name of what lies on the skip; `None` where nothing fits."""
    stride, (before, after) = between.stride, between.widths
    if stride is None:
        return None
    if how == "dense" and (stride > 1 or before != after):
        return None
    if stride > 1:
        return "pool" if before == after or how == "cat" else "pool + 1x1"
    if before == after or how == "cat":
        return "identity"
    # Zeros for new channels cost nothing and leave the gradient as it is (option A); taking
    # channels away needs a projection.
    if after > before:
        return "pad"
    return "1x1" if between.dims else "linear"


def fuse_of(between: Ends) -> str:
    """Return what brings the width back after a concatenation."""
    return "1x1" if between.dims else "linear"


Name = Callable[[str], str]


def modules_of(skip: PlannedSkip, between: Ends) -> dict[str, str]:
    """Return the constructors of the modules that the skip needs, by role."""
    made: dict[str, str] = {}
    before, after = between.widths
    if skip.shortcut != "identity":
        kind = {"pad": "A", "1x1": "B", "linear": "B"}.get(skip.shortcut, "D")
        end = before if skip.shortcut == "pool" else after
        made["shortcut"] = (
            f'skipway.nn.Shortcut({before}, {end}, {between.stride}, kind="{kind}", '
            f"dims={between.dims})"
        )
    if skip.merge == "cat":
        start = ', start="branch"' if skip.gate else ""
        narrower = f", skip={before}" if before != after else ""
        made["fuse"] = f"skipway.nn.Fuse({after}{narrower}{_more(skip, between)}{start})"
    elif skip.gate:
        made["gate"] = "skipway.nn.ReZero()"
    return made


def dense_fuse_of(skip: PlannedSkip, between: Ends, count: int) -> str:
    """Return the constructor of what mixes `count` features of a dense block."""
    start = ', start="last"' if skip.gate else ""
    more = _more(skip, between)
    return f"skipway.nn.DenseFuse({between.widths[1]}, {count}{more}{start})"


def _more(skip: PlannedSkip, between: Ends) -> str:
    dims = f", dims={between.dims}" if between.dims else ""
    return dims + (f", scale={skip.branch_scale}" if skip.branch_scale != 1 else "")


def merge_of(skip: PlannedSkip, names: dict[str, str]) -> str:
    """Return the expression that joins `{skip}` and `{x}`, with the modules' names."""
    value = "{skip}"
    if "shortcut" in names:
        value = f"{names['shortcut']}({value})"
    if "fuse" in names:
        return f"{names['fuse']}({value}, {{x}})"
    if "gate" in names:
        value = f"{names['gate']}({value})"
    scale = f"{skip.branch_scale} * " if skip.branch_scale != 1 else ""
    return f"{value} + {scale}{{x}}"
