"""What a cure says: which variant to take, and the sentences about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import nn

from .._case import Case, size
from .._numbers import count, prose
from .._results import Comparison, Diagnosis, Interval, Rewiring, Variant
from .._several_optimizers import class_names

# Addition adds no parameter and little time: it is taken unless another is this much better.
_SIMPLER_WITHIN = 5.0
_WHATEVER_ELSE = {
    "loss": "What the loss is given has to change in the code; no setting mends it.",
    "reattach": "A part of the network is cut off from the loss in the code; no setting mends it.",
    "data": "No change of the network helps before the data does.",
    "none": "Nothing needs to be done.",
}


def counted(number: int, thing: str) -> str:
    """Return `1 epoch` or `2 epochs`."""
    return f"{count(number)} {thing}{'' if number == 1 else 's'}"


def recommend(comparison: Comparison | None) -> str | None:
    """Return the treated variant to take: the simplest of those that helped, or none."""
    if comparison is None:
        return None
    helped = [
        variant
        for variant in comparison.variants
        if variant.role == "treated" and variant.answer == "helped" and _learns(comparison, variant)
    ]
    if not helped:
        return None
    sign = 1 if comparison.higher_is_better else -1
    best = max(helped, key=lambda variant: sign * variant.median)
    simpler = [v for v in helped if v.parameters < best.parameters]
    for variant in simpler:
        if comparison.unit == "points" and best.median - variant.median <= _SIMPLER_WITHIN:
            return variant.name
    return best.name


def _learns(comparison: Comparison, variant: Variant) -> bool:
    """Tell whether a variant does better than a constant answer; better than bad is no cure."""
    if 2 * variant.stalled > len(variant.runs):
        return False
    if comparison.chance is None:
        return True
    if comparison.higher_is_better:
        return variant.median > comparison.chance
    return variant.median < comparison.chance


def outcome(
    diagnosis: Diagnosis, chosen: str | None
) -> Literal["cured", "nothing to cure", "not cured"]:
    """Return how it ended."""
    if diagnosis.cause in ("healthy", "solved"):
        return "nothing to cure"
    return "cured" if chosen else "not cured"


def facts(case: Case, model: nn.Module, seeds: int) -> tuple[tuple[str, str], ...]:
    """Return what stands at the top of the page: model, data, training, seeds."""
    weights = sum(parameter.dim() > 1 for parameter in model.parameters())
    total = sum(parameter.numel() for parameter in model.parameters())
    optimizer = case.make_optimizer(model.parameters())
    rates = dict.fromkeys(f"{group['lr']:g}" for group in optimizer.param_groups)
    return (
        ("Model", f"{type(model).__name__}, {counted(weights, 'weight layer')}, "
                  f"{counted(total, 'parameter')}"),
        ("Data", f"{count(size(case.train))} training and {count(size(case.test))} test samples"),
        ("Training", f"{class_names(optimizer)} {', '.join(rates)}, batch {case.batch_size}, "
                     f"{counted(case.epochs, 'epoch')}"),
        ("Seeds", f"{seeds}, paired"),
    )  # fmt: skip


def cure(
    diagnosis: Diagnosis,
    rewirings: Mapping[str, Rewiring],
    chosen: str | None,
    refused: tuple[str, ...],
) -> str:
    """Say what was done about it."""
    if rewirings:
        if chosen is None:
            tried = " and by ".join(rewirings)
            return f"Skip connections were tried by {tried}; none is shown to help."
        return _path(rewirings[chosen])
    if refused:
        return " ".join(refused)
    if diagnosis.treatment in _WHATEVER_ELSE and not diagnosis.findings:
        return _WHATEVER_ELSE[diagnosis.treatment]
    remedy = diagnosis.findings[0].remedy if diagnosis.findings else ""
    extra = _WHATEVER_ELSE.get(diagnosis.treatment, "A skip connection is not the answer.")
    return f"{remedy.removeprefix('None.').strip()} {extra}".strip()


def _path(rewiring: Rewiring) -> str:
    plan = rewiring.plan
    noun = {"add": "addition", "cat": "concatenation"}[plan.how]
    spans = sorted({_span(rewiring, s.source, s.destination) for s in plan.skips})
    across = (
        f"one across every {counted(spans[0], 'layer')}" if len(spans) == 1 and len(plan.skips) > 1
        else f"across {spans[0]} to {spans[-1]} layers each" if len(spans) > 1
        else f"across {counted(spans[0], 'layer')}"
    )  # fmt: skip
    fewer = plan.how == "cat" and not rewiring.parameters_added
    more = rewiring.parameters_added
    cost = (
        f"{counted(more, 'parameter')} {'is' if more == 1 else 'are'} added"
        if more
        else "No parameter is added"
    )
    fused = ", each fused back to its width" if plan.how == "cat" and not fewer else ""
    return (
        f"Give it another path: {counted(len(plan.skips), noun)}, {across}{fused}. "
        f"{cost} and no layer moves."
    )


def _span(rewiring: Rewiring, source: str, destination: str) -> int:
    names = list(rewiring.layers)
    if source not in names or destination not in names:
        return 2
    base, _, call = destination.rpartition("#")
    other, _, first = source.rpartition("#")
    if base and base == other:  # steps of one recurrent layer
        return int(call) - int(first)
    return names.index(destination) - names.index(source)


def proof(comparison: Comparison | None, chosen: str | None, outcome: str) -> str:
    """Say what the comparison shows, or why there is none."""
    if comparison is None and outcome == "nothing to cure":
        return "Nothing was compared, because nothing has to be cured."
    if comparison is None:
        return (
            "Nothing was compared: the remedy cannot be applied from outside; it is yours to make."
        )
    if chosen is None:
        return comparison.verdict
    variant = comparison.variant(chosen)
    assert variant.difference is not None
    return _gain(comparison, variant, variant.difference) + _start_alone(comparison, variant)


def _start_alone(comparison: Comparison, chosen: Variant) -> str:
    """Say so where the given network, only better initialised, does as well."""
    sign = 1 if comparison.higher_is_better else -1
    for variant in comparison.variants:
        if variant.name == "better start" and sign * (variant.median - chosen.median) >= 0:
            unit = " %" if comparison.unit == "points" else ""
            return (
                f" The given network with a better start reaches {variant.median:.1f}{unit}"
                f" without a skip, this one {chosen.median:.1f}{unit}."
                if variant is not chosen
                else ""
            )
    return ""


def _gain(comparison: Comparison, variant: Variant, gain: Interval) -> str:
    what = "test accuracy" if comparison.metric == "accuracy" else f"test {comparison.metric}"
    unit = f" {comparison.unit} of" if comparison.unit else ""
    learns = "The same network now learns" if variant.stalled == 0 else "It does better"
    return (
        f"{learns}, in {gain.wins} of {gain.pairs} seeds: "
        f"{_signed(comparison, gain.mean)}{unit} {what}, {100 * gain.confidence:.0f} % interval "
        f"{_signed(comparison, gain.low)} to {_signed(comparison, gain.high)}."
    )


def _signed(comparison: Comparison, value: float) -> str:
    size = f"{abs(value):.1f}" if comparison.unit == "points" else prose(abs(value))
    return f"{'−' if value < 0 else '+'}{size}"
