"""First: what makes every other number meaningless."""

from __future__ import annotations

import math
from dataclasses import replace

from ..._numbers import count
from ..._results import Finding
from .. import _thresholds as limit
from .._facts import Facts
from .._judgement import Judgement
from .._words import code, listed, plural, span

# Of the loss, as much as no step in float64 that gets anywhere takes to first order.
_FAR = 1e3


def non_finite(facts: Facts) -> Judgement | None:
    """NaN or infinity in weights, in the forward or in the backward pass."""
    broken = _broken_by_the_step(facts)
    if not (facts.unfit or facts.non_finite or facts.bad_gradient or broken):
        return None
    place, evidence, remedy = _non_finite_words(facts, broken)
    return Judgement(
        Finding(
            cause="non-finite",
            title="Values are NaN or infinite",
            place=place,
            evidence=evidence,
            remedy=remedy,
            sure="Certain. Every value of the pass was looked at.",
            treatment="precision" if "16" in facts.dtype else "initialisation",
            layers=broken if facts.bad_gradient is None else (facts.bad_gradient,),
        ),
        headline="The numbers stop being numbers.",
        summary=f"{evidence} Nothing can be computed with them, and training ends here."
        if broken
        else f"{evidence} Nothing after it can be computed, and no step can be taken.",
        place=next(iter(broken), facts.bad_gradient or facts.layers[-1].name)
        if facts.layers
        else "",
    )


def _broken_by_the_step(facts: Facts) -> tuple[str, ...]:
    """Return the layers that one step breaks and that the same step in float64 would not."""
    step = facts.step
    if step is None or math.isfinite(step.progress) or not abs(step.planned) <= _FAR:
        return ()
    return tuple(layer.name for layer in facts.layers if not math.isfinite(layer.progress or 0.0))


def _non_finite_words(facts: Facts, broken: tuple[str, ...]) -> tuple[str, str, str]:
    if facts.unfit:
        return (
            listed(facts.unfit),
            f"{plural(len(facts.unfit), 'parameter')} already "
            f"{'holds' if len(facts.unfit) == 1 else 'hold'} NaN or infinity: "
            f"{listed(facts.unfit)}.",
            "Go back to a checkpoint from before it happened, and look at the step after it.",
        )
    if facts.non_finite:
        return (
            facts.non_finite[0].upper() + facts.non_finite[1:],
            f"The first value that is NaN or infinite appears {facts.non_finite}.",
            "Look there for a division by zero, a logarithm or a root of zero, or values that "
            f"outgrow {facts.dtype}. Smaller weights at the start or a normalisation keep them "
            "in range.",
        )
    if facts.bad_gradient is None:
        return _step_words(facts, broken)
    return (
        code(facts.bad_gradient),
        f"The forward pass is finite, but the gradient at {code(facts.bad_gradient)} is NaN or "
        "infinite.",
        "Look behind this layer for a root or a logarithm at zero, whose slope is infinite; add "
        "a small constant inside it.",
    )


def _step_words(facts: Facts, broken: tuple[str, ...]) -> tuple[str, str, str]:
    assert facts.step is not None
    remedy = "Keep the weights in float32 and compute in it what can be (torch.autocast)."
    if facts.step.epsilon is not None and "16" in facts.dtype:
        remedy = (
            f"{facts.optimizer} divides by the root of a mean of squared gradients plus its eps, "
            f"and {facts.dtype} rounds small ones of either to zero. Give a larger eps (1e-4), or "
            "keep the weights in float32 (torch.autocast)."
        )
    return (
        f"{span(broken, len(facts.layers))}.",
        "Weights and gradients are finite, but the optimizer's first step in "
        f"{facts.dtype} makes weights of {plural(len(broken), 'layer')} NaN or infinite.",
        remedy,
    )


def detached(facts: Facts) -> Judgement | None:
    """Layers that would learn, cut off from the loss."""
    if not facts.cut_off:
        return _some_calls(facts)
    layers, total = facts.cut_off, len(facts.layers)
    where = facts.cut or "the way from these layers to the loss"
    many = len(layers) > 1
    found = Judgement(
        Finding(
            cause="detached",
            title="The gradient is cut off",
            place=f"{where[0].upper()}{where[1:]}.",
            evidence=f"{span(layers, total)} {'get' if many else 'gets'} no gradient at all, "
            f"though {'their weights ask' if many else 'its weights ask'} for one.",
            remedy="What it answers with goes forward, and the gradient straight through: "
            "x + (rounded - x).detach()."
            if "slope is zero" in where
            else "Compute the loss in torch all the way from the answers: no torch.tensor(loss), "
            "loss.data, .item() or comparison on the way. A requires_grad_() on it only hides that."
            if where.startswith("a loss")
            else "Take the `detach`, `.data`, `.item()` or `torch.no_grad` out of the way. If "
            "it is meant, freeze these layers with requires_grad_(False), so that it can be read.",
            sure="Certain. The gradient is not small, there is none.",
            treatment="reattach",
            layers=layers,
        ),
        headline="The gradient is cut off.",
        summary=f"No gradient reaches {code(layers[0])}"
        f": {where} lets none through. {plural(len(layers), 'layer')} of {count(total)} "
        f"{'stay' if many else 'stays'} as {'they are' if many else 'it is'}, however long "
        "training lasts.",
        place=layers[0],
    )
    return _beside(found) if facts.cut_beside and not missed(facts) else found


def _beside(judgement: Judgement) -> Judgement:
    finding = replace(
        judgement.finding,
        title="A branch gets no gradient",
        remedy="None while the task does not need it. Otherwise: " + judgement.finding.remedy,
        sure="Certain that it is cut off; another way is whole, and whether this one is missed was "
        "judged by what the network learns without it, if that was tried.",
        treatment="none",
    )
    return replace(judgement, main=False, finding=finding)


def missed(facts: Facts) -> bool:
    """Tell whether what is learned without a branch is of no use for other samples."""
    tried = facts.tried
    return tried is not None and (tried.held_out or 0.0) >= limit.CARRIED_OVER


def _some_calls(facts: Facts) -> Judgement | None:
    if not facts.cut_calls:
        return None
    names, where = facts.cut_calls, facts.cut or "what follows them"
    return Judgement(
        Finding(
            cause="detached",
            title="Some calls get no gradient",
            place=f"{where[0].upper()}{where[1:]}.",
            evidence=f"The gradient of {plural(len(names), 'call')} is cut off: {listed(names)}. "
            "Their layers learn from other calls.",
            remedy="None if it is meant, as a stop-gradient on one of two views, or a recurrence "
            "that is followed back for some steps only. What lies before the cut cannot be "
            "learned through it.",
            sure="Certain that it is cut; whether it is meant only you know.",
            treatment="none",
            layers=names,
        ),
        headline="Some calls get no gradient.",
        summary="",
        place=names[0],
        main=False,
    )
