"""A few steps on a copy, where one step leaves something in doubt or the caller asks for them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from .._errors import LossError
from .._numbers import prose
from . import _thresholds as limit
from ._closure import Evaluate
from ._dependence import dependence
from ._doubts import doubts_of
from ._exchanged import one_for_all
from ._facts import Facts
from ._floor import Floor, lowest_loss
from ._groups import fair_rates
from ._labels import carried_over, only_new_names, pairs_of
from ._noise import noise_share
from ._order import order_counts, row_by_row
from ._search import Search
from ._stepped import Stepped, Tried, is_stuck, stands_still
from ._together import Together
from ._trial import NotOfTheCopyError, loss_after, trains, try_steps
from ._turns import turns_of
from ._words import either

if TYPE_CHECKING:
    from ._task import Task

STEPS = 10  # where the caller leaves it open
_MOST = 100  # where an optimizer's memory asks for more
_LONGER = 3  # times as many steps, where so many leave it to chance


def try_further(task: Task, facts: Facts) -> Facts:
    """Return the facts with what a few steps on a copy say, or with a note on what they would."""
    optimizer, step = task.optimizer, facts.step
    if optimizer is None or step is None:
        return facts
    facts = replace(_with_dependence(task, facts), noise=_own_noise(task), order=_order(task))
    # A step that asks for the loss as often as a trial has steps is a trial by itself.
    told = step.planned <= limit.FAST or step.calls >= STEPS
    if task.steps is None and told and step.steady > limit.DOUBTFUL:
        facts = replace(facts, falls=_falls(task, facts, step))
    doubts = doubts_of(facts)
    steps = (_enough(step) if doubts else 0) if task.steps is None else task.steps
    if steps < 1:
        if doubts:
            task.notes.append(
                f"One step cannot tell whether {either(doubts)}: steps={STEPS} tries that many on "
                "a copy."
            )
        return replace(facts, doubts=doubts)
    try:
        tried = _try(task, optimizer, step, facts, steps)
        tried = _with_labels(task, optimizer, tried, facts, steps)
        tried = _with_floor(task, facts, step, tried)
    except Exception as error:
        if isinstance(error, NotOfTheCopyError) and task.objective is not None:
            raise LossError(
                "The objective computes the loss without the model that it is given, so no step "
                "on a copy can be tried. Use its first argument: objective=lambda model, batch: "
                "loss_fn(model(batch[0]), batch[1])."
            ) from None
        # A model that cannot be copied is still diagnosed, from one step.
        task.notes.append(
            f"No further steps could be tried on a copy ({type(error).__name__}: {error})."
        )
        return replace(facts, doubts=doubts)
    if not trains(task.model):
        task.notes.append(
            "The model is in eval mode. The further steps were tried on a copy in training mode."
        )
    return replace(facts, tried=tried)


def _enough(step: Stepped) -> int:
    """Return how many steps to try: fewer of those that ask for the loss many times each."""
    return max(2, round(STEPS / max(1, step.calls)))


def _falls(task: Task, facts: Facts, step: Stepped) -> bool:
    """Tell, for one forward pass, whether the loss falls as far as momentum will carry it."""
    try:
        assert task.taken is not None
        after = loss_after(task.model, task.evaluate, task.taken.after, task.taken.growing)
    except Exception:
        return False  # a model that cannot be copied; the doubt stays
    # A step to the bottom of a parabola brings half of what it promises to first order.
    enough = min(1 - limit.BETTER, step.steady / 4)
    return after <= facts.loss - enough * abs(facts.loss)


def _with_dependence(task: Task, facts: Facts) -> Facts:
    if facts.same_targets or not facts.chance or task.loss_fn is None:
        return facts
    pairs = pairs_of(task.batch, task.size)
    return facts if pairs is None else replace(facts, dependence=dependence(*pairs))


def _try(task: Task, optimizer: Together, step: Stepped, facts: Facts, steps: int) -> Tried:
    lasting = facts.memory > limit.LONG_MEMORY
    if lasting and task.steps is None:
        steps = max(steps, min(_MOST, round(facts.memory)))
    count = steps
    turns: list[Evaluate] = [task.evaluate]
    losses, _ = try_steps(task.model, optimizer, turns, count)
    held_back = facts.held_back
    jumps = step.planned > limit.FAST or losses[-1] > losses[0]
    near = facts.hardly_dying or facts.hardly_collapsed or facts.drowned
    if jumps or held_back or near or lasting:
        # Many a good training jumps at first; only one that stays up there jumps too far.
        count *= 4
        # What LBFGS knows of the curvature is that of one batch; it is not meant for others.
        turns = turns_of(task, facts) if jumps and not step.calls else turns
        losses, _ = try_steps(task.model, optimizer, turns, count)
    patient = task.steps is None and limit.SURELY_SLOW <= step.steady < limit.SLOW
    if patient and not jumps:
        enough = facts.level - (1 - limit.STUCK) * abs(facts.level)
        losses, _ = try_steps(task.model, optimizer, turns, limit.PATIENCE, until=enough)
        count = len(losses) - 1
    end = _end(losses, steps if count > steps else 1)
    tried = Tried(start=losses[0], end=end, steps=count, turns=len(turns))
    stuck = is_stuck(tried, facts.level)
    slow = step.steady < limit.SLOW and not (patient and not stuck)
    if stuck and held_back:
        fair = fair_rates(facts, task.model, optimizer)
        free, _ = try_steps(task.model, optimizer, turns, count, unfrozen=fair)
        tried = replace(tried, unfrozen=free[-1])
    if step.steady <= 0 or not (slow or stuck or jumps):
        return tried
    apart = lasting and not tried.end < tried.start
    search = Search(task.model, optimizer, turns, steps, facts, smaller=apart)
    tried = search.alone(search.together(tried)) if jumps else search.together(tried)
    end = tried.best_end
    tried = replace(tried, noise=_noise(task, optimizer) if jumps else 0.0)
    if not lasting and len(turns) > 1 and end < tried.end < math.inf:
        # Where other samples make it jump, rounding alone decides where forty steps end; and two
        # halves are soon learned by heart. What comes down on quarters comes down in a training.
        turns = turns_of(task, facts, pieces=4)
        losses, _ = try_steps(task.model, optimizer, turns, _LONGER * count)
        end, count = _end(losses, steps), _LONGER * count
        tried = replace(tried, end=end, steps=count, turns=len(turns))
    return _for_as_long(task, optimizer, tried, steps, facts) if near else tried


def _for_as_long(task: Task, optimizer: Together, tried: Tried, steps: int, facts: Facts) -> Tried:
    """Give the better rate as many steps as the optimizer's own: near a limit all are slow."""
    assert tried.best_rate is not None
    factor = tried.best_rate / facts.own_rate(tried)
    losses, _ = try_steps(
        task.model, optimizer, [task.evaluate], tried.steps, factor=factor, part=tried.part
    )
    end = _end(losses, steps)
    if end >= tried.best_end:
        return tried
    best = tried.best_rate
    return replace(tried, best_end=end, best_steps=tried.steps, rate=best, rate_end=end)


