"""The verdict: what the numbers say, in two or three sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._numbers import prose
from .._results import Variant
from ._saying import Saying, capital, listed
from ._statistics import answer


@dataclass(frozen=True)
class Writer:
    """Writes the verdict on one comparison."""

    say: Saying

    def verdict(self) -> str:
        """Return the answer in two or three sentences."""
        treated = [each for each in self.say.variants if each.role == "treated"]
        reference = self.say.variants[0]
        if self.say.best is None:
            return f"Nothing was treated here: {reference.name} only runs beside its controls."
        if self.say.table.seeds == 1:
            assert self.say.best.difference is not None
            return (
                f"One seed alone cannot answer this. In it {self.say.best.name} ends "
                f"{self.say.apart(self.say.best.difference.mean)} {reference.name}."
            )
        parts = [self._answer(treated, reference), *self._others(treated)]
        return " ".join(part for part in parts if part)

    def _answer(self, treated: Sequence[Variant], reference: Variant) -> str:
        assert self.say.best is not None
        helped = [each for each in treated if each.answer == "helped"]
        if len(helped) > 1 and len(helped) == len(treated):
            return f"Yes. {_both(helped)} {self._verb(helped, reference, plural=True)}."
        best = self.say.best
        assert best.difference is not None
        gap = f"ends {self.say.beside(best.difference, reference.name)}"
        name = capital(best.name)
        if best.answer == "helped":
            verb = self._verb([best], reference, plural=False)
            return f"Yes. {name} {verb}: it {gap}."
        if best.answer == "worse":
            lead = "No, it is worse." if len(treated) == 1 else "No, all of them are worse."
            return f"{lead} {name} {gap}."
        return f"No difference can be shown. {name} {gap}, which may be chance."

    def _verb(self, helped: Sequence[Variant], reference: Variant, *, plural: bool) -> str:
        pairs = [each.difference for each in helped if each.difference is not None]
        every = all(gap.wins == gap.pairs for gap in pairs)
        cured = reference.stalled == len(reference.runs) and not any(v.stalled for v in helped)
        verb = ("cure it" if plural else "cures it") if cured else ("help" if plural else "helps")
        return f"{verb}, in every seed" if every else verb

    def _others(self, treated: Sequence[Variant]) -> list[str]:
        assert self.say.best is not None
        return [self._against(each) for each in treated if each is not self.say.best]

    def _against(self, other: Variant) -> str:
        """Hold the best against another treated variant: the gap, and what it costs."""
        assert self.say.best is not None
        best, gap = self.say.best, self.say.between(self.say.best, other)
        if other.answer != self.say.best.answer:
            if other.answer == "worse":
                return f"{capital(other.name)} is worse than {self.say.variants[0].name}."
            return f"For {other.name} no difference can be shown."
        if answer(gap, higher_is_better=self.say.table.higher_is_better) == "no difference":
            return f"Between {best.name} and {other.name} no difference can be shown."
        cost = _cost(best, other)
        return f"{capital(best.name)} ends {self.say.beside(gap, other.name)}{cost}."


def _cost(variant: Variant, other: Variant) -> str:
    size = variant.parameters / max(1, other.parameters)
    time = variant.step_ms / other.step_ms if other.step_ms > 0 else 1.0
    parts = []
    if not 0.95 < size < 1.05:
        parts.append(f"{_times(size)} the parameters")
    if not 0.9 < time < 1.1:
        parts.append(f"about {_times(time)} the time per step")
    return f", for {' and '.join(parts)}" if parts else ""


def _times(ratio: float) -> str:
    return "twice" if 1.95 <= ratio <= 2.05 else f"{prose(ratio)} times"


def _both(variants: Sequence[Variant]) -> str:
    names = [each.name for each in variants]
    if set(names) == {"addition", "concatenation"}:
        return "Both kinds of skip"
    return capital(listed(names)) if len(names) > 2 else f"Both {names[0]} and {names[1]}"
