"""Steps that are too small to learn from, at this rate or at this point of its schedule."""

from __future__ import annotations

from dataclasses import replace

from ..._numbers import prose
from ..._results import Finding
from .. import _thresholds as limit
from .._facts import Facts
from .._judgement import Judgement
from .._words import percent, rate
from ._step import about, little_left, tried_on, tried_words


def _no_rate(facts: Facts) -> Judgement:
    return Judgement(
        Finding(
            cause="lr-too-small",
            title="The learning rate is zero",
            place="The whole network.",
            evidence="Every group of the optimizer has a learning rate of 0: no weight moves.",
            remedy="None if the schedule raises it. Diagnose again after its first steps."
            if facts.by_plan
            else _no_rate_remedy(facts),
            sure="Certain at this step; a schedule sets the rate."
            if facts.plan is not None
            else "Certain.",
            treatment="none" if facts.by_plan else "learning-rate",
        ),
        headline="The learning rate is zero.",
        summary="The gradient arrives and the optimizer multiplies it by zero. Nothing learns.",
        place=facts.weakest.name,
        main=not facts.by_plan,
    )


def _no_rate_remedy(facts: Facts) -> str:
    if facts.plan is None:
        return "A learning rate above zero."
    return "A longer schedule: this one has ended before anything was learned."


def _planned(judgement: Judgement, facts: Facts) -> Judgement:
    """Return a judgement of a small rate as one of the schedule, where that means it so."""
    if not facts.by_plan:
        return judgement
    assert facts.plan is not None
    finding = replace(
        judgement.finding,
        title="The steps are small at this point of the schedule",
        remedy="None if the schedule raises the rate, or if it has done its work. Otherwise: "
        + judgement.finding.remedy,
        sure="Certain that they are small now: the rate is "
        f"{rate(facts.plan.rate)} of {rate(facts.plan.whole)}. What comes next is not to be seen.",
        treatment="none",
        suggestion={},
    )
    return replace(judgement, finding=finding, main=False)


def learning_rate_too_small(facts: Facts) -> Judgement | None:
    """Steps that take next to nothing off the loss."""
    step = facts.step
    if facts.stopped and step is not None and not little_left(facts):
        return _no_rate(facts)
    if step is None or not step.steady < limit.SLOW or little_left(facts):
        return None
    better = _better_rate(facts)
    if facts.tried is not None and better is None:
        return None
    tiny = step.epsilon is not None and step.epsilon > limit.EPSILON_SHARE
    one = "One step" if step.growing == 1 else "One step at its full momentum"
    evidence = f"{one} takes {prose(max(step.steady, 0.0))} of the loss away, to first "
    evidence += f"order; trainings that move take {prose(10**-2.4)} to {prose(10**-0.5)}."
    if tiny:
        evidence += f" For {percent(step.epsilon or 0)} of the weights the optimizer's epsilon, "
        evidence += "not the gradient, sets the step."
    found = Judgement(
        Finding(
            cause="lr-too-small",
            title="The steps are too small",
            place="The whole network.",
            evidence=evidence + tried_words(facts),
            remedy=_remedy(facts, better, tiny),
            sure=tried_on(facts.tried)
            if better is not None
            else "Likely. Judged from one step; no larger one was tried.",
            treatment="learning-rate",
            suggestion={}
            if better is None or facts.rates is None or facts.tried is None
            else facts.rates.suggestion(better, facts.tried.part),
        ),
        headline="The steps are too small to learn from.",
        summary=f"At {facts.rate_words} one step takes "
        f"{prose(max(step.steady, 0.0))} of the loss away. The gradient arrives everywhere; "
        "what is missing is the size of the step."
        + (f" At {_words(facts, better)} the loss falls." if better is not None else ""),
        place=facts.weakest.name,
    )
    return _planned(found, facts)


def _words(facts: Facts, better: float) -> str:
    assert facts.rates is not None
    return facts.rates.words(better, None if facts.tried is None else facts.tried.part)


def _better_rate(facts: Facts) -> float | None:
    """Return the rate that was tried and does far better than the optimizer's own."""
    tried = facts.tried
    if tried is None or tried.best_rate is None:
        return None
    gain, own = tried.start - tried.best_end, tried.start - tried.end
    scale = abs(tried.start)
    return tried.rate if gain > max(3 * own, 0.01 * scale) else None


def _remedy(facts: Facts, better: float | None, tiny: bool) -> str:
    text = "A larger learning rate."
    if better is not None:
        text = f"{about(facts, better, None if facts.tried is None else facts.tried.part)}."
    if facts.far_off:
        text += f" The targets are {prose(facts.distance)} times as large as the answers: rather "
        text += "train on (target - mean) / standard deviation, and undo that on the answers."
    return text + (" Or a smaller eps for the optimizer." if tiny else "")