def _order(task: Task) -> bool:
    pairs = None if task.loss_fn is None else pairs_of(task.batch, task.size)
    if pairs is None or not row_by_row(pairs[0], task.size):
        return False
    try:
        return order_counts(task.model, task.batch, task.loss_on)
    except Exception:
        return False  # a model that cannot be copied, or needs more samples than a few


def _own_noise(task: Task) -> float:
    if not task.draws:
        return 0.0
    try:
        return noise_share(task.model, task.evaluate)
    except Exception:
        return 0.0  # a model that cannot be copied, or whose answers are of no use by themselves


def _with_floor(task: Task, facts: Facts, step: Stepped, tried: Tried) -> Tried:
    """Look how low the loss gets with other answers, where steps do next to nothing."""
    if stands_still(tried, facts.level) and not facts.relative:
        found = _floor(task)
        if found is None:
            return tried
        return replace(tried, floor=found.lowest, mean=_mean(task, facts, found.lowest))
    if (facts.relative or facts.loss == 0) and step.steady < limit.SLOW:
        # A loss of no more than its rounding, at one end of what it can be: which one?
        found = _floor(task, wide=True)
        if found is not None:
            mean = _mean(task, facts, found.lowest)
            return replace(tried, steepness=found.steepness, lies=found.lowest, mean=mean)
    return tried


def _mean(task: Task, facts: Facts, lowest: float) -> float | None:
    """Return the loss of one answer for all samples, where nothing is better."""
    if task.objective is None:
        return None  # the loss of the best constant answer is known
    try:
        return one_for_all(task.model, task.evaluate, task.again, facts.loss, lowest)
    except Exception:
        return None  # an objective that cannot read other answers


def _floor(task: Task, *, wide: bool = False) -> Floor | None:
    try:
        if wide:
            return lowest_loss(task.model, task.evaluate_wide, wide=True, again=task.again)
        return lowest_loss(task.model, task.evaluate)
    except Exception:
        return None  # an objective that reads more of the model than its answers


def _noise(task: Task, optimizer: Together) -> float:
    """Return how far the loss goes up and down where no weight moves, as one that draws does."""
    losses, _ = try_steps(task.model, optimizer, [task.evaluate], STEPS, factor=0.0)
    return max(losses) - min(losses)


def _end(losses: list[float], last: int) -> float:
    return sum(losses[-last:]) / len(losses[-last:])


def _with_labels(task: Task, optimizer: Together, tried: Tried, facts: Facts, steps: int) -> Tried:
    """Train on one part of the batch and look at another, where there is a reason to."""
    value = facts.dependence
    in_doubt = facts.branch_in_doubt or facts.order
    if value is None or not (value >= limit.INDEPENDENT or in_doubt):
        return tried
    names = value >= limit.INDEPENDENT and only_new_names(task)
    if (facts.undecided_labels or names) and not in_doubt:
        task.notes.append(
            "Whether the labels say anything about the inputs could not be told "
            f"(p = {prose(value)}). A larger batch tells."
        )
        return tried
    assert facts.chance is not None
    inside, outside = carried_over(task, optimizer, facts, tried, steps)
    return replace(tried, held_in=inside / facts.chance, held_out=outside / facts.chance)
