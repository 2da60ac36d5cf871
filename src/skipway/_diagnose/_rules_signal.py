"""Then: what stops the signal on its way forward, or the gradient on its way back."""

from __future__ import annotations

import math

from .._numbers import count, prose
from .._results import Finding, LayerReading, Treatment
from . import _thresholds as limit
from ._facts import Facts
from ._judgement import Judgement
from ._words import code, decades, percent, plural, power, rate, span


def dead_units(facts: Facts) -> Judgement | None:
    """Layers nearly all of whose units are zero for the whole batch."""
    dead = [layer for layer in facts.layers if (layer.silent or 0) >= limit.SILENT]
    if not dead:
        return None
    blocking = [
        layer
        for layer in dead
        if layer.elasticity == 0 or layer.decades_lost >= limit.FADING
    ]
    worst = max(dead, key=lambda layer: layer.silent or 0)
    names = tuple(layer.name for layer in dead)
    assert worst.silent is not None
    return Judgement(
        Finding(
            cause="dead-units",
            title="Units are switched off for every sample",
            place=f"Behind {span(names, len(facts.layers))}."
            if len(names) != len(facts.layers)
            else f"{span(names, len(facts.layers))}.",
            evidence=f"Behind {code(worst.name)} {percent(worst.silent)} of the units are zero "
            f"for all {count(facts.batch)} samples; where a unit is zero its gradient is too.",
            remedy="Start the biases at zero and the weights after He et al. (kaiming_normal_); "
            "if units die while training, lower the learning rate or use a leaky activation."
            if blocking
            else "None while the gradient gets around these units.",
            sure=f"Certain for this batch of {count(facts.batch)}.",
            treatment="initialisation" if blocking else "none",
            layers=names,
        ),
        headline="Whole layers are switched off.",
        summary=f"Behind {code(worst.name)} {percent(worst.silent)} of the units are zero for "
        f"every one of the {count(facts.batch)} samples. Through a unit that is zero no gradient "
        "comes back, so these units stay as they are.",
        place=worst.name,
        main=bool(blocking),
    )


def saturation(facts: Facts) -> Judgement | None:
    """Layers whose tanh or sigmoid sits on its flat ends."""
    inner = facts.layers[:-1] if (facts.skill or 1) < limit.LEARNED else facts.layers
    known = [layer for layer in inner if layer.saturated is not None]
    stuck = [layer for layer in known if (layer.saturated or 0) >= limit.SATURATED]
    if not stuck or len(stuck) < len(known) / 2:
        return None
    worst = max(stuck, key=lambda layer: layer.saturated or 0)
    assert worst.saturated is not None
    names = tuple(layer.name for layer in stuck)
    return Judgement(
        Finding(
            cause="saturation",
            title="Activations sit on their flat ends",
            place=f"{span(names, len(facts.layers))}.",
            evidence=f"Behind {code(worst.name)} {percent(worst.saturated)} of the values lie "
            "where the activation has less than 1 % of its largest slope.",
            remedy="Make the weights smaller at the start (xavier_normal_), normalise the inputs "
            "or put a normalisation in front of the activation.",
            sure=f"Certain for this batch of {count(facts.batch)}.",
            treatment="initialisation",
            layers=names,
        ),
        headline="The activations are stuck at their ends.",
        summary=f"Behind {code(worst.name)} {percent(worst.saturated)} of the values lie on the "
        "flat ends of the activation. There its slope is next to nothing, and so is every "
        "gradient that has to pass.",
        place=worst.name,
    )


def vanishing(facts: Facts) -> Judgement | None:
    """The gradient shrinks from layer to layer on its way back."""
    dying = facts.dying
    if facts.zero_started and any(math.isinf(layer.decades_lost) for layer in dying):
        return None
    if not dying and not facts.weak_everywhere:
        return None
    if not dying:
        return _shrinking_together(facts)
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
    total, layers = facts.worst.decades_lost, facts.reached
    if math.isinf(total):
        return None
    drops = {
        later.name: earlier.decades_lost - later.decades_lost
        for earlier, later in zip(layers, layers[1:], strict=False)
    }
    name = max(drops, key=lambda each: drops[each], default=None)
    if name is None or drops[name] < limit.SINGLE_LAYER_SHARE * total:
        return None
    return name


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
        what = "a skip across every two steps" if facts.through_time else "Two layers a skip"
        text = "A skip across every two layers"
        if facts.through_time:
            text = f"{what[0].upper()}{what[1:]} of time, or a gated cell (LSTM, GRU)"
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
    where = f"of {code(single)}" if single is not None else "of these layers"
    return (
        f"Start the weights {where} larger (kaiming_normal_ for ReLU, xavier_normal_ for tanh). "
        "The network is not deep enough for a skip to be the first answer."
        if single is None
        else f"Start the weights {where} larger (kaiming_normal_ for ReLU, xavier_normal_ for "
        "tanh), or take out the factor that shrinks the signal there."
    )


