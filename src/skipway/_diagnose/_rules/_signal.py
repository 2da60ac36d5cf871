"""Then: what stops the signal on its way forward, or the gradient on its way back."""

from __future__ import annotations

from dataclasses import replace

from ..._numbers import count, prose
from ..._results import Finding, LayerReading
from .. import _thresholds as limit
from .._facts import Facts
from .._judgement import Judgement
from .._stepped import falls_short, is_stuck
from .._words import code, percent, plural, span


def dead_units(facts: Facts) -> Judgement | None:
    """Layers nearly all of whose units are off for the whole batch."""
    # What weights of exactly zero hand on is no unit's fault.
    dead = [each for each in facts.layers if (each.silent or 0) >= limit.SILENT and each.weight]
    if not dead:
        return None
    blocking = [
        layer for layer in dead if layer.elasticity == 0 or layer.decades_lost >= limit.FADING
    ]
    around = facts.arriving is not None and not facts.collapsed and facts.passable
    if around and any(layer.elasticity > 0 for layer in facts.layers):
        blocking = []  # the signal gets around them
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
            evidence=f"Behind {code(worst.name)}, {percent(worst.silent)} of the units are off for "
            f"all {count(facts.batch)} samples: zero, or where their activation has less than 1 % "
            "of its steepest slope.",
            remedy="Start the biases at zero and the weights after He et al. (kaiming_normal_); "
            "if units die while training, lower the learning rate or use a leaky activation."
            if blocking
            else "None while the gradient gets around these units.",
            sure=f"Certain for this batch of {count(facts.batch)}.",
            treatment="initialisation" if blocking else "none",
            layers=names,
        ),
        headline="Whole layers are switched off.",
        summary=f"Behind {code(worst.name)}, {percent(worst.silent)} of the units are off for "
        f"every one of the {count(facts.batch)} samples. Through a unit that is off no gradient "
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
            evidence=f"Behind {code(worst.name)}, {percent(worst.saturated)} of the values lie "
            "where the activation has less than 1 % of its largest slope.",
            remedy="Make the weights smaller at the start (xavier_normal_), normalise the inputs "
            "or put a normalisation in front of the activation.",
            sure=f"Certain for this batch of {count(facts.batch)}.",
            treatment="initialisation",
            layers=names,
        ),
        headline="The activations are stuck at their ends.",
        summary=f"Behind {code(worst.name)}, {percent(worst.saturated)} of the values lie on the "
        "flat ends of the activation. There its slope is next to nothing, and so is every "
        "gradient that has to pass.",
        place=worst.name,
    )


def exploding(facts: Facts) -> Judgement | None:
    """Signal or gradient grow from layer to layer, beyond doubt."""
    if facts.draws and facts.undecided:
        return None  # dropout multiplies what it leaves
    if facts.drowned and _forward(facts):
        return None
    if _forward(facts) or _steepest(facts).weight_elasticity > limit.SURELY_EXPLODING:
        return _exploding(facts)
    return None


def growing(facts: Facts) -> Judgement | None:
    """The gradient grows on its way back, so far that a few steps have to tell."""
    size = _steepest(facts).weight_elasticity
    if _forward(facts) or not limit.EXPLODING < size <= limit.SURELY_EXPLODING:
        return None
    tried = facts.tried
    if tried is None:
        found = _exploding(facts)
        sure = "Suspected. Some networks train with such slopes; no step was tried."
        return found and replace(found, finding=replace(found.finding, sure=sure), main=False)
    learns = min(tried.end, tried.best_end) <= limit.BETTER * tried.start
    return None if learns else _exploding(facts)


