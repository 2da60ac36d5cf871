"""The notes that weaken or sharpen a verdict."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from .._numbers import prose
from .._results import Variant
from ._saying import CLOSE, Saying, capital, listed
from ._statistics import answer

Note = tuple[str, str]


@dataclass(frozen=True)
class Notes:
    """Writes the notes on one comparison.

    Attributes:
        say: what they are about.
        machine: the processor, for readers.
    """

    say: Saying
    machine: str

    def written(self) -> tuple[Note, ...]:
        """Return (short claim, explanation) pairs, what weakens the verdict most first."""
        notes = [
            self._few_seeds(),
            self._several(),
            self._unseen(),
            self._start(),
            self._normalised(),
            self._same_size(),
            self._same_compute(),
            self._simple("linear", "a linear model"),
            self._simple("shallow", "a shallow network"),
            self._guessing(),
            self._broken(),
            self._edge(),
            self._times(),
        ]
        return tuple(note for note in notes if note is not None)

    def _few_seeds(self) -> Note | None:
        if self.say.table.seeds == 1:
            return (
                "One seed proves nothing",
                "How much a result changes from seed to seed is unknown; run at least three.",
            )
        if self.say.table.seeds == 2:
            return "Two seeds say little", "The interval is wide for that alone; run five."
        return None

    def _several(self) -> Note | None:
        """Say where the correction for several variants has taken an answer back."""
        lost = [each for each in self.say.variants if self._alone(each) != each.answer]
        if not lost:
            return None
        count = sum(each.role == "treated" for each in self.say.variants)
        return (
            "Several were tried, so one alone may look better by luck",
            f"Taken alone, {listed([each.name for each in lost])} would differ; corrected for "
            f"{count} treated variants (Holm), p is "
            f"{listed([prose(_corrected(each)) for each in lost])}.",
        )

    def _alone(self, variant: Variant) -> str | None:
        if variant.difference is None:
            return variant.answer
        return answer(variant.difference, higher_is_better=self.say.table.higher_is_better)

    def _unseen(self) -> Note | None:
        best = self.say.best
        if best is None or best.answer != "no difference" or best.evidence is None:
            return None
        smallest = best.evidence.detectable
        if not math.isfinite(smallest) or smallest == 0:
            return None
        size = f"{smallest:.1f} points" if self.say.kind == "accuracy" else prose(smallest)
        return (
            f"{self.say.table.seeds} seeds see differences of {size} or more",
            "at this spread, four times out of five; a smaller one would go unseen. More seeds see "
            "smaller ones.",
        )

    def _start(self) -> Note | None:
        start = self.say.control("better start")
        if start is None:
            return None
        reference, best = self.say.variants[0], self.say.best
        level = f"Started as well as is known, {reference.name} reaches {self.say.level(start)}"
        if best is None or best.answer != "helped":
            said = {"helped": "helps", "worse": "makes it worse"}.get(start.answer or "", "")
            title = f"A better start {said or 'makes no difference that can be shown'}"
            return title, f"{level}, against {self.say.level(reference)} as given."
        rest = f"{best.name} reaches {self.say.level(best)}"
        if self.say.ahead(best, start):
            return "A better start is not enough", f"{level}; {rest}."
        if self.say.matches(start, best):
            return "A better start is enough", f"{level} without any other change; {rest}."
        return "A better start may be enough", f"{level}; {rest}, which may be chance."

    def _normalised(self) -> Note | None:
        return self._instead(
            "normalised",
            "With a norm behind every hidden layer and no skip, {name} reaches",
            ("Normalisation alone is enough", "Normalisation alone is not enough"),
            "Normalisation alone may be enough",
        )

    def _same_size(self) -> Note | None:
        return self._instead(
            "same size",
            "As wide as it takes to have as many parameters, {name} reaches",
            ("The parameters alone would have done it", "It is not the parameters"),
            "It may be the parameters",
        )

    def _same_compute(self) -> Note | None:
        return self._instead(
            "same compute",
            "As wide as it takes to cost as much arithmetic, {name} reaches",
            ("The arithmetic alone would have done it", "It is not the arithmetic"),
            "It may be the arithmetic",
        )

    def _instead(self, control: str, how: str, titles: tuple[str, str], open_: str) -> Note | None:
        """Hold another way to treat the reference against the best, where that helped."""
        other, best = self.say.control(control), self.say.best
        if other is None or best is None or best.answer != "helped":
            return None
        level = f"{how.format(name=self.say.variants[0].name)} {self.say.level(other)}"
        rest = f"{best.name} reaches {self.say.level(best)}"
        if self.say.ahead(best, other):
            return titles[1], f"{level}; {rest}."
        if self.say.matches(other, best):
            return titles[0], f"{level}; {rest}."
        return open_, f"{level}; {rest}, which may be chance."

    def _simple(self, name: str, words: str) -> Note | None:
        simple = self.say.control(name)
        if simple is None:
            return None
        best = self.say.best or self.say.variants[0]
        ends = [self.say.level(each) for each in (simple, best)]
        level = f"{capital(words)} reaches {ends[0]}, {best.name} {ends[1]}."
        if simple.stalled == len(simple.runs):
            title = f"The {name} control has learned nothing"
            return title, f"{level} At these rates and epochs it says nothing about depth."
        gap = self.say.beside(self.say.between(simple, best), best.name)
        if self.say.ahead(best, simple):
            return f"{capital(words)} does not reach it", f"{level} It ends {gap}."
        if self.say.matches(simple, best):
            title = "Depth is not needed here" if name == "linear" else "One hidden layer is enough"
            return title, f"{level} On this data the deep network gains nothing over it."
        title = f"{capital(words)} may do as well"
        return title, f"{level} It ends {gap}, which may be chance."

    def _guessing(self) -> Note | None:
        chance, sign = self.say.table.chance, 1 if self.say.table.higher_is_better else -1
        if chance is None:
            return None
        margin = CLOSE if self.say.kind == "accuracy" else 0.05 * abs(chance)
        guessing = [
            each.name
            for each in self.say.variants
            if each.failures < len(each.runs)
            and sign * (statistics.median(self.say.table.outcomes(each)) - chance) <= margin
        ]
        if not guessing:
            return None
        verb = "guesses" if len(guessing) == 1 else "guess"
        what = "the most frequent class" if self.say.kind == "accuracy" else "the best constant"
        return (
            f"{capital(listed(guessing))} only {verb}",
            f"Always answering {what} gives {self.say.number(chance)}.",
        )

    def _broken(self) -> Note | None:
        broken = [each for each in self.say.variants if each.failures]
        if not broken:
            return None
        counts = listed([f"{v.failures} of {len(v.runs)} of {v.name}" for v in broken])
        first = next(run for v in broken for run in v.runs if run.status != "done")
        return (
            "Some trainings broke down",
            f"{counts} at the rate chosen; they count as no better than guessing. The first: "
            f"{(first.error or '').rstrip('.')}.",
        )

    def _edge(self) -> Note | None:
        rates = self.say.table.rates
        if len(rates) < 2:
            return None
        # A variant that only guesses prefers a rate by chance.
        live = [v for v in self.say.variants if v.stalled < len(v.runs)]
        low = [v.name for v in live if v.factor == min(rates)]
        high = [v.name for v in live if v.factor == max(rates)]
        ends = [
            f"{listed(names)} did best at the {end} rate tried"
            for names, end in ((high, "highest"), (low, "lowest"))
            if names
        ]
        if not ends:
            return None
        return "A still better rate may lie outside", capital("; ".join(ends)) + "."

    def _times(self) -> Note:
        return "Times are medians", f"on one thread of {self.machine}; read them as rough ratios."


def _corrected(variant: Variant) -> float:
    return variant.evidence.corrected_p if variant.evidence is not None else 1.0
