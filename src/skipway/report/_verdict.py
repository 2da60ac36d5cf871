"""The top of every result: one sentence, what was done, and at most three key figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._keys import Key, diagnosis_keys, loss_keys, metric_keys
from ._source import HOWS
from ._values import (
    Data,
    decades,
    plainly,
    plural,
    quantity,
    real,
    sentence,
    short,
)

_SKIPS = {
    "identity": "addition",
    "projection": "addition to a projection",
    "concatenation": "concatenation",
}
_MEETINGS = {"parallel": "where branches meet", "merge": "where inputs meet"}
_ANSWERS = {"helped": "It helped.", "no difference": "No difference.", "worse": "It got worse."}


@dataclass(frozen=True)
class Verdict:
    """What a reader should know after ten seconds.

    Attributes:
        headline: a short sentence.
        lead: two or three more.
        pairs: (label, words): the cure, the proof.
        facts: (label, value), in the margin.
        keys: at most three figures.
    """

    headline: str
    lead: str
    pairs: Sequence[tuple[str, str]] = ()
    facts: Sequence[tuple[str, str]] = ()
    keys: Sequence[Key] = ()


def verdict(data: Data) -> Verdict:
    """Return the verdict of any result."""
    makers: Mapping[str, Callable[[Data], Verdict]] = {
        "cure": _cure,
        "diagnosis": _diagnosis,
        "comparison": _comparison,
        "rewiring": _rewiring,
        "skips": _skips,
        "plan": lambda plan: Verdict(plan_headline(plan), plan["reason"]),
        "what-if": _what_if,
    }
    return makers.get(data["result"], _small)(data)


def plan_headline(plan: Data, name: str = "") -> str:
    """Say how many skips of which kind: `"25 skips by addition."`."""
    skips = plan["skips"]
    if plan["how"] == "reconnect":
        return _reconnected(plan, name)
    count = plural(len(skips), "skip") if skips else "No skips"
    where = f" in {name}" if name else ""
    return f"{count} by {HOWS.get(plan['how'], plan['how'])}{where}."


def _reconnected(plan: Data, name: str) -> str:
    where = f" of {name}" if name else ""
    count = plural(len(plan["skips"]), "skip")
    if plan["rule"] is None:
        return f"{count}{where} cut."
    return f"{count}{where} by the rule {plan['rule']}."


def treatment(cure: Data) -> str:
    """Return the treatment that the second side of the spine shows, in words."""
    recommended = cure["recommended"] or (cure["comparison"] or {}).get("best")
    if recommended is None:
        return "After"
    by = "by " if recommended in HOWS.values() else "with "
    return f"After, {by}{recommended}"


def planned(cure: Data) -> Sequence[Mapping[str, Any]]:
    """Return the skips of the rewiring that the second side shows."""
    rewiring = shown_rewiring(cure)
    return rewiring["plan"]["skips"] if rewiring else ()


def shown_rewiring(cure: Data) -> Data | None:
    """Return the rewiring of the recommended variant, where one is recommended."""
    wanted = cure["recommended"] or (cure["comparison"] or {}).get("best")
    by_name = {HOWS[each["plan"]["how"]]: each for each in cure["rewirings"]}
    if wanted is None:
        return next(iter(by_name.values()), None)
    return by_name.get(wanted)


def refused(cure: Data) -> list[str]:
    """Return why a rewiring was not possible, where the cure's own words do not say it."""
    return [why for why in cure["refused"] if why not in cure["cure"]]


def _cure(cure: Data) -> Verdict:
    diagnosis, comparison = cure["diagnosis"], cure["comparison"]
    keys = diagnosis_keys(diagnosis, cure["after"])
    if comparison:
        keys = [*keys[:2], *metric_keys(comparison, cure["recommended"])]
    pairs = [("Cure", cure["cure"]), ("Proof", cure["proof"])]
    facts = [("Case", cure["case"]), *((label, value) for label, value in cure["facts"])]
    return Verdict(
        headline=diagnosis["headline"],
        lead=diagnosis["summary"],
        pairs=[(label, words) for label, words in pairs if words],
        facts=facts,
        keys=keys,
    )


