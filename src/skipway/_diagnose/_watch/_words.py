"""What began while training, in words: the warning of one line, and the finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..._numbers import count
from ..._results import Cause, Event, Finding, Treatment
from .. import _thresholds as limit
from .._words import code, listed, plural
from ._spells import Spell


@dataclass(frozen=True)
class Kind:
    """One kind of spell.

    Attributes:
        cause: of the finding.
        says: what happened to one layer or to the network, after its name.
        title: of the finding.
        evidence: the rule, in words.
        remedy: what to do.
        treatment: which kind of remedy it is.
        whole: whether it concerns the whole network.
        main: whether it can be the main cause.
    """

    cause: Cause
    says: str
    title: str
    evidence: str
    remedy: str
    treatment: Treatment
    whole: bool = False
    main: bool = True


_SKIP = (
    "Where the gradient is lost over many layers, a skip across every two of them; "
    "`skipway.diagnose` on a batch tells depth from a bad start, and `rewire` places the skips."
)

# In the order of action: what makes numbers meaningless, what stops signals, what stops the step.
KINDS: dict[str, Kind] = {
    "non-finite": Kind(
        "non-finite",
        "holds or gets NaN or infinity",
        "Values are NaN or infinite",
        "The weights, the gradient or the step hold a value that is NaN or infinite.",
        "Go back to a checkpoint from before it, and look at the step where it began: a smaller "
        "learning rate, gradient clipping, or a small constant inside a root or a logarithm.",
        "precision",
    ),
    "non-finite loss": Kind(
        "non-finite",
        "the loss is NaN or infinite",
        "The loss is NaN or infinite",
        "The loss that was handed in is NaN or infinite.",
        "Look at the batch and at the layers of the step where it began: a smaller learning rate, "
        "gradient clipping, or a small constant inside a root or a logarithm.",
        "precision",
        whole=True,
    ),
    "detached": Kind(
        "detached",
        "gets no gradient at all",
        "The gradient is cut off",
        "The optimizer holds these weights and they require a gradient, yet none arrives: it is "
        "not small, there is none.",
        "Take the `detach`, `.data` or `torch.no_grad` out of the way, or freeze these layers with "
        "requires_grad_(False) if it is meant. Where no layer gets one, look whether the loss is "
        "computed with this model, and not with a copy of it.",
        "reattach",
    ),
    "dead": Kind(
        "dead-units",
        "is switched off for nearly all samples",
        "Units are switched off for every sample",
        f"At least {100 * (1 - limit.ALIVE):.0f} % of these weights get no gradient from any "
        "sample of the batch, though it arrives behind them: their units are off.",
        "Start the biases at zero and the weights after He et al. (kaiming_normal_); if units die "
        "while training, lower the learning rate or use a leaky activation.",
        "initialisation",
    ),
    "dying": Kind(
        "vanishing",
        "hardly gets any gradient",
        "The gradient dies on its way back",
        f"More than {limit.DYING:g} decades of elasticity are lost between the loss and these "
        "layers, and at most "
        f"{limit.WEAK:.1g} of the loss would change if their output changed by 100 %.",
        _SKIP,
        "skip",
    ),
    "exploding": Kind(
        "exploding",
        "explodes: its output matters more than the loss allows",
        "The gradient explodes",
        f"A change of 1 % in the output of these layers would change the loss by more than "
        f"{limit.EXPLODING:g} %.",
        "Start the weights smaller or normalise each layer; where branches are summed, scale each "
        "by one over the root of their number. Clipping hides it and does not cure it.",
        "initialisation",
    ),
    "collapsed": Kind(
        "collapsed-signal",
        "all samples look the same to the last layer",
        "All inputs look the same to the deep layers",
        f"What differs between samples is less than {limit.COLLAPSED:g} of what the last layer "
        "reads.",
        "Normalise the inputs, start biases at zero, and lower the learning rate if the samples "
        "could be told apart before.",
        "normalisation",
        whole=True,
    ),
    "stopped": Kind(
        "precision",
        "stopped moving",
        "Layers have stopped moving",
        "These weights have a gradient, and the step leaves every one of them exactly as it was.",
        "Look at the size of the step: a larger learning rate where it is tiny, float32 weights "
        "(torch.autocast for the arithmetic) or stochastic rounding where they have 16 bits.",
        "precision",
    ),
    "rounded": Kind(
        "precision",
        "loses most of its updates to rounding",
        "Updates are rounded away",
        f"At least {100 * limit.LOST:g} % of the weights with a gradient stay exactly what they "
        "were.",
        "Keep the weights in float32 and compute in 16 bits (torch.autocast); or round "
        "stochastically; or sum up what rounding loses (Kahan).",
        "precision",
    ),
    "overshooting": Kind(
        "lr-too-large",
        "the steps overshoot: the loss does not fall",
        "The steps are too large",
        f"To first order a step takes more than {100 * limit.FAST:.0f} % of the loss away, or "
        "steps are as large as most layers' weights, or the loss or these have grown "
        f"{limit.APART:g} times; the loss does not fall.",
        "A smaller learning rate, or a warm-up.",
        "learning-rate",
        whole=True,
    ),
    "epsilon": Kind(
        "lr-too-small",
        "moves by the optimizer's epsilon, not by its gradient",
        "Adam's epsilon sets the step",
        f"For more than {100 * limit.EPSILON_SHARE:g} % of the weights with a gradient, sqrt(v) "
        "is below eps, and the steps take next to nothing off the loss.",
        "A smaller eps, or a gradient that is not made so small: by a factor of the loss, or by "
        "clipping to a tiny norm. Look for a vanishing gradient first.",
        "optimizer",
    ),
    "slow": Kind(
        "lr-too-small",
        "the steps are too small: the loss stays where it was",
        "The steps are too small",
        f"One step takes less than {limit.TOO_SLOW:.1g} of the loss away, to first order, and the "
        "loss stays where it began.",
        "A larger learning rate. If no rate helps, ask `skipway.diagnose` on a batch.",
        "learning-rate",
        whole=True,
    ),
}


def headline(spell: Spell, names: Sequence[str]) -> str:
    """Say what began: `"layers.12 stopped moving"`."""
    kind = KINDS[spell.kind]
    if kind.whole:
        return kind.says
    first = names[spell.layers[0]]
    more = len(spell.layers) - 1
    return f"{first}{f' and {count(more)} more' if more else ''} {_verb(kind.says, more)}"


def _verb(says: str, more: int) -> str:
    if not more:
        return says
    plurals = {
        "holds or gets": "hold or get",
        "gets": "get",
        "is switched": "are switched",
        "hardly gets": "hardly get",
        "explodes: its output matters": "explode: their outputs matter",
        "loses most of its": "lose most of their",
        "moves by the optimizer's epsilon, not by its": "move by the optimizer's epsilon, not by "
        "their",
    }
    for one, many in plurals.items():
        if says.startswith(one):
            return many + says[len(one) :]
    return says


def event(spell: Spell, names: Sequence[str]) -> Event:
    """Return a spell as plain data."""
    kind = KINDS[spell.kind]
    layers = () if kind.whole else tuple(names[place] for place in spell.layers)
    return Event(spell.step, kind.cause, headline(spell, names), layers, spell.until)


def finding(name: str, spells: Sequence[Spell], names: Sequence[str], total: int) -> Finding:
    """Return what all spells of one kind say together."""
    kind = KINDS[name]
    places = [] if kind.whole else sorted({place for s in spells for place in s.layers})
    layers = tuple(names[place] for place in places)
    place = "The whole network."
    if layers:
        place = f"{listed(layers)}: {count(len(layers))} of {plural(total, 'layer')}."
    return Finding(
        cause=kind.cause,
        title=kind.title,
        place=place,
        evidence=f"{kind.evidence} {when(spells)}",
        remedy=kind.remedy,
        sure=_sure(name),
        treatment=kind.treatment,
        layers=layers,
    )


def when(spells: Sequence[Spell]) -> str:
    """Say from which step to which."""
    first = min(spell.step for spell in spells)
    if any(spell.until is None for spell in spells):
        return f"Since step {count(first)}."
    last = max(spell.until or 0 for spell in spells)
    return f"From step {count(first)} to step {count(last)}; not any more."


def _sure(name: str) -> Literal["Certain.", "Likely."] | str:
    if name in ("non-finite", "non-finite loss", "detached", "stopped", "rounded"):
        return "Certain. Counted in the steps that were really taken."
    if name == "dying":
        return (
            "Likely. Measured at each layer's own output; what a skip carries around it is not "
            "counted here. `skipway.diagnose` follows the paths."
        )
    return "Likely. Judged from the steps that were really taken; no other was tried."


def place_of(finding: Finding, names: Sequence[str]) -> str:
    """Return the layer that a page may point at."""
    return finding.layers[0] if finding.layers else names[-1]


def quoted(spell: Spell, names: Sequence[str]) -> str:
    """Return what began, with names as code."""
    said = headline(spell, names)
    if KINDS[spell.kind].whole:
        return f"{said[0].upper()}{said[1:]}"
    first = names[spell.layers[0]]
    return f"{code(first)}{said[len(first) :]}"
