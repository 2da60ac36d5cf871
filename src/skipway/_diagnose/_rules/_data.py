"""Last: what lies in the data, or that nothing is wrong."""

from __future__ import annotations

from ..._numbers import count, prose
from ..._results import Finding
from .. import _thresholds as limit
from .._facts import Facts
from .._judgement import Judgement
from .._stepped import stands_still
from .._words import code, listed, percent, plural
from ._answer import flat_end
from ._branch import dead_branches

_UNKNOWN = (
    "the loss itself may be flat (a temperature, a part of it that outweighs the rest), or the "
    "noise of each pass larger than what there is to learn."
)


def no_signal(facts: Facts) -> Judgement | None:
    """Targets that the inputs say nothing about."""
    if facts.same_targets:
        return _all_the_same(facts)
    if facts.order:
        return _mixed_up(facts)
    tried = facts.tried
    if tried is None or tried.held_in is None or tried.held_out is None:
        return None
    learned, carried = tried.held_in < limit.LEARNED, tried.held_out < limit.CARRIED_OVER
    dependent = (facts.dependence or 0.0) < limit.INDEPENDENT or facts.undecided_labels
    if dependent or not learned or carried:
        return None
    return Judgement(
        Finding(
            cause="no-signal",
            title="The labels say nothing about the inputs",
            place="The data.",
            evidence="Shuffled labels fit the inputs as well as these (p = "
            f"{prose(facts.dependence or 0.0)}). Trained on one half of the batch, the network "
            f"gets to {percent(tried.held_in)} of the loss of a constant answer there and never "
            f"below {percent(tried.held_out)} on the other half.",
            remedy="Look at a few inputs beside their labels: are they still in the same order?",
            sure=f"Suspected. Two tests agree, on one batch of {count(facts.batch)}.",
            treatment="data",
        ),
        headline="The labels say nothing about the inputs.",
        summary="The network learns these samples by heart, and what it learns from one half of "
        "them is of no use for the other. The gradient arrives; there is nothing to find.",
        place=facts.layers[-1].name,
    )


def _mixed_up(facts: Facts) -> Judgement:
    """Answers that depend on which samples come before them, and whether that does harm."""
    tried, last = facts.tried, facts.layers[-1].name
    harm = tried is not None and (tried.held_out or 0.0) >= limit.CARRIED_OVER
    evidence = "In eval mode, the same samples in another order get other answers."
    if harm and tried is not None:
        evidence += " Trained on one half of the batch, the network never gets below "
        evidence += f"{percent(tried.held_out or 0.0)} of the loss of a constant answer on the "
        evidence += "other half."
    remedy = "Look for the dimension that is taken for another: batch_first=True for a recurrent "
    remedy += "network, a transformer or attention that is given the batch first; permute and not "
    remedy += "view or reshape where dimensions change places."
    return Judgement(
        Finding(
            cause="no-signal",
            title="The samples of a batch are mixed up",
            place="The network.",
            evidence=evidence,
            remedy=remedy if harm else f"None if it is meant. Otherwise: {remedy}",
            sure="Certain that the order counts. What is learned was tried on a copy."
            if harm
            else "Certain that the order counts; the network learns something all the same.",
            treatment="data" if harm else "none",
        ),
        headline="The samples of a batch are mixed up.",
        summary=f"{evidence} An answer that depends on what else is in the batch, and where, is no "
        "answer to its own sample.",
        place=last,
        main=harm,
    )


def _all_the_same(facts: Facts) -> Judgement:
    rare = facts.rare
    remedy = "Shuffle the data, so that a batch holds more than one class."
    return Judgement(
        Finding(
            cause="no-signal",
            title="All targets are the same",
            place="The data.",
            evidence=f"One constant answer is right for all {count(facts.batch)} samples.",
            remedy="None if the other answer is rare: a larger batch, which holds some of it, "
            f"tells more. Otherwise: {remedy}"
            if rare
            else remedy,
            sure="Certain for this batch; how rare the other answer is only you know."
            if rare
            else "Certain for this batch.",
            treatment="none" if rare else "data",
        ),
        headline="The labels say nothing about the inputs.",
        summary="All targets of this batch are the same, so there is nothing to tell apart.",
        place=facts.layers[-1].name,
        main=not rare,
    )


