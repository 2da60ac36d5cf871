"""The verdict: the rules in their order, one main cause, and what follows from it."""

from __future__ import annotations

from dataclasses import replace

from .._results import Finding
from . import _thresholds as limit
from ._facts import Facts
from ._judgement import Judgement, Rule
from ._rules import _alike as alike
from ._rules import _answer as answer
from ._rules import _batch as batch
from ._rules import _branch as branch
from ._rules import _data as data
from ._rules import _depth as depth
from ._rules import _frozen as frozen
from ._rules import _meaning as meaning
from ._rules import _signal as signal
from ._rules import _slow as slow
from ._rules import _step as step
from ._words import percent

# What makes numbers meaningless, then what stops signals, then what stops the step, then the data.
BEFORE_TRIAL: tuple[Rule, ...] = (
    meaning.non_finite,
    meaning.detached,
    frozen.frozen,
    frozen.unregistered,
    signal.dead_units,
    signal.saturation,
    alike.symmetric,
    alike.starved,
    step.underflow,
    depth.vanishing,
    signal.exploding,
    alike.collapsed_signal,
    branch.dead_branches,
    branch.dying_branches,
    answer.squashed_answers,
    answer.unpaired_answers,
    batch.normalised_over_two,
    answer.no_slope,
)
AFTER_TRIAL: tuple[Rule, ...] = (
    answer.flat_end,
    answer.one_answer,
    signal.far_targets,
    signal.drowned,
    step.part_too_slow,
    step.learning_rate_too_large,
    signal.growing,
    signal.oversized,
    data.solved,
    depth.vanishing_beside,
    step.precision,
    answer.flat_loss,
    # Where there is nothing to learn a step takes little of the loss, at whatever rate.
    data.no_signal,
    slow.learning_rate_too_small,
    step.weight_decay,
)
# What the cause on the left brings along.
_FOLLOWS = {
    "dead-units": {"vanishing", "collapsed-signal", "precision"},
    "saturation": {"vanishing", "collapsed-signal", "precision", "exploding", "lr-too-small"},
    "vanishing": {"collapsed-signal", "precision"},
    "exploding": {"collapsed-signal", "precision"},
    "collapsed-signal": {"precision"},
    "lr-too-small": {"precision"},
    "weight-decay": {"precision"},
}
# Beside these nothing else that was measured can be trusted.
_ALONE = {"non-finite", "detached"}


def first_look(facts: Facts) -> list[Judgement]:
    """Return what can be said without trying any further step, in order of action."""
    return [each for rule in BEFORE_TRIAL if (each := rule(facts)) is not None]


def more_to_try(facts: Facts, found: list[Judgement]) -> bool:
    """Tell whether a few steps on a copy could say more.

    Where something is frozen they can say whether that holds the rest back.
    """
    main = next((each.finding.cause for each in found if each.main), None)
    held_back = facts.held_back and main not in (*_ALONE, "frozen")
    return main is None or held_back


def last_look(facts: Facts) -> list[Judgement]:
    """Return all judgements, the main one first."""
    found = first_look(facts)  # what was tried tells more about these too
    blocked = any(each.main for each in found)
    rules = (step.precision,) if blocked else AFTER_TRIAL
    found = found + [each for rule in rules if (each := rule(facts)) is not None]
    main = next((each for each in found if each.main), None) or data.healthy(facts)
    others = [each for each in found if each is not main]
    return [main, *_beside(main, others)]


def _beside(main: Judgement, others: list[Judgement]) -> list[Judgement]:
    cause = main.finding.cause
    if cause in _ALONE:
        return []
    kept: list[Judgement] = []
    for other in (each for each in others if not _told(each, [main, *others])):
        if other.finding.cause in _FOLLOWS.get(cause, set()):
            # What dead or saturated units do to the gradient is no second illness.
            if other.finding.cause not in ("vanishing", "exploding"):
                kept.append(replace(other, finding=_follows(other.finding)))
        elif not (other.finding.cause == "precision" and cause in ("healthy", "solved")):
            kept.append(other)
    return kept


def _told(judgement: Judgement, every: list[Judgement]) -> bool:
    """Tell whether another finding says the same of these layers, and what to do about it."""
    finding = judgement.finding
    return finding.treatment == "none" and any(
        other.finding.cause == finding.cause
        and other.finding.treatment != "none"
        and set(finding.layers) <= set(other.finding.layers)
        for other in every
    )


def _follows(finding: Finding) -> Finding:
    return replace(
        finding,
        remedy="None of its own. It follows from 1 and goes with it.",
        treatment="none",
        suggestion={},
    )


def absent(facts: Facts, found: list[Judgement]) -> tuple[str, ...]:
    """Return what was looked for and not found, in words."""
    causes: set[str] = {each.finding.cause for each in found}
    if causes & _ALONE:
        return ()
    # What comes along with the main cause was neither looked for by itself nor is it absent.
    causes |= _FOLLOWS.get(found[0].finding.cause, set())
    silent = [layer.silent for layer in facts.layers if layer.silent is not None]
    stuck = [layer.saturated for layer in facts.layers if layer.saturated is not None]
    looked = [
        ("vanishing", "vanishing gradient"),
        ("exploding", "exploding gradient"),
        ("dead-units", f"dead units (at most {percent(max(silent))} of a layer silent)")
        if silent
        else None,
        ("saturation", f"saturation (at most {percent(max(stuck))} of a layer's values)")
        if stuck
        else None,
        ("collapsed-signal", "samples that look alike") if facts.arriving is not None else None,
        ("frozen", "frozen parameters"),
        ("detached", "detached parameters"),
        ("non-finite", "non-finite values"),
        ("precision", "updates lost to rounding") if facts.step else None,
        ("lr-too-small", "steps too small") if _judged(facts) else None,
        ("lr-too-large", "steps too large") if _judged(facts) else None,
        ("weight-decay", "weight decay above the gradient") if facts.step else None,
        ("no-signal", "labels without signal") if _tested_labels(facts) else None,
    ]
    return tuple(words for each in looked if each for cause, words in [each] if cause not in causes)


def _judged(facts: Facts) -> bool:
    """Tell whether the size of the steps was judged without a doubt that is left."""
    return facts.tried is not None or (facts.step is not None and not facts.doubts)


def _tested_labels(facts: Facts) -> bool:
    if facts.dependence is None:
        return False
    return facts.dependence < limit.INDEPENDENT or (
        facts.tried is not None and facts.tried.held_in is not None
    )
