"""Depth: the gradient that shrinks from layer to layer on its way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ..._numbers import count, prose
from ..._results import Finding, LayerReading, Treatment
from .. import _thresholds as limit
from .._facts import Facts
from .._judgement import Judgement
from .._words import code, decades, plural, power, span
from ._meaning import missed


def vanishing(facts: Facts) -> Judgement | None:
    """The gradient shrinks from layer to layer on its way back."""
    dying = facts.dying
    if facts.underflow or facts.unanswered or facts.starved_at:
        return None
    if facts.zero_started and any(math.isinf(layer.decades_lost) for layer in dying):
        return None
    # Of targets that are thousands of times larger no answer takes much of the loss.
    weak = facts.weak_everywhere and not facts.far_off
    if facts.dying_beside or (not dying and not weak):
        return None
    if not dying:
        return _shrinking_together(facts)
    found = _judgement(facts)
    return nearly(found) if facts.hardly_dying and facts.bearable else found


def nearly(judgement: Judgement) -> Judgement:
    """Return a judgement that is near its limit and does not stop the training."""
    finding = replace(
        judgement.finding,
        remedy="None while the network learns.",
        sure="Certain that it is so; it is near the limit, and not what holds this training back.",
        treatment="none",
    )
    return replace(judgement, finding=finding, main=False)


def vanishing_beside(facts: Facts) -> Judgement | None:
    """Layers that the gradient does not reach beside a whole way, and whether they are missed."""
    if not facts.dying_beside or all((each.silent or 0) >= limit.SILENT for each in facts.dying):
        return None
    if facts.zero_started and any(math.isinf(layer.decades_lost) for layer in facts.dying):
        return None  # what lies before a weight of zero gets its gradient with the second step
    judgement = _judgement(facts)
    if missed(facts):
        return judgement
    time = facts.through_time
    finding = replace(
        judgement.finding,
        title="The first steps of time are forgotten"
        if time
        else f"A branch gets {'little' if facts.hardly_dying else 'no'} gradient",
        remedy="None while the task does not need them. Otherwise a gated cell (LSTM, GRU) whose "
        "forget gate starts open, or a skip across every two steps of time."
        if time
        else "None while the task does not need it. Otherwise start its weights larger.",
        sure=f"Certain that {'little of ' if facts.hardly_dying else ''}the gradient "
        f"{'reaches' if facts.hardly_dying else 'does not reach'} them; another way gets a whole "
        "one.",
        treatment="none",
    )
    return replace(judgement, main=False, finding=finding)


def _judgement(facts: Facts) -> Judgement:
    dying = facts.dying
    layer, single = facts.weakest, _single_layer(facts)
    names = tuple(each.name for each in sorted(dying, key=lambda each: each.elasticity))
    treatment = _treatment(facts, single)
    return Judgement(
        Finding(
            cause="vanishing",
            title=_vanishing_title(facts, single),
            place=_vanishing_place(facts, single),
            evidence=_vanishing_evidence(facts),
            remedy=_vanishing_remedy(facts, treatment, single),
            sure=_vanishing_sure(facts),
            treatment=treatment,
            layers=names,
        ),
        headline="The gradient dies on its way back.",
        summary=_vanishing_summary(facts, layer),
        place=layer.name,
    )


def _single_layer(facts: Facts) -> str | None:
    """Return the layer at which most of the decades are lost, if there is one."""
    names = [layer.name for layer in facts.layers]
    sizes = facts.sizes[:-1]  # a bias gives the last layer an output, whatever it reads
    if min(sizes, default=1.0) <= 0:
        return None
    if sizes and min(sizes) < limit.SHRINKING * sizes[0]:
        # Where the signal shrinks, elasticity only shows it where a bias drowns the rest.
        return _one_step(names, [-math.log10(size) for size in sizes])
    return _one_step(names, [-layer.decades_lost for layer in facts.layers])


def _one_step(names: Sequence[str], heights: Sequence[float]) -> str | None:
    """Return the name at which `heights` climbs, if one step makes most of the climb."""
    if not all(math.isfinite(height) for height in heights):
        return None
    climbs = [after - before for before, after in pairwise(heights)]
    if not climbs or max(climbs) < limit.SINGLE_LAYER_SHARE * (max(heights) - min(heights)):
        return None
    return names[1 + climbs.index(max(climbs))]


def _treatment(facts: Facts, single: str | None) -> Treatment:
    if single is not None or not facts.judged_by_depth:
        return "initialisation"
    identities = [skip for skip in facts.skips if skip.kind in ("identity", "concatenation")]
    # With skips across most of its layers already, another one changes nothing.
    return "normalisation" if len(identities) * 4 > len(facts.layers) else "skip"


def _vanishing_title(facts: Facts, single: str | None) -> str:
    if single is not None:
        return f"The gradient is lost at {code(single)}"
    if facts.through_time:
        return "The gradient vanishes through time"
    return "The gradient vanishes through depth"


def _vanishing_place(facts: Facts, single: str | None) -> str:
    last, worst = facts.layers[-1].name, facts.worst
    if single is not None:
        return f"{code(single)}: what arrives behind it does not get past it."
    steps = max(1, sum(1 for layer in facts.layers if layer.elasticity >= worst.elasticity) - 1)
    if math.isinf(worst.decades_lost):
        return f"{code(last)} to {code(worst.name)}."
    each = worst.decades_lost / steps
    what = "step of time" if facts.through_time else "layer"
    return (
        f"{code(last)} to {code(worst.name)}, about {prose(each)} decades at each {what}. No "
        f"single {what} is to blame."
    )


def _vanishing_evidence(facts: Facts) -> str:
    worst = facts.worst
    top = max(layer.elasticity for layer in facts.layers)
    text = f"The elasticity falls from {prose(top)} to {prose(worst.elasticity)}"
    if not math.isinf(worst.decades_lost):
        text += f", {decades(worst.decades_lost)}"
    text += f". More than {limit.DYING:g} counts as dying: "
    dying = len(facts.dying)
    return f"{text}{count(dying)} of {plural(len(facts.layers), 'layer')}."


def _vanishing_remedy(facts: Facts, treatment: Treatment, single: str | None) -> str:
    if treatment == "skip":
        text = "A skip across every two layers"
        if facts.through_time:
            text = "A skip across every two steps of time, or a gated cell (LSTM, GRU)"
        lost = facts.worst.decades_lost
        if facts.learning_rate and not math.isinf(lost):
            text += ". No learning rate would do: it would have to be about "
            text += f"{power(lost)} times larger for the first layers"
        return f"{text}."
    if treatment == "normalisation":
        return (
            "The network has skips already, and the stream itself shrinks. Keep the skip path "
            "free of factors below one, or put a normalisation in front of each block."
        )
    larger = "larger (kaiming_normal_ for ReLU, xavier_normal_ for tanh)"
    if single is not None:
        return (
            f"Start the weights of {code(single)} {larger}, or take out the factor that shrinks "
            "the signal there."
        )
    return (
        f"Start the weights of these layers {larger}. The network is not deep enough for a skip "
        "to be the first answer."
    )


def _vanishing_sure(facts: Facts) -> str:
    if facts.relative:
        return (
            "Likely. The loss is not positive, so only the fall along the network can be "
            "judged, not its level."
        )
    if facts.worst.elasticity > limit.WEAK / 10:
        return "Likely. It is near the limit, where Adam still trains and SGD does not."
    return "Certain for this batch. Measured in float64; the scale of the loss does not matter."


def _vanishing_summary(facts: Facts, layer: LayerReading) -> str:
    text = f"The gradient reaching {code(layer.name)} is {prose(layer.gradient)}."
    still = dict(facts.unchanged).get(layer.name, 0)
    lost = not layer.moved and layer.with_gradient > 0 and layer.trainable
    if facts.learning_rate is not None and lost and still:
        return (
            f"{text} At {facts.rate_words} the step is so small that "
            f"{facts.dtype} rounds it away: {count(still)} of {plural(layer.weights, 'weight')} "
            f"{'stays' if still == 1 else 'stay'} exactly what they were."
        )
    worst = facts.worst
    if math.isinf(worst.decades_lost):
        return (
            f"{text} At {code(worst.name)} nothing is left of it: what comes back through the "
            f"layers is too small for {facts.dtype} to hold."
        )
    return (
        f"{text} {decades(worst.decades_lost)} are lost between {code(facts.layers[-1].name)} "
        f"and {code(worst.name)}: the first layers hardly move while the last ones learn."
    )


def _shrinking_together(facts: Facts) -> Judgement:
    layer = facts.weakest
    top = max(each.elasticity for each in facts.layers)
    zero = sum(1 for each in facts.reached if each.weight == 0)
    deep = facts.judged_by_depth and not zero
    return Judgement(
        Finding(
            cause="vanishing",
            title="Weights are zero" if zero else "Signal and gradient shrink together",
            place=f"{span([each.name for each in facts.layers], len(facts.layers))}.",
            evidence=f"All weights of {plural(zero, 'layer')} are exactly zero, so nothing comes "
            "through forward or back."
            if zero
            else f"No layer's output matters: at most {prose(top)} of the loss would change "
            "with it. Forward the signal shrinks, backward the gradient, so the first and the "
            "last layer look alike.",
            remedy="A skip across every two layers, or larger weights at the start."
            if deep
            else "Start the weights larger (kaiming_normal_ for ReLU, xavier_normal_ for tanh).",
            sure="Certain for this batch.",
            treatment="skip" if deep else "initialisation",
            layers=(layer.name,),
        ),
        headline="The gradient dies on its way back.",
        summary=f"What reaches {code(layer.name)} is {prose(layer.gradient)}. The signal fades "
        "on its way forward and the gradient on its way back, so no layer has a say in the loss.",
        place=layer.name,
    )
