"""What a diagnosis says beside its findings: what this loss, batch and optimizer do not tell."""

from __future__ import annotations

from torch import nn

from .._trace._probe import Probe
from . import _groups as groups
from ._facts import Facts
from ._together import Together
from ._unread import unread
from ._words import listed


def notes_of(
    facts: Facts, seen: Probe, model: nn.Module, optimizer: Together | None, *, objective: bool
) -> list[str]:
    """Return the notes on one pass.

    Args:
        facts: that were read.
        seen: the pass.
        model: that ran.
        optimizer: that trains it.
        objective: whether the loss came from an objective.
    """
    notes = []
    if objective:
        notes.append(
            "An objective does not say what of its batch are the targets, so the loss of the "
            "best constant answer is not known, and neither `solved` nor `no-signal` is "
            "judged. With loss_fn= they are."
        )
    if optimizer is not None:
        notes += groups.unreached(model, optimizer, seen.gradients)
    if facts.relative:
        notes.append(
            "The loss is not positive, so it is no measure of what is left to learn: "
            "elasticities are relative to the largest one."
        )
    if facts.zero_started:
        start = "starts" if len(facts.zero_started) == 1 else "start"
        notes.append(
            f"{listed(facts.zero_started)} {start} at exactly zero, so nothing comes through "
            "in the first step. Look again after a few steps."
        )
    notes += unread(model, seen)
    if facts.unused:
        notes.append(f"{listed(facts.unused)} had no part in this loss.")
    return notes
