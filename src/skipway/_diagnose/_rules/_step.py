"""Then: what stops the step, though gradient and signal arrive."""

from __future__ import annotations

import math

from ..._numbers import count, prose
from ..._results import Finding
from .. import _thresholds as limit
from .._facts import Facts, Stepped, Tried, is_stuck
from .._judgement import Judgement
from .._words import code, percent, plural, rate, span
from ._meaning import held_back, held_back_words


def precision(facts: Facts) -> Judgement | None:
    """Updates that rounding swallows."""
    step = facts.step
    if step is None or step.lost < limit.LOST:
        return None
    still = [layer for layer in facts.layers if _lost(layer.with_gradient, layer.moved)]
    if not still:
        return None
    worst = min(still, key=lambda layer: layer.step or 0.0)
    meant = step.planned >= limit.TOO_SLOW and step.progress < limit.LOST_PROGRESS * step.planned
    names = tuple(layer.name for layer in still)
    lost = worst.with_gradient - (worst.moved or 0)
    return Judgement(
        Finding(
            cause="precision",
            title="Updates are rounded away",
            place=f"{span(names, len(facts.layers))}.",
            evidence=f"{percent(step.lost).capitalize()} of the weights that have a gradient stay "
            f"exactly what they were. In {code(worst.name)} these are {count(lost)} of "
            f"{count(worst.with_gradient)}.{_lost_progress(step, facts.dtype)}",
            remedy=f"Keep the weights in float32 and compute in {facts.dtype} (torch.autocast); "
            "or round stochastically; or sum up what rounding loses (Kahan)."
            if "16" in facts.dtype
            else "Keep a copy of the weights in float64, or take larger steps.",
            sure="Certain. Counted weight by weight, before and after the step.",
            treatment="precision",
            layers=names,
        ),
        headline="The updates are lost to rounding.",
        summary=f"{percent(step.lost)} of the weights with a gradient do not move at all: at a "
        f"learning rate of {rate(facts.learning_rate or 0.0)} their steps are too small for "
        f"{facts.dtype}. In {code(worst.name)} {count(lost)} of "
        f"{plural(worst.with_gradient, 'weight')} {'stays' if lost == 1 else 'stay'} exactly "
        "what they were.",
        place=worst.name,
        main=meant,
    )


def _lost_progress(step: Stepped, dtype: str) -> str:
    """Say what rounding takes from the step, where that is to be seen in two digits."""
    planned, left = prose(step.planned), prose(max(step.progress, 0.0))
    if planned == left:
        return ""
    return f" The step would take {planned} of the loss away; rounded to {dtype} it takes {left}."


def _lost(with_gradient: int, moved: int | None) -> bool:
    if moved is None or not with_gradient:
        return False
    return with_gradient - moved >= limit.LOST * with_gradient


def part_too_slow(facts: Facts) -> Judgement | None:
    """Layers of a group whose rate is next to nothing beside that of others."""
    if not facts.slow:
        return None
    held = held_back(facts)
    names, many = facts.slow, len(facts.slow) > 1
    where = span(names, len(facts.layers))
    remedy = "Give these layers about the rate of the others."
    evidence = f"The rate of {plural(len(names), 'layer')} is below {percent(limit.SLOW_GROUP)} of "
    evidence += f"the largest.{held_back_words(facts)}"
    return Judgement(
        Finding(
            cause="lr-too-small",
            title="A part learns at next to no rate",
            place=f"{where}.",
            evidence=evidence,
            remedy=remedy
            if held
            else f"None if it is meant, as in fine-tuning. Otherwise: {remedy}",
            sure="Certain. Tried on a copy."
            if held
            else "Certain that the rates are so far apart; whether it is meant only you know.",
            treatment="learning-rate" if held else "none",
            layers=names,
        ),
        headline="A part of the network learns at next to no rate.",
        summary=f"{where} {'stand' if many else 'stands'} all but still while the others learn. "
        f"{evidence}",
        place=names[0],
        main=held,
    )


def _no_rate(facts: Facts) -> Judgement:
    return Judgement(
        Finding(
            cause="lr-too-small",
            title="The learning rate is zero",
            place="The whole network.",
            evidence="Every group of the optimizer has a learning rate of 0: no weight moves.",
            remedy="None if the schedule raises it. Diagnose again after its first steps."
            if facts.scheduled
            else "A learning rate above zero.",
            sure="Certain at this step; a schedule sets the rate."
            if facts.scheduled
            else "Certain.",
            treatment="none" if facts.scheduled else "learning-rate",
        ),
        headline="The learning rate is zero.",
        summary="The gradient arrives and the optimizer multiplies it by zero. Nothing learns.",
        place=facts.weakest.name,
        main=not facts.scheduled,
    )