def drowned(facts: Facts) -> Judgement | None:
    """Answers that are noise of the network's own, and steps that do not change that."""
    if not facts.drowned or not falls_short(facts.tried, facts.level):
        return None
    last = facts.layers[-1].name
    evidence = f"{percent(facts.noise).capitalize()} of what differs between the answers to two "
    evidence += "samples differs as much between two passes of one sample."
    return Judgement(
        Finding(
            cause="collapsed-signal",
            title="Noise drowns what tells the samples apart",
            place=f"In what {code(last)} answers.",
            evidence=f"{evidence} Steps on a copy do not bring the loss down, at this learning "
            "rate or another.",
            remedy="Less dropout, or, where the network draws samples, a lighter weight of what "
            "pulls them towards one distribution.",
            sure="Likely. Two passes were compared, and a few steps tried.",
            treatment="data",
            layers=(last,),
        ),
        headline="Noise drowns what tells the samples apart.",
        summary=f"{evidence} Next to that, what the inputs say goes under.",
        place=last,
    )


def far_targets(facts: Facts) -> Judgement | None:
    """Targets of another size than the answers, by thousands, that no step gets to."""
    tried, step = facts.tried, facts.step
    if not facts.far_off or step is None or step.steady < limit.SLOW:
        return None
    if tried is None or not is_stuck(tried, tried.start):
        return None
    last = facts.layers[-1].name
    evidence = f"The targets are {prose(facts.distance)} times as large as what {code(last)} "
    evidence += f"answers, and {plural(tried.steps, 'step')} on a copy do not bring the loss down."
    return Judgement(
        Finding(
            cause="exploding",
            title="The targets are in another unit",
            place=f"Behind {code(last)}.",
            evidence=evidence,
            remedy="Train on (target - mean) / standard deviation, and undo that on the answers.",
            sure="Likely. Tried on a copy, always on the same batch."
            if tried.turns == 1
            else f"Likely. Tried on a copy, on {tried.turns} parts of the batch in turn.",
            treatment="normalisation",
            layers=(last,),
        ),
        headline="The targets are in another unit than the answers.",
        summary=f"{evidence} Steps that are large enough to get there are far too large for the "
        "weights of a network whose signals are about one in size.",
        place=last,
    )


def oversized(facts: Facts) -> Judgement | None:
    """A loss far above that of a constant answer that no step tried brings down to it."""
    tried = facts.tried
    if tried is None or facts.same_targets or not (facts.skill or 0) > limit.MISSCALED:
        return None
    if min(tried.end, tried.best_end) < facts.level:
        return None
    # Targets far from zero cost as much, until one bias has grown as large.
    if facts.shifted is not None and facts.shifted <= limit.MISSCALED * (facts.chance or 0.0):
        return None
    top = _steepest(facts)
    evidence = (
        f"The loss is {prose(facts.skill or 0)} times that of a constant answer, and "
        f"{plural(tried.steps, 'step')} on one batch, at this learning rate or another, do not "
        "bring it below that."
    )
    return Judgement(
        Finding(
            cause="exploding",
            title="The values are too large from the start",
            place=f"From {code(facts.layers[0].name)} on.",
            evidence=evidence,
            remedy="Bring every input to about one in size (one column that is thousands of times "
            "larger than the others is enough to do this), and the targets of a regression too.",
            sure="Likely. Measured on one batch; which value it is was not looked for.",
            treatment="normalisation",
            layers=(top.name,),
        ),
        headline="The values are too large to learn from.",
        summary=f"{evidence} It does not grow within the network, so it comes in too large.",
        place=facts.layers[0].name,
    )


def _forward(facts: Facts) -> bool:
    return facts.growth > limit.GROWTH and (facts.skill or 0) > limit.MISSCALED


def _steepest(facts: Facts) -> LayerReading:
    return max(facts.layers, key=lambda layer: layer.weight_elasticity)


def _exploding(facts: Facts) -> Judgement | None:
    if facts.relative or (facts.skill is not None and facts.skill < limit.NEARLY_SOLVED):
        return None
    top, forward = _steepest(facts), _forward(facts)
    evidence = (
        f"The signal grows {prose(facts.growth)} times from {code(facts.layers[0].name)} to "
        f"{code(facts.layers[-1].name)}, and the loss is {prose(facts.skill or 0)} times that of "
        "a constant answer."
        if forward
        else f"A change of the weights of {code(top.name)} by 1 % would change the loss by "
        f"{prose(top.weight_elasticity)} %."
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
