"""Beside the verdict: a batch so small that it makes something else of the network."""

from __future__ import annotations

from ..._results import Finding
from .._facts import Facts
from .._judgement import Judgement
from .._words import listed, plural


def normalised_over_two(facts: Facts) -> Judgement | None:
    """Batch normalisations of two numbers, which answer one and minus one."""
    names = facts.over_two
    if not names:
        return None
    each = "its channels" if len(names) == 1 else "their channels"
    evidence = f"{listed(names)} {'takes' if len(names) == 1 else 'take'} mean and variance of two "
    evidence += f"numbers for each of {each}. Of two numbers, whatever they are, one becomes 1 and "
    evidence += (
        "the other −1: all that is left of a sample is on which side of the other one it is."
    )
    return Judgement(
        Finding(
            cause="collapsed-signal",
            title=f"{plural(len(names), 'batch normalisation')} "
            f"{'sees' if len(names) == 1 else 'see'} two numbers",
            place=f"{listed(names)}.",
            evidence=evidence,
            remedy="None if training sees larger batches: diagnose one of those. Otherwise batches "
            "of 16 and more, or a normalisation of each sample by itself (LayerNorm, GroupNorm).",
            sure="Certain for a batch of this size.",
            treatment="none",
        ),
        headline="A batch normalisation sees two numbers.",
        summary=evidence,
        place=facts.layers[-1].name,
        main=False,
    )
