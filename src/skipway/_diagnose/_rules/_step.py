"""Then: what stops the step, though gradient and signal arrive."""

from __future__ import annotations

import math

from ..._numbers import apart, count, prose
from ..._results import Finding
from .. import _thresholds as limit
from .._facts import Facts
from .._judgement import Judgement
from .._stepped import Stepped, Tried, is_stuck
from .._words import code, percent, plural, span
from ._frozen import held_back, held_back_words


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
        summary=f"{percent(step.lost)} of the weights with a gradient do not move at all: at "
        f"{facts.rate_words} their steps are too small for "
        f"{facts.dtype}. In {code(worst.name)} {count(lost)} of "
        f"{plural(worst.with_gradient, 'weight')} {'stays' if lost == 1 else 'stay'} exactly "
        "what they were.",
        place=worst.name,
        main=meant,
    )


def underflow(facts: Facts) -> Judgement | None:
    """Gradients below the smallest number of float16."""
    if not facts.underflow:
        return None
    gone = [layer.name for layer in facts.reached if layer.gradient == 0]
    names = tuple(gone or [layer.name for layer in facts.dying])
    where = span(names, len(facts.layers))
    return Judgement(
        Finding(
            cause="precision",
            title="The gradient is too small for float16",
            place=f"{where}.",
            evidence=f"With the loss multiplied so that it is {count(int(limit.LOUD))}, the "
            "gradient arrives everywhere; as it is, float16 rounds it to zero on its way.",
            remedy="Scale the loss (torch.amp.GradScaler), or compute in bfloat16, whose numbers "
            "go as far down as those of float32.",
            sure="Certain for this batch. Tried with one more pass.",
            treatment="precision",
            layers=names,
        ),
        headline="The gradient is too small for float16.",
        summary=f"{where}: what comes back is below 6 × 10⁻⁸, the smallest number that float16 "
        "knows, and is rounded to zero. The network itself would let it through.",
        place=names[0],
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
    too_large = facts.tried is not None and facts.tried.part is not None
    if not facts.slow or (too_large and learning_rate_too_large(facts) is not None):
        return None  # beside steps that are far too large all others look small
    held = held_back(facts)
    names, many = facts.slow, len(facts.slow) > 1
    where = span(names, len(facts.layers))
    remedy = "Give these layers about the rate of the others."
    if facts.rates is not None and len(facts.rates.each) > 1:
        remedy = "A larger learning rate for the optimizer that holds these layers."
    evidence = f"{_what_is_slow(facts)}{held_back_words(facts)}"
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


def _what_is_slow(facts: Facts) -> str:
    which = plural(len(facts.slow), "layer")
    if facts.rates is None or len(facts.rates.each) < 2:
        return f"The rate of {which} is below a thousandth of the largest."
    return (
        f"At {facts.rate_words}, {which} {'moves' if len(facts.slow) == 1 else 'move'} less "
        "than a thousandth as far as the others, for the size of the weights."
    )


def tried_words(facts: Facts) -> str:
    tried, rates = facts.tried, facts.rates
    if tried is None or rates is None or tried.rate is None or math.isinf(tried.rate_end):
        return ""
    start, own, other = apart(tried.start, tried.end, tried.rate_end)
    if math.isinf(tried.end):
        own = "NaN or infinity"
    elif own == start:
        own = f"{own}, where it was"
    return (
        f" On a copy, {plural(tried.steps, 'step')} take the loss from {start} to "
        f"{own}; {count(tried.best_steps)} at {rates.phrase(tried.rate, tried.part)} take it "
        f"to {other}."
    )


def tried_on(tried: Tried | None) -> str:
    if tried is None or tried.turns == 1:
        return "Certain. Tried on a copy, always on the same batch."
    return f"Certain. Tried on a copy, on {tried.turns} parts of the batch in turn."


def learning_rate_too_large(facts: Facts) -> Judgement | None:
    """Steps that overshoot: the loss goes up, not down."""
    tried = facts.tried
    rates = facts.rates
    if tried is None or facts.step is None or rates is None:
        return None
    if tried.best_rate is None or tried.rate is None or facts.step.steady < limit.SLOW:
        return None
    if not _overshoots(tried, facts.level):
        return None
    if tried.best_rate >= facts.own_rate(tried):
        return None
    whose = _whose(facts, tried.part)
    end = "is NaN or infinite" if math.isinf(tried.end) else f"is {prose(tried.end)}"
    return Judgement(
        Finding(
            cause="lr-too-large",
            title=f"The steps{whose} are too large",
            place="The whole network.",
            evidence=f"To first order one step would take {prose(facts.step.planned)} times the "
            f"loss away; more than all of it cannot be.{tried_words(facts)}"
            if facts.step.planned > 1
            else f"The loss does not fall while the network trains.{tried_words(facts)}",
            remedy=f"{about(facts, tried.rate, tried.part)}{_or_less_memory(facts)}.",
            sure=tried_on(tried),
            treatment="learning-rate",
            suggestion=rates.suggestion(tried.rate, tried.part),
        ),
        headline=f"The steps{whose} are too large.",
        summary=f"At {facts.rate_words} the loss {end} after "
        f"{plural(tried.steps, 'step')} on one batch; it began at {prose(tried.start)}. Each step "
        "jumps across the valley that it should go down. "
        f"At {rates.words(tried.rate, tried.part)} the loss falls.",
        place=facts.layers[-1].name,
    )


def _whose(facts: Facts, part: int | None) -> str:
    return "" if facts.rates is None or part is None else f" of {facts.rates.each[part][0]}"


def about(facts: Facts, value: float, part: int | None) -> str:
    """Say which rate would do."""
    assert facts.rates is not None
    many = len(facts.rates.each) > 1 and part is None
    start = "Learning rates" if many else "A learning rate"
    return f"{start} of about {facts.rates.words(value, part)}"


def _or_less_memory(facts: Facts) -> str:
    if facts.memory <= limit.LONG_MEMORY:
        return ""
    return f", or a shorter memory: this one's mean goes over {facts.memory:.0f} steps"


def _overshoots(tried: Tried, level: float) -> bool:
    """Tell whether a smaller rate does better, even where it was given fewer steps."""
    if tried.end - tried.best_end <= tried.noise:
        return False
    if tried.steps > tried.best_steps:
        # Parts of a batch differ among themselves, whatever the rate.
        margin = (1 - (limit.STUCK if tried.turns == 1 else limit.BETTER)) * abs(level)
        return tried.best_end < level and tried.end > tried.best_end + margin
    good = level - (1 - limit.BETTER) * abs(level)
    return is_stuck(tried, level) and tried.best_end <= good


def weight_decay(facts: Facts) -> Judgement | None:
    """Decay that pulls harder than the gradient."""
    step = facts.step
    # NaN, of a step that is no number, is neither.
    if step is None or not step.decay >= limit.DECAY or little_left(facts):
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


def little_left(facts: Facts) -> bool:
    return facts.skill is not None and facts.skill <= limit.SOLVED
