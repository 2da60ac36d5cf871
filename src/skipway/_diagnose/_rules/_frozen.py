"""Weights that cannot move: frozen, held by no optimizer, or unknown to the model itself."""

from __future__ import annotations

from ..._numbers import count, prose
from ..._results import Finding
from .. import _thresholds as limit
from .._facts import Facts
from .._judgement import Judgement
from .._words import code, listed, percent, plural, span


def frozen(facts: Facts) -> Judgement | None:
    """Layers that do not require a gradient, or that the optimizer does not hold."""
    still = {*facts.frozen, *facts.unheld}
    if not still:
        return None
    names = tuple(layer.name for layer in facts.layers if layer.name in still)
    weights = sum(layer.weights for layer in facts.layers)
    fixed = sum(layer.weights for layer in facts.layers if layer.name in still)
    head_still = facts.layers[-1].name in still
    main = fixed == weights or (head_still and fixed > weights / 2) or held_back(facts)
    # What is free to learn and is zero on every way stands still by itself.
    main = main and not facts.zero_throughout
    if not main and not facts.unheld and not facts.frozen:
        return None
    return Judgement(
        _frozen_finding(facts, names, fixed, weights, main),
        headline="The weights that should learn are frozen.",
        summary=f"{count(fixed)} of {count(weights)} weights cannot move, those of "
        + (f"the last layer, {code(names[-1])}," if head_still else f"{code(names[-1])}")
        + f" among them. {_why(facts)} {_left(facts, weights - fixed, head_still)}",
        place=names[-1],
        main=main,
    )


def unregistered(facts: Facts) -> Judgement | None:
    """Weights that would learn and that `parameters()` does not list."""
    if not facts.unregistered:
        return None
    known = sum(layer.weights for layer in facts.layers)
    size = sum(each for _, each in facts.unregistered)
    names = [name for name, _ in facts.unregistered]
    many = len(names) > 1
    evidence = f"{listed(names)} {'get' if many else 'gets'} a gradient and {'ask' if many else ''}"
    evidence += f"{'' if many else 'asks'} for one, but model.parameters() does not list "
    evidence += f"{'them' if many else 'it'}: {count(size)} weights beside {count(known)} that it "
    evidence += "does."
    return Judgement(
        Finding(
            cause="frozen",
            title="Weights that nobody knows of",
            place=f"{listed(names)}.",
            evidence=evidence,
            remedy="Keep layers in nn.ModuleList or nn.ModuleDict instead of a list or dict, and "
            "tensors as nn.Parameter, not as what an operation on one returns. If they are not to "
            "learn, say so with requires_grad_(False).",
            sure="Certain that no optimizer built from model.parameters() moves them, and that "
            "state_dict() leaves them out.",
            treatment="optimizer",
        ),
        headline="Weights that should learn are not the model's.",
        summary=f"{evidence} An optimizer built from it never moves them.",
        place=facts.layers[-1].name,
        main=size > known,
    )


def _left(facts: Facts, weights: int, head_still: bool) -> str:
    if held_back(facts):
        return "Where everything may learn the loss falls, and as it is hardly."
    if not weights:
        return "Nothing is left to learn with."
    behind = ", in front of a last layer that stands still" if head_still else ""
    return f"{plural(weights, 'weight')} {'is' if weights == 1 else 'are'} left to learn{behind}."


def held_back(facts: Facts) -> bool:
    """Tell whether the loss falls when everything may learn, and only then."""
    tried = facts.tried
    if tried is None or tried.unfrozen is None:
        return False
    gain, own = tried.start - tried.unfrozen, tried.start - tried.end
    falls = tried.unfrozen < facts.level - (1 - limit.STUCK) * abs(facts.level)
    return falls and gain > 3 * own


def held_back_words(facts: Facts) -> str:
    tried = facts.tried
    if tried is None or tried.unfrozen is None or not held_back(facts):
        return ""
    return (
        f" On a copy, {plural(tried.steps, 'step')} take the loss from {prose(tried.start)} to "
        f"{prose(tried.end)}; with everything free to learn, to {prose(tried.unfrozen)}."
    )


def _frozen_finding(
    facts: Facts, names: tuple[str, ...], fixed: int, weights: int, main: bool
) -> Finding:
    remedy = "Call requires_grad_(True) on the layers that should learn"
    remedy += ", the last one first, and give their parameters to the optimizer."
    if facts.unheld and not facts.frozen:
        remedy = "Build the optimizer from all parameters that should learn, after the last "
        remedy += "layer was exchanged."
    exchanged = facts.exchanged and not facts.frozen
    evidence = f"{count(fixed)} of {count(weights)} weights ({percent(fixed / weights)}) stay as "
    evidence += f"they are. {_why(facts)}{held_back_words(facts)}"
    if exchanged:
        evidence += " In their place it holds some of the same shapes that are of no layer here."
    return Finding(
        cause="frozen",
        title="Weights cannot move" if main else "Some layers are frozen",
        place=f"{span(names, len(facts.layers))}.",
        evidence=evidence,
        remedy=remedy
        if main or exchanged
        else f"None if it is meant, as in fine-tuning. Otherwise: {remedy}",
        sure=_frozen_sure(facts, main or exchanged),
        treatment="optimizer" if facts.unheld and not facts.frozen else "unfreeze",
        layers=names,
    )


def _frozen_sure(facts: Facts, main: bool) -> str:
    if not main:
        return "Certain that they stay; whether it is meant only you know."
    return "Certain. Tried on a copy." if held_back(facts) else "Certain."


def _why(facts: Facts) -> str:
    parts = []
    if facts.frozen:
        parts.append(f"{plural(len(facts.frozen), 'layer')} with requires_grad=False")
    if facts.unheld:
        several = facts.rates is not None and len(facts.rates.each) > 1
        holds = "no optimizer holds" if several else "the optimizer does not hold"
        parts.append(f"{plural(len(facts.unheld), 'layer')} that {holds}")
    return f"There {'is' if parts[0].startswith('1 ') else 'are'} {' and '.join(parts)}."
