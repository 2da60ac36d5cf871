"""Branches beside a way that is whole, which hides dead ones from every norm over the depth."""

from __future__ import annotations

import math

from ..._numbers import prose
from ..._results import Finding
from .. import _thresholds as limit
from .._facts import Branch, Facts
from .._judgement import Judgement
from .._words import code, decades, listed, percent, plural

_REATTACHED = (
    "Take the `detach`, `.data` or `torch.no_grad` out of the branch, or give it a loss of its "
    "own from before the cut: a codebook learns from ||code - x.detach()||, and not from what is "
    "passed straight through. If it is meant, freeze these weights with requires_grad_(False)."
)


def dead_branches(facts: Facts) -> Judgement | None:
    """Branches none of whose weights could change the loss."""
    dead = [each for each in facts.branches if _powerless(each) or (each.blank and not _long(each))]
    if not dead:
        return None
    if all(set(each.layers) <= set(facts.cut_off) for each in dead):
        return None  # another finding says so, and whether they are missed
    silent = {layer.name for layer in facts.layers if (layer.silent or 0) >= limit.SILENT}
    off = all(silent & set(branch.layers) for branch in dead)
    worst = min(dead, key=lambda branch: (not _powerless(branch), branch.reach))
    what = _what(dead)
    cut = all(each.cut for each in dead)
    main = len(dead) > limit.MOST_BRANCHES * len(facts.branches)
    return Judgement(
        Finding(
            cause="detached" if cut else "dead-units" if off else "vanishing",
            title=f"{'A branch' if len(dead) == 1 else 'Branches'}{_beside(dead)} "
            + (
                ("gets" if len(dead) == 1 else "get") + " no gradient"
                if cut
                else ("is" if len(dead) == 1 else "are") + " dead"
            ),
            place=f"{what[0].upper()}{what[1:]}.",
            evidence=_evidence(worst),
            remedy=_REATTACHED if cut else _revived(off),
            sure="Certain. Their gradient is not small, there is none."
            if cut
            else f"Certain for this batch of {facts.batch}. A branch that only starts at zero is "
            "not called dead: its last weights have a gradient.",
            treatment="reattach" if cut else "initialisation",
            layers=tuple(name for branch in dead for name in branch.layers),
        ),
        headline="The gradient of the branches is cut off."
        if cut
        else f"The branches are dead; only {_left(dead)}.",
        summary=f"In {plural(len(dead), 'branch', 'branches')} of "
        f"{len(facts.branches)} no weight gets a gradient that matters. What goes past them is all "
        "that the network computes.",
        place=worst.layers[-1],
        main=main,
    )


def _long(branch: Branch) -> bool:
    # The gradient that dies on its way through depth takes the signal with it.
    return len(branch.layers) >= limit.DEEP and branch.fall > limit.DYING


def _powerless(branch: Branch) -> bool:
    return branch.reach < limit.DEAD_BRANCH * branch.stream


def _evidence(branch: Branch) -> str:
    text = f"The stream past {_named(branch)} has an elasticity of {prose(branch.stream)}; "
    if _powerless(branch):
        text += f"of the weights in the branch none reaches more than {prose(branch.reach)}."
    else:
        text += "what comes out of the branch is the same for every sample."
    way = "The way beside it" if branch.parallel else "The skip"
    return f"{text} {way} carries the gradient, so the layers before it learn all the same."


def _left(branches: list[Branch]) -> str:
    alone = any(each.parallel for each in branches)
    return "what goes past them is left" if alone else "the skips are left"


def _beside(branches: list[Branch]) -> str:
    return "" if any(each.parallel for each in branches) else " beside a skip"


def _named(branch: Branch) -> str:
    first, last = branch.layers[0], branch.layers[-1]
    return code(last) if first == last else f"{code(first)} to {code(last)}"


def _what(dead: list[Branch]) -> str:
    if len(dead) == 1:
        return f"the branch {_named(dead[0])}, beside {_other_way(dead[0])}"
    return f"the branches that end at {listed([branch.destination for branch in dead])}"


def _other_way(branch: Branch) -> str:
    what = "the others from" if branch.parallel else "the skip from"
    return f"{what} {_start(branch)}"


def _start(branch: Branch) -> str:
    return "the input" if branch.source == "input" else code(branch.source)


def _revived(off: bool) -> str:
    if off:
        return (
            "Start this branch anew: kaiming_normal_ for its weights, zero for its biases, and "
            "the last layer at zero so that nothing else changes. If its units die while it "
            "trains, lower the learning rate or use a leaky activation."
        )
    return (
        "Take out the factor that shrinks this branch, or start its weights larger "
        "(kaiming_normal_ for ReLU). Where it has to start small, let a weight of its own say how "
        "small (skipway.nn.Residual with a gate), which then learns."
    )


def dying_branches(facts: Facts) -> Judgement | None:
    """Long branches in which the gradient dies before it reaches their beginning."""
    elastic = {layer.name: layer.branch_elasticity for layer in facts.layers}
    found = [
        branch
        for branch in facts.branches
        if _long(branch)
        and branch.fall > (limit.RELATIVE_DYING if facts.relative else limit.DYING)
        and (facts.relative or elastic[branch.weakest] < limit.WEAK)
        and not _powerless(branch)
    ]
    if not found:
        return None
    worst = max(found, key=lambda branch: branch.fall)
    lost = decades(worst.fall)
    inside = sum(len(branch.layers) for branch in found)
    return Judgement(
        Finding(
            cause="vanishing",
            title="The gradient dies inside of a branch",
            place=f"The {plural(len(worst.layers), 'layer')} of the branch {_named(worst)}, beside "
            f"{_other_way(worst)}.",
            evidence=f"Along the branch {lost} of elasticity are lost, to "
            f"{prose(elastic[worst.weakest])} at {code(worst.weakest)}; the way beside it keeps "
            f"{prose(worst.stream)}.",
            remedy="Skips inside of the branch, across every two of its layers.",
            sure="Certain for this batch."
            if math.isfinite(worst.fall)
            else "Certain for this batch. At its beginning nothing is left.",
            treatment="skip",
            layers=tuple(name for branch in found for name in branch.layers),
        ),
        headline="The gradient dies inside of the branches.",
        summary=f"What goes past them carries the gradient, but {plural(inside, 'layer')} "
        f"({percent(inside / len(facts.layers))}) lie in branches too long for it: {lost} are lost "
        f"on the way back to {code(worst.weakest)}.",
        place=worst.weakest,
        main=inside > limit.MOST_BRANCHES * len(facts.layers),
    )
