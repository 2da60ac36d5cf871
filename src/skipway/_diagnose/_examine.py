"""`diagnose`: measure, judge, put it into words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from torch.optim import Optimizer

from .._case import Loss, Objective
from .._results import Diagnosis
from .._trace import collector_waits, untouched
from .._trace._watch._layers import bare
from ..report._progress import counter
from ._batches import parts_of
from ._check import check_batch, check_model, check_steps, check_task, together
from ._facts import Facts
from ._further import try_further
from ._judgement import Judgement
from ._remedy import with_numbers
from ._shattering import with_correlations
from ._task import Task, nobody
from ._together import Together
from ._verdict import absent, first_look, last_look, more_to_try
from ._words import plural


def diagnose(
    model: nn.Module,
    batch: Any,
    loss_fn: Loss | None = None,
    *,
    objective: Objective | None = None,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    steps: int | None = None,
    batches: int | Iterable[Any] = 1,
    shattering: bool = False,
    when: str | None = None,
) -> Diagnosis:
    """Find where the gradient dies, and why.

    The model is run forward and backward once on the batch, in the mode (train or eval) in which
    it is given, and is left exactly as it was. Norms are taken in float64.

    Args:
        model: a network that runs eagerly. With `loss_fn` it may be wrapped in DataParallel or
            DistributedDataParallel: what is inside is diagnosed, in this process alone.
        batch: `(inputs, targets)`, inputs being a tensor, a tuple of positional or a dict of
            keyword arguments; with `objective`, anything that it takes. Two samples or more.
        loss_fn: `loss_fn(model(inputs), targets)`, one number.
        objective: `objective(model, batch)`, one number, instead of `loss_fn`.
        optimizer: that holds the model's parameters. With it the size of the steps, rounding and
            weight decay are judged too, on copies: it is not stepped itself. Several, as a list,
            where each steps parameters of its own after the same backward (Muon for matrices and
            AdamW for the rest); one that follows another loss is diagnosed with that loss.
        steps: how many steps to try on a copy of the model, which tells a rate that is too large
            or labels that say nothing. By default 10 where one pass and one step leave a doubt
            (up to 100 where the optimizer remembers gradients for so long, up to 200 where they are
            small and the loss may have begun on a plateau) and none where they do
            not; 0 for none, and the doubt is a note. What so many leave open is tried with four
            times as many, and at other learning rates. They are only tried
            where the gradient arrives, in training mode, and need an optimizer; where they may be
            too large, on the halves of the batch or the several batches in turn.
        batches: into how many parts to cut the batch, or further batches. Numbers of layers are
            then medians over the batches, the step is that of the mean gradient, and
            `LayerReading.spread` says how far the batches are apart.
        shattering: whether to measure, with two further passes, how alike the gradients at
            neighbouring inputs are (`LayerReading.alike`).
        when: at which point of training, in words: "after two epochs". By default as many steps as
            the optimizer has counted, and "now" where it counts none.

    Returns:
        The cause, the evidence and the remedy, with every layer's numbers.

    Raises:
        ModelError: the model has no parameters or weight layers, or raises in forward.
        BatchError: the batch is no pair, holds one sample, or NaN.
        LossError: the loss is not one number, carries no gradient, or is not of the model given.
        OptimizerError: an optimizer holds none of the model's parameters, two hold the same one,
            or `steps` is no number of steps.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> layers = [layer for _ in range(40) for layer in (nn.Linear(16, 16), nn.Tanh())]
        >>> model = nn.Sequential(*layers, nn.Linear(16, 2))
        >>> inputs, targets = torch.randn(32, 16), torch.randint(2, (32,))
        >>> diagnosis = diagnose(model, (inputs, targets), nn.functional.cross_entropy)
        >>> diagnosis.cause, diagnosis.treatment
        ('vanishing', 'skip')
    """
    check_task(loss_fn, objective)
    check_steps(steps)
    check_model(model)
    size = check_batch(batch, pair=objective is None)
    # An objective calls what it was handed, wrapped or not; a loss function does not care, and one
    # process alone must not wait for the others.
    model = bare(model)[0] if objective is None else getattr(model, "_orig_mod", model)
    steppers = together(optimizer, model)
    tried = None if steps is None else int(steps)
    with untouched(model):
        # Within: a DataLoader draws from torch's generator when it begins.
        parts = parts_of(batch, batches, max(size, 1), pair=objective is None)
        task = Task(model, batch, loss_fn, objective, steppers, max(size, 1), tried, parts)
        with collector_waits():
            facts = task.measure()
            if shattering:
                facts = with_correlations(task, facts)
            facts = replace(facts, undecided=facts.step is not None and steps != 0)
            found = first_look(facts)
        if more_to_try(facts, found):
            with counter("passes on copies that are trained (steps=0 does without)") as task.tell:
                facts = try_further(task, facts)  # for as long as it takes
            task.tell = nobody
        task.taken = None  # the diagnosis asks the task further questions, and would hold it
        facts = replace(facts, undecided=False)
        found = [with_numbers(each, facts) for each in last_look(facts)]
    return _diagnosis(facts, found, task, _now(steppers) if when is None else when)


def _now(optimizer: Together | None) -> str:
    """Say when it is, as far as one can know: Adam counts its steps, plain SGD does not."""
    kept = [] if optimizer is None else optimizer.state.values()
    counts = [float(each["step"]) for each in kept if "step" in each]
    taken = round(max(counts, default=0.0))
    return f"after {plural(taken, 'step')}" if taken else "now"


def _diagnosis(facts: Facts, found: list[Judgement], task: Task, when: str) -> Diagnosis:
    main = found[0]
    names = [layer.name for layer in facts.layers]
    return Diagnosis(
        cause=main.finding.cause,
        treatment=main.finding.treatment,
        headline=main.headline,
        summary=main.summary,
        layers=facts.layers,
        findings=tuple(each.finding for each in found),
        absent=absent(facts, found),
        skips=facts.skips,
        when=when,
        batch=facts.batch,
        loss=facts.loss,
        skill=facts.skill,
        chance=facts.chance,
        decades_lost=max(layer.decades_lost for layer in facts.layers),
        place=main.place if main.place in names else names[-1],
        learning_rate=None if facts.rates is None else facts.rates.common,
        optimizer=facts.optimizer if facts.rates is None else facts.rates.names,
        relative=facts.relative,
        notes=tuple(task.notes),
        batches=len(task.parts),
        ask=task.asker(facts),
    )