def learning_rate_too_small(facts: Facts) -> Judgement | None:
    """Steps that take next to nothing off the loss."""
    step = facts.step
    if facts.stopped and step is not None and not _little_left(facts):
        return _no_rate(facts)
    if step is None or not step.steady < limit.SLOW or _little_left(facts):
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
    return Judgement(
        Finding(
            cause="lr-too-small",
            title="The steps are too small",
            place="The whole network.",
            evidence=evidence + _tried_words(facts.tried),
            remedy=_remedy(better, tiny),
            sure=_tried_on(facts.tried)
            if better is not None
            else "Likely. Judged from one step; no larger one was tried.",
            treatment="learning-rate",
            suggestion={} if better is None else {"learning_rate": better},
        ),
        headline="The steps are too small to learn from.",
        summary=f"At a learning rate of {rate(facts.learning_rate or 0.0)} one step takes "
        f"{prose(max(step.steady, 0.0))} of the loss away. The gradient arrives everywhere; "
        "what is missing is the size of the step."
        + (f" At {rate(better)} the loss falls." if better is not None else ""),
        place=facts.weakest.name,
    )


def _little_left(facts: Facts) -> bool:
    return facts.skill is not None and facts.skill <= limit.SOLVED


def _better_rate(facts: Facts) -> float | None:
    """Return the rate that was tried and does far better than the optimizer's own."""
    tried = facts.tried
    if tried is None or tried.best_rate is None:
        return None
    gain, own = tried.start - tried.best_end, tried.start - tried.end
    scale = abs(tried.start)
    return tried.best_rate if gain > max(3 * own, 0.01 * scale) else None


def _tried_words(tried: Tried | None) -> str:
    if tried is None or tried.best_rate is None or math.isinf(tried.best_end):
        return ""
    own = "NaN or infinity" if math.isinf(tried.end) else prose(tried.end)
    if own == prose(tried.start):
        own = f"{own}, where it was"
    return (
        f" On a copy, {plural(tried.steps, 'step')} take the loss from {prose(tried.start)} to "
        f"{own}; {count(tried.best_steps)} at a learning rate of {rate(tried.best_rate)} take it "
        f"to {prose(tried.best_end)}."
    )


def _tried_on(tried: Tried | None) -> str:
    if tried is None or tried.turns == 1:
        return "Certain. Tried on a copy, always on the same batch."
    return f"Certain. Tried on a copy, on {tried.turns} parts of the batch in turn."


def _remedy(better: float | None, tiny: bool) -> str:
    text = "A larger learning rate."
    if better is not None:
        text = f"A learning rate of about {rate(better)}."
    return text + (" Or a smaller eps for the optimizer." if tiny else "")


def learning_rate_too_large(facts: Facts) -> Judgement | None:
    """Steps that overshoot: the loss goes up, not down."""
    tried = facts.tried
    if tried is None or facts.step is None:
        return None
    if tried.best_rate is None or facts.step.steady < limit.SLOW:
        return None
    if not _overshoots(tried, facts.level):
        return None
    if tried.best_rate >= (facts.learning_rate or 0.0):
        return None
    end = "is NaN or infinite" if math.isinf(tried.end) else f"is {prose(tried.end)}"
    return Judgement(
        Finding(
            cause="lr-too-large",
            title="The steps are too large",
            place="The whole network.",
            evidence=f"To first order one step would take {prose(facts.step.planned)} times the "
            f"loss away; more than all of it cannot be.{_tried_words(tried)}"
            if facts.step.planned > 1
            else f"The loss does not fall while the network trains.{_tried_words(tried)}",
            remedy=f"A learning rate of about {rate(tried.best_rate)}.",
            sure=_tried_on(tried),
            treatment="learning-rate",
            suggestion={"learning_rate": tried.best_rate},
        ),
        headline="The steps are too large.",
        summary=f"At a learning rate of {rate(facts.learning_rate or 0.0)} the loss {end} after "
        f"{plural(tried.steps, 'step')} on one batch; it began at {prose(tried.start)}. Each step "
        "jumps across the valley that it should go down. "
        f"At {rate(tried.best_rate)} the loss falls.",
        place=facts.layers[-1].name,
    )


def _overshoots(tried: Tried, level: float) -> bool:
    """Tell whether a smaller rate does better, even where it was given fewer steps."""
    if tried.steps > tried.best_steps:
        # Parts of a batch differ among themselves, whatever the rate.
        margin = (1 - (limit.STUCK if tried.turns == 1 else limit.BETTER)) * abs(level)
        return tried.best_end < level and tried.end > tried.best_end + margin
    good = level - (1 - limit.BETTER) * abs(level)
    return is_stuck(tried, level) and tried.best_end <= good


def weight_decay(facts: Facts) -> Judgement | None:
    """Decay that pulls harder than the gradient."""
    step = facts.step
    if step is None or step.decay < limit.DECAY or _little_left(facts):
        return None
    times = "only the decay moves" if math.isinf(step.decay) else f"{prose(step.decay)} times"
    return Judgement(
        Finding(
            cause="weight-decay",
            title="Weight decay outweighs the gradient",
            place="The whole network.",
            evidence=f"Weight decay's part of the step is {times} the size of the gradient's."
            if not math.isinf(step.decay)
            else "Weight decay moves the weights and the gradient does not.",
            remedy="A smaller weight_decay, and none for biases and normalisations.",
            sure="Likely. Measured exactly for this step; that it stalls the training was not "
            "tried.",
            treatment="optimizer",
        ),
        headline="Weight decay outweighs the gradient.",
        summary="Every step pulls the weights towards zero harder than the gradient pulls them "
        f"towards a lower loss: {times}. What the network learns, it forgets."
        if not math.isinf(step.decay)
        else "Every step pulls the weights towards zero, and nothing else moves them.",
        place=facts.weakest.name,
    )