def _diagnosis(diagnosis: Data) -> Verdict:
    many = int(diagnosis.get("batches", 1))
    what = "a batch" if many == 1 else f"{plural(many, 'batch', 'batches')}, together"
    on = f", on {what} of {quantity(diagnosis['batch'])}" if diagnosis["batch"] else ""
    facts = [("Measured", f"{diagnosis['when']}{on}")]
    if diagnosis["optimizer"]:
        rate = real(diagnosis["learning_rate"])
        at = f", learning rate {plainly(rate)}" if rate is not None else ""
        facts.append(("Optimizer", diagnosis["optimizer"] + at))
    facts.append(("Weight layers", quantity(len(diagnosis["layers"]))))
    if not diagnosis.get("watching"):  # a training is watched layer by layer, not along paths
        facts.append(("Skips it has", quantity(len(diagnosis["skips"]))))
    return Verdict(
        headline=diagnosis["headline"],
        lead=diagnosis["summary"],
        facts=facts,
        keys=[*diagnosis_keys(diagnosis, None)[:2], *loss_keys(diagnosis)],
    )


def _what_if(asked: Data) -> Verdict:
    before, after = (
        next((layer for layer in asked[side] if layer["name"] == asked["place"]), None)
        for side in ("before", "after")
    )
    keys = [
        Key(
            decades(asked["lost_before"]),
            decades(asked["lost_after"]),
            "",
            "decades of gradient lost on the way back from the loss",
        )
    ]
    if before and after:
        words = f"is the elasticity at `{asked['place']}`"
        keys.append(Key(short(before["elasticity"]), short(after["elasticity"]), "", words))
    return Verdict(
        headline=asked["question"],
        lead=f"{asked['answer']} Nothing was trained and no value changed: only the gradient was "
        "given another way, or one less.",
        facts=[("Measured", f"{asked['when']}, on a batch of {quantity(asked['batch'])}")],
        keys=keys,
    )


def _comparison(comparison: Data) -> Verdict:
    answer = comparison["answer"]
    return Verdict(
        headline=_ANSWERS.get(answer, "The variants side by side."),
        lead=comparison["verdict"],
        facts=[
            ("Case", comparison["case"]),
            ("Seeds", f"{quantity(comparison['seeds'])}, paired"),
            ("Training", plural(int(comparison["epochs"]), "epoch")),
            ("Compared with", comparison["reference"]),
        ],
        keys=metric_keys(comparison, comparison["best"]),
    )


def _rewiring(rewiring: Data) -> Verdict:
    return Verdict(
        headline=plan_headline(rewiring["plan"], f"`{rewiring['model_name']}`"),
        lead=rewiring["plan"]["reason"],
        facts=[
            ("Network", rewiring["model_name"]),
            ("Weight layers", quantity(len(rewiring["layers"]))),
            ("Parameters", quantity(rewiring["parameters"])),
            ("New parameters", quantity(rewiring["parameters_added"])),
        ],
    )


def _skips(data: Data) -> Verdict:
    counts = Counter(skip["kind"] for skip in data["skips"])
    found = sum(counts[kind] for kind in _SKIPS)
    told = [f"{counts[kind]} by {words}" for kind, words in _SKIPS.items() if counts[kind]]
    beside = [
        plural(counts[kind], f"place {word}", f"places {word}")
        for kind, word in _MEETINGS.items()
        if counts[kind]
    ]
    lead = [f"{sentence(', '.join(told))}."] if len(told) > 1 else []
    lead += [f"Beside them, no skips: {', '.join(beside)}."] if beside else []
    headline = plural(found, "skip connection") if found else "No skip connection"
    alone = next(iter(told), "").split(" ", 1)[-1] if len(told) == 1 else ""
    return Verdict(
        headline=f"{headline} in `{data['model_name']}`{', ' + alone if alone else ''}.",
        lead=" ".join(lead),
        facts=[("Network", data["model_name"]), ("Weight layers", quantity(data["layers"]))],
    )


def _small(data: Data) -> Verdict:
    if data.get("title") or not data.get("name"):
        return Verdict(sentence(str(data.get("title") or data["result"].replace("-", " "))), "")
    return Verdict(f"`{data['name']}`", "")