def _vanishing_sure(facts: Facts) -> str:
    if facts.relative:
        return (
            "Likely. The loss is not positive, so only the fall along the network can be "
            "judged, not its level."
        )
    if facts.worst.elasticity > limit.WEAK / 10:
        return "Likely. It is near the limit, where Adam still trains and SGD does not."
    return "Certain for this batch; it is measured in float64 and does not depend on the loss's scale."


def _vanishing_summary(facts: Facts, layer: LayerReading) -> str:
    text = f"What reaches {code(layer.name)} is {prose(layer.gradient)}."
    still = dict(facts.unchanged).get(layer.name, 0)
    lost = not layer.moved and layer.with_gradient > 0 and layer.trainable
    if facts.learning_rate is not None and lost and still:
        return (
            f"{text} At a learning rate of {rate(facts.learning_rate)} the step is so small that "
            f"{facts.dtype} rounds it away: {count(still)} of {plural(layer.weights, 'weight')} "
            f"{'stays' if still == 1 else 'stay'} exactly what they were."
        )
    fall = "" if math.isinf(facts.worst.decades_lost) else (
        f" {decades(facts.worst.decades_lost)[0].upper()}{decades(facts.worst.decades_lost)[1:]} "
        f"are lost between {code(facts.layers[-1].name)} and {code(facts.worst.name)}:"
        " the first layers hardly move while the last ones learn."
    )
    return text + (fall or " Nothing of the gradient gets through to the first layers.")


def _shrinking_together(facts: Facts) -> Judgement:
    layer = facts.weakest
    top = max(each.elasticity for each in facts.layers)
    deep = facts.judged_by_depth
    return Judgement(
        Finding(
            cause="vanishing",
            title="Signal and gradient shrink together",
            place=f"{span([each.name for each in facts.layers], len(facts.layers))}.",
            evidence=f"No layer's output matters: at most {prose(top)} of the loss would change "
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


def collapsed_signal(facts: Facts) -> Judgement | None:
    """Deep layers that can no longer tell the samples apart."""
    if facts.arriving is None or facts.arriving >= limit.COLLAPSED:
        return None
    known = [layer for layer in facts.layers if layer.signal is not None]
    low = [layer for layer in known if (layer.signal or 0) < limit.COLLAPSED]
    if not low:
        return None
    first, start = low[0], known[0]
    assert first.signal is not None
    assert start.signal is not None
    same = "What differs between samples is"
    return Judgement(
        Finding(
            cause="collapsed-signal",
            title="All inputs look the same to the deep layers",
            place=f"From {code(first.name)} on.",
            evidence=f"{same} {prose(start.signal)} of the signal at {code(start.name)}, "
            f"{prose(first.signal)} at {code(first.name)} and {prose(facts.arriving)} in what "
            f"{code(facts.layers[-1].name)} reads.",
            remedy="Normalise the inputs, and start biases at zero, so that what the samples "
            "share does not outweigh what tells them apart.",
            sure=f"Certain that it happens in this batch of {count(facts.batch)}.",
            treatment="normalisation",
            layers=tuple(layer.name for layer in low),
        ),
        headline="All inputs look the same to the deep layers.",
        summary=f"{same} {prose(facts.arriving)} of what {code(facts.layers[-1].name)} reads. "
        "With so little to tell them apart, the best it can do is to give one answer to all.",
        place=first.name,
    )


def exploding(facts: Facts) -> Judgement | None:
    """Signal or gradient grow from layer to layer."""
    if facts.relative or (facts.skill is not None and facts.skill < limit.NEARLY_SOLVED):
        return None
    top = max(facts.layers, key=lambda layer: layer.elasticity)
    forward = facts.growth > limit.GROWTH and (facts.skill or 0) > limit.MISSCALED
    if not forward and top.elasticity <= limit.EXPLODING:
        return None
    evidence = (
        f"The signal grows {prose(facts.growth)} times from {code(facts.layers[0].name)} to "
        f"{code(facts.layers[-1].name)}, and the loss is {prose(facts.skill or 0)} times that of "
        "a constant answer."
        if forward
        else f"A change of 1 % at {code(top.name)} would change the loss by "
        f"{prose(top.elasticity)} %."
    )
    return Judgement(
        Finding(
            cause="exploding",
            title="The signal explodes" if forward else "The gradient explodes",
            place=f"{span([each.name for each in facts.layers], len(facts.layers))}."
            if forward
            else f"Strongest at {code(top.name)}.",
            evidence=evidence,
            remedy="Start the weights smaller (kaiming_normal_ for ReLU, xavier_normal_ for tanh) "
            "or normalise each layer; where branches are summed, scale each by one over the root "
            "of their number. Clipping hides it and does not cure it.",
            sure="Certain for this batch.",
            treatment="initialisation",
            layers=(top.name,),
        ),
        headline="The signal explodes on its way forward."
        if forward
        else "The gradient explodes on its way back.",
        summary=f"{evidence} No learning rate fits such a slope: one step that is right for one "
        "layer throws another one far off.",
        place=top.name,
    )
