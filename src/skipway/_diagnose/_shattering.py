"""How alike the gradients at neighbouring inputs are, on demand."""

from __future__ import annotations

from dataclasses import replace

from .._numbers import prose
from .._trace._shatter import NEAR, correlations
from ._facts import Facts
from ._task import Task
from ._words import code, percent


def with_correlations(task: Task, facts: Facts) -> Facts:
    """Return the facts with the correlations, measured on the first batch; note what they say."""
    part = task.parts[0][0]
    found = correlations(task.model, lambda: task.loss_on(task.model, part), task.again)
    if found is None:
        task.notes.append(
            "The inputs are no real numbers, so they have no neighbours: how alike the gradients "
            "are there was not measured."
        )
        return facts
    layers = tuple(replace(each, alike=found.get(each.name)) for each in facts.layers)
    known = [each for each in layers if each.alike is not None]
    if known:
        first, last = known[0], known[-1]
        task.notes.append(
            f"At neighbouring inputs, {percent(NEAR)} of the distance from the mean apart, the "
            f"gradients have a correlation of {prose(first.alike or 0.0)} at {code(first.name)} "
            f"and of {prose(last.alike or 0.0)} at {code(last.name)}."
        )
    return replace(facts, layers=layers)
