"""What the numbers say, in words: the verdict, and the notes that weaken or sharpen it."""

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

Note = tuple[str, str]
# Within this many points the reader need not care which of two networks is better.
_CLOSE = 1.0


@dataclass(frozen=True)
class Writer:
    """Writes about one comparison.

    Attributes:
        table: every run.
        variants: the reference first.
        best: the best treated variant.
        kind: what is measured.
        machine: the processor, for readers.
    """

    table: Table
    variants: Sequence[Variant]
    best: Variant | None
    kind: Kind
    machine: str

    def verdict(self) -> str:
        """Return the answer in two or three sentences."""
        treated = [each for each in self.variants if each.role == "treated"]
        reference = self.variants[0]
        if self.best is None:
            return f"Nothing was treated here: {reference.name} only runs beside its controls."
        if self.table.seeds == 1:
            assert self.best.difference is not None
            return (
                f"One seed alone cannot answer this. In it {self.best.name} ends "
                f"{self._apart(self.best.difference.mean)} {reference.name}."
            )
        parts = [self._answer(treated, reference), *self._others(treated)]
        return " ".join(part for part in parts if part)

    def notes(self) -> tuple[Note, ...]:
        """Return (short claim, explanation) pairs, what weakens the verdict most first."""
        notes = [
            self._few_seeds(),
            self._several(),
            self._unseen(),
            self._start(),
            self._simple("linear", "a linear model"),
            self._simple("shallow", "a shallow network"),
            self._guessing(),
            self._broken(),
            self._edge(),
            self._times(),
        ]
        return tuple(note for note in notes if note is not None)

    def _answer(self, treated: Sequence[Variant], reference: Variant) -> str:
        assert self.best is not None
        helped = [each for each in treated if each.answer == "helped"]
        if len(helped) > 1 and len(helped) == len(treated):
            return f"Yes. {_both(helped)} {self._verb(helped, reference, plural=True)}."
        best = self.best
        assert best.difference is not None
        gap = f"ends {self._beside(best.difference, reference.name)}"
        name = _capital(best.name)
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
        assert self.best is not None
        return [self._against(each) for each in treated if each is not self.best]

    def _against(self, other: Variant) -> str:
        """Hold the best against another treated variant: the gap, and what it costs."""
        assert self.best is not None
        best, gap = self.best, self._between(self.best, other)
        if other.answer != self.best.answer:
            if other.answer == "worse":
                return f"{_capital(other.name)} is worse than {self.variants[0].name}."
            return f"For {other.name} no difference can be shown."
        if answer(gap, higher_is_better=self.table.higher_is_better) == "no difference":
            return f"Between {best.name} and {other.name} no difference can be shown."
        cost = _cost(best, other)
        return f"{_capital(best.name)} ends {self._beside(gap, other.name)}{cost}."

    def _few_seeds(self) -> Note | None:
        if self.table.seeds == 1:
            return (
                "One seed proves nothing",
                "How much a result changes from seed to seed is unknown; run at least three.",
            )
        if self.table.seeds == 2:
            return "Two seeds say little", "The interval is wide for that alone; run five."
        return None

    def _several(self) -> Note | None:
        """Say where the correction for several variants has taken an answer back."""
        lost = [each for each in self.variants if self._alone(each) != each.answer]
        if not lost:
            return None
        count = sum(each.role == "treated" for each in self.variants)
        return (
            "Several were tried, so one alone may look better by luck",
            f"Taken alone, {_list([each.name for each in lost])} would differ; corrected for "
            f"{count} treated variants (Holm), p is "
            f"{_list([prose(_corrected(each)) for each in lost])}.",
        )

    def _alone(self, variant: Variant) -> str | None:
        if variant.difference is None:
            return variant.answer
        return answer(variant.difference, higher_is_better=self.table.higher_is_better)

    def _unseen(self) -> Note | None:
        best = self.best
        if best is None or best.answer != "no difference" or best.evidence is None:
            return None
        smallest = best.evidence.detectable
        if not math.isfinite(smallest) or smallest == 0:
            return None
        size = f"{smallest:.1f} points" if self.kind == "accuracy" else prose(smallest)
        return (
            f"{self.table.seeds} seeds see differences of {size} or more",
            "at this spread, four times out of five; a smaller one would go unseen. More seeds see "
            "smaller ones.",
        )

    def _start(self) -> Note | None:
        start = self._control("better start")
        if start is None:
            return None
        reference, best = self.variants[0], self.best
        level = f"Started as well as is known, {reference.name} reaches {self._level(start)}"
        if best is None or best.answer != "helped":
            said = {"helped": "helps", "worse": "makes it worse"}.get(start.answer or "", "")
            title = f"A better start {said or 'makes no difference that can be shown'}"
            return title, f"{level}, against {self._level(reference)} as given."
        rest = f"{best.name} reaches {self._level(best)}"
        if self._ahead(best, start):
            return "A better start is not enough", f"{level}; {rest}."
        if self._matches(start, best):
            return "A better start is enough", f"{level} without any other change; {rest}."
        return "A better start may be enough", f"{level}; {rest}, which may be chance."

    def _simple(self, name: str, words: str) -> Note | None:
        simple = self._control(name)
        if simple is None:
            return None
        best = self.best or self.variants[0]
        level = f"{_capital(words)} reaches {self._level(simple)}, {best.name} {self._level(best)}."
        if simple.stalled == len(simple.runs):
            title = f"The {name} control has learned nothing"
            return title, f"{level} At these rates and epochs it says nothing about depth."
        gap = self._beside(self._between(simple, best), best.name)
        if self._ahead(best, simple):
            return f"{_capital(words)} does not reach it", f"{level} It ends {gap}."
        if self._matches(simple, best):
            title = "Depth is not needed here" if name == "linear" else "One hidden layer is enough"
            return title, f"{level} On this data the deep network gains nothing over it."
        title = f"{_capital(words)} may do as well"
        return title, f"{level} It ends {gap}, which may be chance."

    def _guessing(self) -> Note | None:
        chance, sign = self.table.chance, 1 if self.table.higher_is_better else -1
        if chance is None:
            return None
        margin = _CLOSE if self.kind == "accuracy" else 0.05 * abs(chance)
        guessing = [
            each.name
            for each in self.variants
            if sign * (statistics.median(self.table.outcomes(each)) - chance) <= margin
        ]
        if not guessing:
            return None
        verb = "guesses" if len(guessing) == 1 else "guess"
        what = "the most frequent class" if self.kind == "accuracy" else "the best constant"
        return (
            f"{_capital(_list(guessing))} only {verb}",
            f"Always answering {what} gives {self._number(chance)}.",
        )

    def _broken(self) -> Note | None:
        broken = [each for each in self.variants if each.failures]
        if not broken:
            return None
        counts = _list([f"{v.failures} of {len(v.runs)} of {v.name}" for v in broken])
        first = next(run for v in broken for run in v.runs if run.status != "done")
        return (
            "Some trainings broke down",
            f"{counts} at the rate chosen; they count as no better than guessing. The first: "
            f"{(first.error or '').rstrip('.')}.",
        )

    def _edge(self) -> Note | None:
        rates = self.table.rates
        if len(rates) < 2:
            return None
        # A variant that only guesses prefers a rate by chance.
        live = [v for v in self.variants if v.stalled < len(v.runs)]
        low = [v.name for v in live if v.factor == min(rates)]
        high = [v.name for v in live if v.factor == max(rates)]
        ends = [
            f"{_list(names)} did best at the {end} rate tried"
            for names, end in ((high, "highest"), (low, "lowest"))
            if names
        ]
        if not ends:
            return None
        return "A still better rate may lie outside", _capital("; ".join(ends)) + "."

    def _times(self) -> Note:
        return "Times are medians", f"on one thread of {self.machine}; read them as rough ratios."

    def _control(self, name: str) -> Variant | None:
        """Return a control to be held against others, which takes more than one seed."""
        found = (each for each in self.variants if each.name == name and each.role == "control")
        return next(found, None) if self.table.seeds > 1 else None

    def _between(self, variant: Variant, other: Variant) -> Interval:
        return paired(
            self.table.outcomes(variant),
            self.table.outcomes(other),
            higher_is_better=self.table.higher_is_better,
        )

    def _ahead(self, variant: Variant, other: Variant) -> bool:
        gap = self._between(variant, other)
        return answer(gap, higher_is_better=self.table.higher_is_better) == "helped"

    def _matches(self, simple: Variant, best: Variant) -> bool:
        """Tell whether `simple` is better, or so close that nobody need care."""
        behind = self._between(best, simple).mean * (1 if self.table.higher_is_better else -1)
        close = _CLOSE if self.kind == "accuracy" else 0.01 * abs(best.mean)
        return behind <= close

    def _level(self, variant: Variant) -> str:
        return self._number(statistics.median(self.table.outcomes(variant)))

    def _number(self, value: float) -> str:
        return f"{value:.1f} %" if self.kind == "accuracy" else prose(value)

    def _apart(self, mean: float) -> str:
        side = "above" if mean >= 0 else "below"
        if self.kind == "accuracy":
            size = f"{abs(mean):.1f}"
            return f"{size} {'point' if size == '1.0' else 'points'} {side}"
        return f"{prose(abs(mean))} {side}"

    def _beside(self, gap: Interval, other: str) -> str:
        """Write `3.6 points above addition (2.9 to 4.4)`, counted in the direction of the mean."""
        low, high = (gap.low, gap.high) if gap.mean >= 0 else (-gap.high, -gap.low)
        return f"{self._apart(gap.mean)} {other} ({self._signed(low)} to {self._signed(high)})"

    def _signed(self, value: float) -> str:
        text = f"{abs(value):.1f}" if self.kind == "accuracy" else prose(abs(value))
        return f"−{text}" if value < 0 and math.isfinite(value) and text.strip("0.") else text


def _corrected(variant: Variant) -> float:
    return variant.evidence.corrected_p if variant.evidence is not None else 1.0


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
    return _capital(_list(names)) if len(names) > 2 else f"Both {names[0]} and {names[1]}"


def _list(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
