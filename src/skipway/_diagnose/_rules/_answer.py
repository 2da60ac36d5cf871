"""Between the last layer and the loss: answers that the loss cannot use as they are."""

from __future__ import annotations

from ..._numbers import prose
from ..._results import Finding
from .. import _thresholds as limit
from .._facts import Facts
from .._floor import PASSES
from .._judgement import Judgement
from .._stepped import stands_still
from .._words import code, percent

_OWN = {
    "softmax": "`cross_entropy` takes its own softmax",
    "sigmoid": "`binary_cross_entropy_with_logits` takes its own sigmoid",
}


def squashed_answers(facts: Facts) -> Judgement | None:
    """Answers that are squashed before a loss that asks for more than their range."""
    found, chance = facts.squashed, facts.chance
    if found is None or not chance or not found.share > limit.SQUASHED:
        return None
    op, last = code(found.op), facts.layers[-1].name
    floor = f"{prose(found.floor)}, {percent(found.floor / chance)} of what a constant answer gets"
    return Judgement(
        Finding(
            cause="saturation",
            title="The answers are squashed before the loss",
            place=f"Behind {code(last)}.",
            evidence=f"Whatever the answers of {op}, this loss does not get below {floor}; without "
            f"it, answers were found that get to {prose(found.free)}.",
            remedy=f"Hand the loss what {code(last)} answers with, without {op}"
            + (f": {_OWN[found.op]}." if found.op in _OWN else "."),
            sure="Certain for this batch. Looked for by giving the loss answers of every kind.",
            treatment="loss",
            layers=(last,),
        ),
        headline="The answers are squashed before the loss.",
        summary=f"The network ends in {op}, and no answer of that range is sure enough for this "
        f"loss: it stays above {floor}. The surer the answers get, the smaller is the slope.",
        place=last,
    )


def no_slope(facts: Facts) -> Judgement | None:
    """A loss whose slope is exactly zero where the answers are."""
    if not facts.unanswered or facts.cut_off or facts.underflow or squashed_answers(facts):
        return None
    last = facts.layers[-1].name
    evidence = f"The loss is {prose(facts.loss)}, and its gradient is exactly zero for every "
    evidence += f"layer, {code(last)} among them."
    return Judgement(
        Finding(
            cause="saturation",
            title="The loss has no slope",
            place=f"Behind {code(last)}.",
            evidence=evidence,
            remedy="Look between the last layer and the loss: a softmax over one number, a sigmoid "
            "or tanh far out on its ends, a clamp that everything is beyond.",
            sure="Certain for this batch. Nothing comes back even to the last layer.",
            treatment="loss",
            layers=(last,),
        ),
        headline="The loss does not answer.",
        summary=f"{evidence} Whatever the last layer answers, near here the loss stays the same.",
        place=last,
    )


def flat_loss(facts: Facts) -> Judgement | None:
    """A loss that answers, whatever they come from, do not bring down."""
    tried = facts.tried
    if tried is None or tried.floor is None or not stands_still(tried, facts.level):
        return None
    if facts.far_off:
        return None  # the search does not get that far, and another finding says what is far
    if tried.floor <= limit.BETTER * facts.level:
        return None
    last = facts.layers[-1].name
    evidence = f"The answers themselves, free to move, do not take the loss of {prose(facts.loss)} "
    evidence += f"below {prose(tried.floor)} in a search of {PASSES} passes."
    return Judgement(
        Finding(
            cause="saturation",
            title="The loss is flat",
            place=f"Behind {code(last)}.",
            evidence=f"{evidence} Steps at this learning rate and at others do not either.",
            remedy="None if the loss has a large constant part (a penalty of the weights, an "
            "offset): what is above it may fall all the same. Otherwise look at what stands "
            "between the answers and the loss: a temperature far above one, a squashing function.",
            sure="Certain for these answers and those near them; which of the two it is only you "
            "know.",
            treatment="none",
            layers=(last,),
        ),
        headline="The loss is flat, whatever the network answers.",
        summary=f"{evidence} No training gets lower than the best answers do.",
        place=last,
        main=False,
    )


def flat_end(facts: Facts) -> Judgement | None:
    """Answers at a place where the loss has hardly a slope, though it gets far lower elsewhere."""
    tried = facts.tried
    if tried is None or tried.steepness is None or not tried.steepness < limit.FLAT_END:
        return None
    last, lies = facts.layers[-1].name, prose(tried.lies or 0.0)
    evidence = f"The loss is {prose(facts.loss)}; answers were found that get it to {lies}. Its "
    evidence += f"slope at the network's own is {prose(tried.steepness)} of the mean slope on the "
    evidence += "way there."
    return Judgement(
        Finding(
            cause="saturation",
            title="The answers lie at a flat end of the loss",
            place=f"Behind {code(last)}.",
            evidence=evidence,
            remedy="A loss with a slope where the answers begin: -log D rather than log(1 - D) "
            "for a generator, the logarithm of a probability rather than the probability, a "
            "smaller factor inside of a sigmoid.",
            sure="Certain for this batch. Looked for in float64, with answers of every kind.",
            treatment="loss",
            layers=(last,),
        ),
        headline="The answers lie at a flat end of the loss.",
        summary=f"{evidence} A convex loss has all of it and more everywhere. What comes "
        "back from here is too small to learn from, at whatever rate.",
        place=last,
    )


def one_answer(facts: Facts) -> Judgement | None:
    """A loss that is as low as it gets with one answer for all samples."""
    tried = facts.tried
    if tried is None or tried.mean is None:
        return None
    last = facts.layers[-1].name
    evidence = f"The loss is {prose(facts.loss)}, and with the mean answer in the place of every "
    evidence += f"one {prose(tried.mean)}. Answers of other samples do as well as a sample's own, "
    evidence += "and none were found that do better."
    return Judgement(
        Finding(
            cause="collapsed-signal",
            title="One answer for all samples is all that the loss asks for",
            place=f"Behind {code(last)}.",
            evidence=evidence,
            remedy="A loss that asks for answers that differ (other samples as counterexamples, "
            "a variance to keep), or what keeps them apart: one of two views behind a "
            "stop-gradient.",
            sure="Certain for this batch. Tried with exchanged answers, with their mean, and with "
            "answers of every kind.",
            treatment="loss",
            layers=(last,),
        ),
        headline="The network gives one answer for all, and the loss asks for no more.",
        summary=f"{evidence} What is low here says nothing about what was learned.",
        place=last,
    )


def unpaired_answers(facts: Facts) -> Judgement | None:
    """A loss that sets every answer against every target."""
    if not facts.unpaired:
        return None
    last = facts.layers[-1].name
    return Judgement(
        Finding(
            cause="no-signal",
            title="The loss does not pair answers with targets",
            place="The loss.",
            evidence="Answers and targets have different shapes, and with the targets of other "
            "samples the loss is the same to four digits.",
            remedy="Bring both to one shape: output.squeeze(-1), or targets.unsqueeze(-1).",
            sure="Certain. Tried with answers that differ from sample to sample.",
            treatment="loss",
        ),
        headline="The loss does not pair answers with targets.",
        summary="Answers and targets have different shapes and are broadcast against each other: "
        "every answer is compared with every target, and the best that is left to learn is their "
        "mean.",
        place=last,
    )
