"""How a result is put into words: levels, gaps, who is ahead of whom."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .._numbers import prose
from .._results import Interval, Variant
from ._judge import Kind
from ._statistics import answer, paired
from ._summary import Table

# Within this many points the reader need not care which of two networks is better.
CLOSE = 1.0


@dataclass(frozen=True)
class Saying:
    """One comparison, to be written about.

    Attributes:
        table: every run.
        variants: the reference first.
        best: the best treated variant.
        kind: what is measured.
    """

    table: Table
    variants: Sequence[Variant]
    best: Variant | None
    kind: Kind

    def control(self, name: str) -> Variant | None:
        """Return a control to be held against others, which takes more than one seed."""
        found = (each for each in self.variants if each.name == name and each.role == "control")
        return next(found, None) if self.table.seeds > 1 else None

    def between(self, variant: Variant, other: Variant) -> Interval:
        """Return the paired difference of two variants, broken runs included."""
        return paired(
            self.table.outcomes(variant),
            self.table.outcomes(other),
            higher_is_better=self.table.higher_is_better,
        )

    def ahead(self, variant: Variant, other: Variant) -> bool:
        """Tell whether `variant` is shown to be better than `other`."""
        gap = self.between(variant, other)
        return answer(gap, higher_is_better=self.table.higher_is_better) == "helped"

    def matches(self, simple: Variant, best: Variant) -> bool:
        """Tell whether `simple` is better, or so close that nobody need care."""
        behind = self.between(best, simple).mean * (1 if self.table.higher_is_better else -1)
        close = CLOSE if self.kind == "accuracy" else 0.01 * abs(best.mean)
        return behind <= close

    def level(self, variant: Variant) -> str:
        """Write where a variant ends."""
        return self.number(statistics.median(self.table.outcomes(variant)))

    def number(self, value: float) -> str:
        """Write a value of the metric."""
        return f"{value:.1f} %" if self.kind == "accuracy" else prose(value)

    def apart(self, mean: float) -> str:
        """Write a gap and its direction: `3.6 points above`."""
        side = "above" if mean >= 0 else "below"
        if self.kind == "accuracy":
            size = f"{abs(mean):.1f}"
            return f"{size} {'point' if size == '1.0' else 'points'} {side}"
        return f"{prose(abs(mean))} {side}"

    def beside(self, gap: Interval, other: str) -> str:
        """Write `3.6 points above addition (2.9 to 4.4)`, counted in the direction of the mean."""
        low, high = (gap.low, gap.high) if gap.mean >= 0 else (-gap.high, -gap.low)
        return f"{self.apart(gap.mean)} {other} ({self._signed(low)} to {self._signed(high)})"

    def _signed(self, value: float) -> str:
        text = f"{abs(value):.1f}" if self.kind == "accuracy" else prose(abs(value))
        return f"−{text}" if value < 0 and math.isfinite(value) and text.strip("0.") else text


def listed(names: Sequence[str]) -> str:
    """Write `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def capital(text: str) -> str:
    """Write the first letter large."""
    return text[:1].upper() + text[1:]
