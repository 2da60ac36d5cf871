"""The numbers of a remedy: which start, rate, clip value, decay, precision, and which skips."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from .._numbers import count, prose
from .._results import Finding
from . import _thresholds as limit
from ._facts import Facts
from ._judgement import Judgement
from ._starts import Start
from ._words import code, plural, rate

# Progress of a step in trainings that move: the range of the trial.
_MOVES = (10**-2.4, 10**-0.5)
# Where the slope falls below 1 % of its steepest: tanh at 3.0, sigmoid at 6.0.
_FLAT_FROM = {"tanh": 3.0, "sigmoid": 6.0}
_CALLS = {
    "rectifier": 'kaiming_normal_(weight, nonlinearity="relu")',
    "tanh": "orthogonal_(weight, gain=1.05)",
    "sigmoid": "orthogonal_(weight, gain=5)",
    "none": "orthogonal_(weight)",
}


def with_numbers(judgement: Judgement, facts: Facts) -> Judgement:
    """Return the judgement, its remedy with the numbers that were measured for it."""
    finding = judgement.finding
    if finding.remedy.startswith("None") or facts.unfit:
        return judgement
    for add in _BY_TREATMENT.get(finding.treatment, ()):
        finding = add(finding, facts)
    return replace(judgement, finding=finding)


def _more(finding: Finding, words: str, **numbers: float) -> Finding:
    return replace(
        finding,
        remedy=f"{finding.remedy} {words}",
        suggestion={**numbers, **finding.suggestion},
    )


def _start(finding: Finding, facts: Facts) -> Finding:
    """Say which initialisation, for the layer that is furthest from it."""
    named = {start.layer: start for start in facts.starts}
    # Behind saturated units it is the input that is too large, not the start of the layer.
    known = [named[name] for name in finding.layers if name in named] or list(facts.starts)
    if finding.cause == "saturation" or not known:
        return finding
    if finding.cause == "non-finite" and not any(each.spread > each.wanted for each in known):
        return finding  # it is not the start that makes them so large
    # What explodes does so at the weights that are too large, wherever it is the strongest.
    far = [start for start in facts.starts if start.spread > start.wanted]
    grows = finding.cause in ("exploding", "non-finite")
    start = max(far if far and grows else known, key=_distance)
    now = f"; now it is {prose(start.spread)}" if _distance(start) > 0.05 else ""
    before = "" if start.before == "none" else f" before its {_activation(start)}"
    return _more(
        finding,
        f"For {code(start.layer)}{before}: `{_CALLS[start.before]}`, a standard deviation of "
        f"{prose(start.wanted)} with {count(start.inputs)} inputs{now}.",
        gain=start.gain,
        std=start.wanted,
    )


def _distance(start: Start) -> float:
    return abs(math.log10(start.spread / start.wanted)) if start.spread > 0 else math.inf


def _activation(start: Start) -> str:
    return {"rectifier": "ReLU (or one of its kind)"}.get(start.before, start.before)


def _scale(finding: Finding, facts: Facts) -> Finding:
    """Say how much smaller the weights before a saturated activation should be."""
    if finding.cause != "saturation":
        return finding
    sizes = dict(zip((layer.name for layer in facts.layers), facts.sizes, strict=True))
    kinds = {start.layer: start.before for start in facts.starts}
    name = max(finding.layers, key=lambda name: sizes[name])
    flat = _FLAT_FROM.get(kinds.get(name, ""))
    if flat is None or sizes[name] <= 1:
        return finding
    return _more(
        finding,
        f"The outputs of {code(name)} have a root mean square of {prose(sizes[name])} and the flat "
        f"ends begin at {flat:g}: divided by {prose(sizes[name])}, its weights keep them around 1.",
        scale=1 / sizes[name],
    )


def _clip(finding: Finding, facts: Facts) -> Finding:
    """Say which norm to clip at; an optimizer that divides by the gradient does not feel it."""
    if finding.cause not in ("exploding", "lr-too-large") or facts.optimizer != "SGD":
        return finding
    if facts.step is None or not facts.step.planned > 0 or not 0 < facts.gradient < math.inf:
        return finding
    value = facts.gradient * limit.GOOD / facts.step.planned
    return _more(
        finding,
        f"At this rate clip_grad_norm_ would have to clip at {prose(value)} (the norm is "
        f"{prose(facts.gradient)}) for a step to take about {prose(limit.GOOD)} of the loss away.",
        clip_norm=value,
    )


def _rates(finding: Finding, facts: Facts) -> Finding:
    """Say between which rates a first step takes as much of the loss away as healthy ones do."""
    own, step = facts.learning_rate, facts.step
    if not own or step is None or not step.planned > 0:
        return finding
    if facts.rates is not None and len(facts.rates.each) > 1:
        return finding  # a range for each of several would promise more than one step tells
    if step.calls > 1:
        return finding  # and such a step does not grow with the rate
    low, high = (_rounded(own * progress / step.planned) for progress in _MOVES)
    best = finding.suggestion.get("learning_rate")
    if best is not None:
        low, high = min(low, best), max(high, best)
    return _more(
        finding,
        f"To first order, rates from {rate(low)} to {rate(high)} take {prose(_MOVES[0])} to "
        f"{prose(_MOVES[1])} of the loss away at a step.",
        learning_rate_low=low,
        learning_rate_high=high,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.1e}")


def _decay(finding: Finding, facts: Facts) -> Finding:
    """Say which decay would weigh as much as the gradient."""
    if finding.cause != "weight-decay" or facts.step is None or not facts.decay:
        return finding
    if math.isinf(facts.step.decay):
        return finding
    value = _rounded(facts.decay / facts.step.decay)
    return _more(
        finding,
        f"At {rate(value)} instead of {rate(facts.decay)} it would be as large as the gradient's "
        "part of the step.",
        weight_decay=value,
    )


def _precision(finding: Finding, facts: Facts) -> Finding:
    """Say how far the steps lie below what the type of the weights can tell apart."""
    steps = dict(facts.meant)
    known = [(steps[name], name) for name in finding.layers if steps.get(name)]
    dtype = getattr(torch, facts.dtype, None)
    if finding.cause != "precision" or dtype is None or not known:
        return finding
    epsilon = torch.finfo(dtype).eps
    meant, name = min(known)
    return _more(
        finding,
        f"A step of {code(name)} is meant to be {prose(meant)} of its weights, and {facts.dtype} "
        f"tells them apart from {prose(epsilon / 2)} on: rounded stochastically, about "
        f"one step in {count(max(1, round(epsilon / meant)))} moves a weight, and the mean is "
        "right; float32 weights (from 6.0 × 10⁻⁸ on) move at every one."
        if "16" in facts.dtype
        else f"A step of {code(name)} is meant to be {prose(meant)} of its weights, and "
        f"{facts.dtype} tells them apart from {prose(epsilon / 2)} on.",
        relative_step=meant,
        resolution=epsilon / 2,
    )


def _skips(finding: Finding, facts: Facts) -> Finding:
    """Say which skips: the places that `rewire` takes."""
    concerned = set(finding.layers)
    chains = [run for run in facts.places if any(concerned & set(ends) for ends in run)]
    places = tuple(ends for run in chains for ends in run)
    if not places:
        return finding
    first, last = places[0], places[-1]
    text = f"{plural(len(places), 'skip')}: {code(first[0])} to {code(first[1])}"
    text += f" and so on to {code(last[1])}" if len(places) > 1 else ""
    found = _more(
        finding,
        f"{text[0].upper()}{text[1:]}; {_made(plain=not facts.branches)}.",
        skips=float(len(places)),
    )
    return replace(found, skips=places)


def _made(plain: bool) -> str:
    """Say what makes the skips: in a network that has some, `rewire` chooses for itself."""
    if plain:
        return "`skipway.rewire(model, inputs, diagnosis=diagnosis)` makes them"
    return (
        '`skipway.rewire(model, inputs, plan=plan)` makes them, with `plan = skipway.Plan("add", '
        "tuple(skipway.PlannedSkip(*ends) for ends in finding.skips))`"
    )


_BY_TREATMENT: Mapping[str, tuple[Callable[[Finding, Facts], Finding], ...]] = {
    "initialisation": (_start, _scale, _clip),
    "learning-rate": (_rates, _clip),
    "optimizer": (_decay,),
    "precision": (_precision,),
    "skip": (_skips,),
}