def solved(facts: Facts) -> Judgement | None:
    """A loss close to zero."""
    if facts.loss != 0 and (facts.skill is None or facts.skill > limit.SOLVED):
        return None
    if flat_end(facts) is not None:
        return None  # nothing, where others get far less
    share = percent(facts.skill or 0.0)
    return Judgement(
        Finding(
            cause="solved",
            title="Little is left to learn",
            place="The whole network.",
            evidence=f"The loss is {prose(facts.loss)}, {share} of the {prose(facts.chance or 0)} "
            "that a constant answer gets."
            if facts.skill is not None
            else "The loss is zero.",
            remedy="None. To see whether it holds, judge it on data it was not trained on.",
            sure=f"Certain for this batch of {count(facts.batch)}.",
            treatment="none",
        ),
        headline="There is little left to learn.",
        summary=f"The loss of this batch is {prose(facts.loss)}. A gradient gets small when "
        "there is nothing left to correct; that is no fault of the network.",
        place=facts.weakest.name,
    )


def healthy(facts: Facts) -> Judgement:
    """Nothing was found."""
    aside = {layer.name for layer in facts.dying}  # beside the way that is whole
    if facts.zero_started:  # it and what lies before it have no signal yet to be sensitive to
        aside |= {layer.name for layer in facts.layers if layer.elasticity == 0}
    aside |= set(facts.unused)
    dead = dead_branches(facts)
    aside |= set(dead.finding.layers) if dead else set()
    kinds = (
        [each for each in some if each.name not in aside] for some in (facts.reached, facts.layers)
    )
    living = next((layers for layers in kinds if layers), ())
    if not living:
        return _not_yet(facts)
    low = min(living, key=lambda layer: layer.elasticity)
    still = _stands_still(facts)
    evidence = f"The lowest elasticity is {prose(low.elasticity)}, at {code(low.name)}."
    if facts.step is not None:
        evidence += f" One step takes {prose(facts.step.progress)} of the loss away."
    evidence += still
    return Judgement(
        Finding(
            cause="healthy",
            title="The gradient arrives everywhere" if not aside else "A whole way is open",
            place="The whole network.",
            evidence=evidence,
            remedy="None.",
            sure=_healthy_sure(facts),
            treatment="none",
        ),
        headline="The gradient arrives, and the loss stays where it is."
        if still
        else "The gradient arrives.",
        summary=("Every layer has" if not aside else "The layers that are needed have")
        + f" a say in the loss. At the weakest, {code(low.name)}, a change of the signal by 100 % "
        f"would change the loss by {percent(low.elasticity)}. "
        + (
            still.strip() or "Nothing that was looked for stands in the way."
            if facts.step is not None
            else "Its steps could not be judged."
        ),
        place=low.name,
    )


def _stands_still(facts: Facts) -> str:
    tried = facts.tried
    if tried is None or not stands_still(tried, facts.level):
        return ""
    if tried.best_rate is None:
        return (
            f" {plural(tried.steps, 'step')} on a copy leave the loss where it is, and nothing "
            "that was looked for says why."
        )
    return (
        f" {plural(tried.steps, 'step')} on a copy, and as many as {count(tried.best_steps)} at "
        "other rates, hardly bring the loss down, and nothing that was looked for says why."
    )


def _healthy_sure(facts: Facts) -> str:
    text = f"As sure as {_looked_at(facts)} can make it. What goes wrong later in training shows "
    text += "later."
    if _stands_still(facts):
        return f"Not sure: {_UNKNOWN}"
    if facts.cut_calls:
        text += " Whether the task needs what lies before the cut is not to be told from one batch."
    if facts.batch < limit.TELLING_BATCH:
        text += f" {plural(facts.batch, 'sample')} say next to nothing of what others do: diagnose "
        text += "a larger batch, or several (batches=)."
    return text


def _not_yet(facts: Facts) -> Judgement:
    """What starts at zero holds everything before it back, for one step."""
    names = listed(facts.zero_started)
    many = len(facts.zero_started) > 1
    return Judgement(
        Finding(
            cause="healthy",
            title="The first step is still to come",
            place=f"{names}.",
            evidence=f"{names} {'start' if many else 'starts'} at exactly zero, with a gradient of "
            f"{'their' if many else 'its'} own; every other elasticity is 0 until then.",
            remedy="None. Diagnose again after a few steps of training.",
            sure="Certain that it is so at the start; what comes then shows then.",
            treatment="none",
            layers=facts.zero_started,
        ),
        headline="Nothing can be told before the first step.",
        summary=f"{names} {'start' if many else 'starts'} at exactly zero, so the first step moves "
        f"{'them' if many else 'it'} alone and what lies before gets its gradient from the second "
        "one on. Look again after a few steps.",
        place=facts.zero_started[0],
    )


def _looked_at(facts: Facts) -> str:
    if facts.tried is not None:
        return "one batch and a few steps"
    return "one batch" if facts.step is None else "one batch and one step"
