"""The key figures: what a diagnosis or a comparison comes down to, before and after."""

from __future__ import annotations

from dataclasses import dataclass

from . import _metric
from ._training import is_linear
from ._values import (
    Data,
    decades,
    finite,
    median,
    plainly,
    plural,
    quantity,
    real,
    reals,
    short,
)


@dataclass(frozen=True)
class Key:
    """A figure: what it was and, where there is a second measurement, what it is now."""

    was: str
    now: str
    unit: str
    words: str


def diagnosis_keys(diagnosis: Data, after: Data | None) -> list[Key]:
    """Return what was lost on the way back, and what happens in the named layer."""
    before, now = _named(diagnosis, diagnosis["place"]), _named(after, diagnosis["place"])
    lost = Key(
        decades(diagnosis["decades_lost"]),
        decades(after["decades_lost"]) if after else "",
        "",
        "decades of gradient lost on the way back from the loss",
    )
    # What is not a number has lost no decades; nothing lost before and nothing after is no news.
    broken = any(layer["state"] == "broken" for layer in diagnosis["layers"])
    news = (
        not broken
        if after is None
        else any(not float(side["decades_lost"]) < 1 for side in (diagnosis, after))
    )
    return [*([lost] if news else []), *([_weights_key(before, now)] if before else [])]


def _named(diagnosis: Data | None, name: str) -> Data | None:
    layers = diagnosis["layers"] if diagnosis else ()
    return next((layer for layer in layers if layer["name"] == name), None)


def _weights_key(before: Data, now: Data | None) -> Key:
    """Choose the figure that shows best what happens in the named layer."""
    name, gradient = before["name"], int(before["with_gradient"])
    lost, lost_now = _rounded_away(before), _rounded_away(now)
    if gradient == 0:
        has = quantity(now["with_gradient"]) if now else ""
        of = quantity(before["weights"])
        return Key("0", has, "", f"of the {of} weights in `{name}` have a gradient")
    # A handful of weights is rounded away in any healthy step.
    if lost and lost > 0.01 * gradient and (now is None or lost_now is not None):
        words = f"of the {plural(gradient, 'weight')} in `{name}` that have a gradient "
        words += "lose their update to rounding"
        return Key(quantity(lost), quantity(lost_now) if now else "", "", words)
    reaches = short(now["gradient"]) if now else ""
    return Key(short(before["gradient"]), reaches, "", f"is the gradient that reaches `{name}`")


def _rounded_away(layer: Data | None) -> int | None:
    if layer is None or layer.get("moved") is None:
        return None
    return int(layer["with_gradient"]) - int(layer["moved"])


def loss_keys(diagnosis: Data) -> list[Key]:
    """Return the loss, where it is known."""
    if diagnosis.get("watching") and not finite(real(diagnosis["loss"])):
        return []  # none was handed in
    return [_loss_key(diagnosis)]


def _loss_key(diagnosis: Data) -> Key:
    chance = real(diagnosis["chance"])
    words = f"is the loss of this batch, {diagnosis['when']}"
    if diagnosis.get("watching"):
        words = f"was the loss at the last look, {diagnosis['when']}"
    if chance is not None and finite(chance):
        words += f"; the best constant output has {plainly(chance, 4)}"
    return Key(plainly(diagnosis["loss"], 4), "", "", words)


def metric_keys(comparison: Data, wanted: str | None) -> list[Key]:
    """Return the metric of the reference, and of the variant that is wanted."""
    variants = {variant["name"]: variant for variant in comparison["variants"]}
    reference = variants.get(comparison["reference"])
    treated = variants.get(wanted or comparison["best"] or "")
    if reference is None:
        return []
    words = f"{_metric.name(comparison)}, median of {plural(int(comparison['seeds']), 'seed')}"
    known = []
    if comparison["chance"] is not None:
        known.append(f"guessing reaches {_metric.value(comparison['chance'], comparison)}")
    linear = next((v for v in comparison["variants"] if is_linear(v, comparison)), None)
    if linear is not None:
        ends = [float(run["test"][-1]) for run in linear["runs"] if run["test"]]
        known.append(f"a linear model {_metric.value(median(reals(ends)), comparison)}")
    words += f"; {', '.join(known)}" if known else ""
    now = _metric.bare(treated["median"], comparison) if treated else ""
    was = _metric.bare(reference["median"], comparison)
    return [Key(was, now, _metric.unit(comparison).strip(), words)]
