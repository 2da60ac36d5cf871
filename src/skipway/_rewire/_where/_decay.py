"""Which of the possible skips a measured network needs: those where the gradient is lost."""

from __future__ import annotations

from collections.abc import Sequence

from ..._remedies import WORTH_IT, decades_lost, losing_part
from ..._results import Diagnosis, PlannedSkip


def where_it_is_lost(
    runs: list[list[PlannedSkip]], diagnosis: Diagnosis | None
) -> list[list[PlannedSkip]]:
    """Keep the skips of every run from the first layers that lose gradient to the last.

    Without a diagnosis, or where no run loses anything by itself, all are kept.
    """
    if diagnosis is None:
        return runs
    parts = [run[losing_part(_lost(run, diagnosis))] for run in runs]
    return [part for part in parts if part] or runs


def said(
    skips: Sequence[PlannedSkip], runs: list[list[PlannedSkip]], diagnosis: Diagnosis | None
) -> str:
    """Say why the skips are where they are."""
    first, last = skips[0].source, skips[-1].destination
    where = f"One skip around every two weight layers, from `{first}` to `{last}`"
    if diagnosis is None:
        return f"{where}: wherever layers follow each other with no skip."
    decades = sum(_lost(skips, diagnosis))
    kept, all_ = len(skips), sum(map(len, runs))
    if decades < WORTH_IT:
        return f"{where}: no part loses much more gradient than the others."
    amount = f"the gradient loses {decades:.1f} decades on its way back through these layers"
    left = "place" if all_ - kept == 1 else f"{all_ - kept} places"
    rest = "" if kept == all_ else f" and little in the other {left}"
    return f"{where}: {amount}{rest}."


def _lost(run: Sequence[PlannedSkip], diagnosis: Diagnosis) -> list[float]:
    elasticity = {layer.name: layer.elasticity for layer in diagnosis.layers}
    return decades_lost([(skip.source, skip.destination) for skip in run], elasticity)
