"""A watched training as a `Diagnosis`: the layers as they are now, the findings since it began."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..._numbers import apart, count, prose
from ..._results import Diagnosis, Finding, LayerReading
from .. import _thresholds as limit
from .._words import listed, plural
from ._history import History
from ._readings import readings, watching
from ._setting import Setting
from ._spells import Spell
from ._words import KINDS, finding, place_of, quoted


def diagnosis(history: History, spells: Sequence[Spell], setting: Setting) -> Diagnosis:
    """Return what the training shows so far."""
    layers = readings(history, setting)
    findings = _findings(history, spells, len(layers))
    lasting = [
        each for each, spell in findings if spell.until is None or each.cause == "lr-too-large"
    ]
    main = lasting[0] if lasting else _well(history, setting.stays)
    if _still(layers) and not lasting and not _falls(history):
        main = _frozen(layers)
    others = [each for each, _ in findings if each is not main]
    loss = history.loss if history.loss is not None else math.nan
    rates = [step.rate for step in history.steps]
    return Diagnosis(
        cause=main.cause,
        treatment=main.treatment,
        headline=_headline(main),
        summary=_summary(history, spells, setting, lasting),
        layers=layers,
        findings=(main, *others),
        absent=(),
        skips=(),
        when=f"while training, steps 1 to {count(setting.steps)}",
        batch=0,
        loss=loss,
        skill=None,
        chance=None,
        decades_lost=max((layer.decades_lost for layer in layers), default=0.0),
        place=place_of(main, [layer.name for layer in layers]),
        learning_rate=rates[-1] if rates else None,
        optimizer=setting.optimizer,
        relative=history.loss is None or history.loss <= 0,
        notes=tuple(setting.notes),
        watching=watching(history, spells, setting),
    )


def _findings(history: History, spells: Sequence[Spell], total: int) -> list[tuple[Finding, Spell]]:
    found = []
    for name in KINDS:
        own = [spell for spell in spells if spell.kind == name]
        if own:
            latest = max(own, key=lambda spell: (spell.until is None, spell.until or 0))
            found.append((finding(name, own, history.names, total), latest))
    shot = next((spell for spell in spells if spell.kind == "overshooting"), None)
    if shot is not None and all(shot.step <= spell.step for spell in spells):
        # What a step that overshoots leaves behind (saturation, NaN) is no illness of its own.
        found.sort(key=lambda each: each[0].cause != "lr-too-large")
        return found
    return sorted(found, key=lambda each: each[1].until is not None)


def _well(history: History, stays: bool) -> Finding:
    solved = _solved(history)
    return Finding(
        cause="solved" if solved else "healthy",
        title="Little is left to learn" if solved else _healthy_title(history, stays),
        place="The whole network.",
        evidence=_loss_words(history),
        remedy="Ask `skipway.diagnose` on a batch, with the optimizer: it tries steps on a copy, "
        "at other rates too, and tests the labels."
        if stays and not solved
        else "None.",
        sure="As sure as the steps that were looked at can make it.",
        treatment="none",
    )


def _healthy_title(history: History, stays: bool) -> str:
    """Say no more than was seen: whether something is learned only a loss that falls tells."""
    if stays:
        return "The layers move, and the loss does not fall"
    return "The layers learn" if _falls(history) else "The layers move"


def _falls(history: History) -> bool:
    first, last = history.first_loss, history.loss
    if first is None or last is None or history.several:
        return False
    return last < limit.STUCK * first


def _still(layers: Sequence[LayerReading]) -> bool:
    """Tell whether the last layer and most of all weights cannot move."""
    still = sum(layer.weights for layer in layers if not layer.trainable)
    return not layers[-1].trainable and still > sum(layer.weights for layer in layers) / 2


def _frozen(layers: Sequence[LayerReading]) -> Finding:
    names = tuple(layer.name for layer in layers if not layer.trainable)
    return Finding(
        cause="frozen",
        title="Weights cannot move",
        place=f"{listed(names)}: {count(len(names))} of {plural(len(layers), 'layer')}.",
        evidence="Their weights require no gradient, or no optimizer holds them; the last layer's "
        "are among them.",
        layers=names,
        remedy="Call requires_grad_(True) on the layers that should learn, the last one first.",
        sure="Certain.",
        treatment="unfreeze",
    )


def _solved(history: History) -> bool:
    first, last = history.first_loss, history.loss
    return bool(first and last is not None and 0 <= last < limit.SOLVED * first)


def _loss_words(history: History) -> str:
    if not history.losses:
        return "No loss was handed in, so what the steps take of it cannot be said."
    pairs = [history.losses[place] for place in sorted(history.losses)]
    once = len(history.steps) == 1
    said = [_way(*each, once) for each in (pairs if history.several else pairs[:1])]
    text = f"The loss {said[0]}." if len(said) == 1 else f"The losses: the first {said[0]}"
    text += "".join(f", the {_ORDINALS[at]} {each}" for at, each in enumerate(said[1:]))
    text += "." if len(said) > 1 else ""
    share = history.share()
    if share is not None:
        text += f" The last step looked at takes {prose(share)} of it away, to first order."
    return text


_ORDINALS = ("second", "third", *(f"{place}th" for place in range(4, 100)))


def _way(first: float, last: float, once: bool) -> str:
    if once:
        return f"was {prose(last)} at the one step looked at"
    begun, now = apart(first, last)
    return f"went from {begun} to {now}" if begun != now else f"stayed at {now}"


def _headline(main: Finding) -> str:
    if main.cause == "frozen":
        return "The weights that should learn are frozen."
    return "There is little left to learn." if main.cause == "solved" else f"{main.title}."


def _summary(
    history: History, spells: Sequence[Spell], setting: Setting, lasting: Sequence[Finding]
) -> str:
    said = [f"Over {plural(setting.steps, 'step')}: {_loss_words(history)}"]
    ordered = sorted(spells, key=lambda spell: spell.step)
    if ordered:
        first = ordered[0]
        said.append(f"Step {count(first.step)}: {quoted(first, history.names)}.")
    if len(ordered) > 1:
        last = ordered[-1]
        said.append(f"Last, at step {count(last.step)}: {quoted(last, history.names)}.")
    if ordered and not lasting:
        said.append("Nothing of that lasts.")
    return " ".join(said)
