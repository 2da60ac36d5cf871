"""Samples, or units, that can no longer be told apart."""

from __future__ import annotations

from ..._numbers import count, prose
from ..._results import Finding
from .. import _thresholds as limit
from .._facts import Facts
from .._judgement import Judgement
from .._words import code, span
from ._depth import nearly


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
    found = Judgement(
        Finding(
            cause="collapsed-signal",
            title="All inputs look the same to the deep layers",
            place=f"From {code(first.name)} on.",
            evidence=f"{same} {prose(start.signal)} of the signal at {code(start.name)}"
            + (f", {prose(first.signal)} at {code(first.name)}" if first is not start else "")
            + f" and {prose(facts.arriving)} in what {code(facts.layers[-1].name)} reads.",
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
    return nearly(found) if facts.hardly_collapsed and facts.bearable else found


def starved(facts: Facts) -> Judgement | None:
    """A layer that reads zeros for every sample, behind layers that answer with something."""
    at = facts.starved_at
    if at is None:
        return None
    before, place = facts.layers[at - 1], facts.layers[at].name
    evidence = f"{code(before.name)} answers with something (root mean square "
    evidence += f"{prose(facts.sizes[at - 1])}), and what {code(place)} reads is exactly zero for "
    evidence += "every sample."
    return Judgement(
        Finding(
            cause="collapsed-signal",
            title="Nothing but zeros comes through",
            place=f"Between {code(before.name)} and {code(place)}.",
            evidence=evidence,
            remedy="Look there for a normalisation over a single number, which is its own mean "
            "(LayerNorm(1), an instance norm of one pixel), a mask that hides everything, or a "
            "factor of zero.",
            sure=f"Certain for this batch of {count(facts.batch)}.",
            treatment="normalisation",
            layers=(place,),
        ),
        headline="Nothing but zeros comes through.",
        summary=f"{evidence} So all samples get one answer, and no gradient gets past it on its "
        "way back.",
        place=place,
    )


def symmetric(facts: Facts) -> Judgement | None:
    """Units that start alike, in every layer, and so stay alike."""
    names = facts.alike
    if len(names) < 2 or len(names) < len(facts.layers):
        return None
    return Judgement(
        Finding(
            cause="collapsed-signal",
            title="All units of a layer are alike",
            place=f"{span(names, len(facts.layers))}.",
            evidence="Every unit of these layers has the same weights as its neighbours, so all of "
            "them answer alike, get the same gradient and stay alike.",
            remedy="Start the weights at random (kaiming_normal_ for ReLU, xavier_normal_ for "
            "tanh), not at one constant.",
            sure="Certain. Compared weight by weight.",
            treatment="initialisation",
            layers=names,
        ),
        headline="All units of a layer are alike.",
        summary="Each layer, however wide, is one unit many times over. Nothing that gradient "
        "descent does tells them apart again.",
        place=names[0],
    )
