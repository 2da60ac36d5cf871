"""Results made by formula, for the tests of the report: realistic numbers, no training."""

from __future__ import annotations

import itertools
import math

from skipway._results import (
    Comparison,
    Cure,
    Diagnosis,
    Finding,
    Interval,
    LayerReading,
    Plan,
    PlannedSkip,
    Rewiring,
    Run,
    SkipConnection,
    Skips,
    Variant,
    WhatIf,
)

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


def state_of(lost: float, moved: int, gradient: int) -> str:
    """Give a layer the state that its numbers call for."""
    if gradient and not moved:
        return "still"
    return "arrives" if lost < 1 else "fading" if lost <= 2 else "dying"


def reading(name: str, kind: str, elasticity: float, top: float, **more) -> LayerReading:
    """One layer whose other numbers follow from its elasticity."""
    lost = max(0.0, math.log10(top / elasticity)) if elasticity > 0 else math.inf
    weights = more.pop("weights", 4096)
    gradient = more.pop("with_gradient", 3575 if elasticity > 0 else 0)
    moved = more.pop("moved", 0 if elasticity < 4e-7 else gradient - 4)
    return LayerReading(
        name=name,
        type=kind,
        state=more.pop("state", state_of(lost, moved, gradient)),
        elasticity=elasticity,
        branch_elasticity=elasticity,
        weight_elasticity=elasticity * 0.8,
        decades_lost=lost,
        gradient=elasticity * 0.28,
        output_gradient=elasticity * 0.11,
        weight=4.6,
        weights=weights,
        with_gradient=gradient,
        moved=moved,
        step=elasticity * 6e-4,
        progress=elasticity * 1e-5,
        signal=0.56,
        silent=0.06,
        **more,
    )


def names(depth: int) -> list[str]:
    """Layers of a plain net: a stem, hidden layers, a head."""
    return ["stem", *(f"hidden.{at}" for at in range(depth)), "head"]


def readings(depth: int, lost_per_layer: float, top: float = 0.21) -> tuple[LayerReading, ...]:
    """Layers whose elasticity falls evenly on the way back from the head."""
    found = []
    for at, name in enumerate(names(depth)):
        kind = "Linear 64 → 10" if name == "head" else "Linear 64 → 64"
        lost = lost_per_layer * (depth + 1 - at)
        found.append(reading(name, kind, top * 10**-lost, top))
    return tuple(found)


def finding(cause: str = "vanishing", **more) -> Finding:
    """A finding with words in all its fields."""
    given = {
        "cause": cause,
        "title": "The gradient vanishes through depth",
        "place": "`head` to `stem`, evenly: about 0.4 decades at each layer. "
        "No single layer is to blame.",
        "evidence": "The elasticity falls from 0.21 to 2.4 × 10⁻¹⁹, 17.9 decades. "
        "More than 2 counts as dying.",
        "remedy": "A skip across every two layers. No learning rate would do: it would have to be "
        "more than 10¹⁴ times larger.",
        "sure": "Certain. Counted at every layer.",
        "treatment": "skip",
        "layers": ("hidden.0",),
    }
    return Finding(**{**given, **more})


def diagnosis(depth: int = 50, lost_per_layer: float = 0.35, **more) -> Diagnosis:
    """A plain net; sick when it loses decades."""
    layers = more.pop("layers", readings(depth, lost_per_layer))
    given = {
        "cause": "vanishing",
        "treatment": "skip",
        "headline": "The gradient dies on its way back.",
        "summary": "What reaches `hidden.0` is 8.1 × 10⁻²⁰. At a learning rate of 0.01 the step is "
        "so small that float32 rounds it away: 4,096 of 4,096 weights stay exactly what they were.",
        "layers": layers,
        "findings": (
            finding(),
            finding(
                "collapsed-signal",
                title="All inputs look the same to the deep layers",
                place="From `hidden.9` on.",
                evidence="What differs between samples is 0.69 of the signal at `stem` and "
                "6 × 10⁻⁴ at `hidden.9`.",
                remedy="The same skips.",
                sure="Certain that it happens. It follows from 1.",
                layers=("hidden.9",),
            ),
            finding(
                "precision",
                title="Updates are rounded away",
                place="`stem` to `hidden.34`: 36 of 52 layers, every weight.",
                evidence="At `hidden.0` the step is 1.8 × 10⁻²² of the weights.",
                remedy="None of its own. It follows from 1 and goes with it.",
                sure="Certain. Counted weight by weight.",
                treatment="precision",
                layers=("stem",),
            ),
        ),
        "absent": ("exploding gradient", "dead units", "frozen or detached parameters"),
        "skips": (),
        "when": "before the first step",
        "batch": 64,
        "loss": 2.304,
        "skill": 1.0006,
        "chance": 2.3026,
        "decades_lost": max((layer.decades_lost for layer in layers), default=0.0),
        "place": "hidden.0",
        "learning_rate": 0.01,
        "optimizer": "SGD",
    }
    return Diagnosis(**{**given, **more})


def planned(depth: int, merge: str = "add") -> tuple[PlannedSkip, ...]:
    """A skip across every two layers."""
    taps = ["stem", *(f"hidden.{at}" for at in range(1, depth, 2))]
    return tuple(
        PlannedSkip(
            source=source,
            destination=destination,
            merge=merge,
            fuse="linear" if merge == "cat" else None,
            source_shape=(64, 64),
            destination_shape=(64, 64),
        )
        for source, destination in itertools.pairwise(taps)
    )


def rewiring(depth: int = 50, how: str = "add") -> Rewiring:
    """A plain net with skips, and its source."""
    lines = ["from torch import nn", "from torch.nn.functional import relu", "", ""]
    lines += ["class Net(nn.Module):", "    def forward(self, x):", "        x = self.stem(x)", ""]
    added = []
    for at in range(0, depth, 2):
        lines.append("        skip = x")
        added.append(len(lines))
        lines.append(f"        x = self.hidden[{at}](relu(x))")
        lines.append(f"        x = self.hidden[{at + 1}](relu(x))")
        join = "skip + x" if how == "add" else f"self.fuse_{at // 2}(skip, x)"
        lines.append(f"        x = {join}")
        added.append(len(lines))
        lines.append("")
    lines.append("        return self.head(relu(x))  # the logits")
    skips = planned(depth, how)
    return Rewiring(
        plan=Plan(how, skips, "One skip across every two layers, all along the chain."),
        code="\n".join(lines) + "\n",
        added=tuple(added),
        model_name="Net",
        parameters=212_810 if how == "add" else 419_210,
        parameters_added=0 if how == "add" else 206_400,
        layers=tuple(names(depth)),
    )


def run(variant: str, seed: int, end: float, **more) -> Run:
    """A training that approaches its end within a few epochs."""
    wobble = 0.7 * math.sin(7.0 * seed + len(variant))
    curve = [10 + (end + wobble - 10) * (1 - math.exp(-0.6 * epoch)) for epoch in range(11)]
    loss = [2.3026 * (1 - 0.98 * (value - 10) / 90) for value in curve]
    given = {
        "variant": variant,
        "seed": seed,
        "learning_rate": 1.0,
        "status": "done",
        "error": None,
        "train_loss": tuple(loss),
        "validation": tuple(curve),
        "test": tuple(curve),
        "stalled": end < 14,
        "step_ms": 4.2,
        "seconds": 1.3,
        "parameters": 212_810,
    }
    return Run(**{**given, **more})


def variant(name: str, detail: str, role: str, end: float, reference: float = 10.1, **more):
    """A variant with five seeds."""
    runs = more.pop("runs", tuple(run(name, seed, end) for seed in range(5)))
    ends = sorted(each.test[-1] for each in runs if each.status == "done")
    difference = None
    if role != "reference":
        gap = end - reference
        difference = Interval(gap, gap - 1.5, gap + 1.5, 5, 5 if gap > 0 else 0)
    given = {
        "name": name,
        "detail": detail,
        "role": role,
        "learning_rate": 0.01,
        "factor": 1.0,
        "tried": ((1.0, end), (3.1623, end - 1), (10.0, end - 5)),
        "runs": runs,
        "median": ends[len(ends) // 2] if ends else math.nan,
        "mean": sum(ends) / len(ends) if ends else math.nan,
        "low": ends[0] if ends else math.nan,
        "high": ends[-1] if ends else math.nan,
        "difference": difference,
        "against_linear": None
        if name == "linear"
        else Interval(end - 89.2, end - 90.6, end - 87.8, 5, 5 if end > 89.2 else 0),
        "failures": sum(each.status != "done" for each in runs),
        "stalled": sum(each.stalled for each in runs),
        "step_ms": 4.2,
        "parameters": 212_810,
        "answer": None if role == "reference" else "helped",
    }
    return Variant(**{**given, **more})


def comparison(**more) -> Comparison:
    """Plain against two treatments and three controls."""
    given = {
        "case": "plain-mlp",
        "reference": "plain",
        "variants": (
            variant("plain", "50 hidden layers", "reference", 10.1),
            variant("addition", "a skip every two layers", "treated", 91.4),
            variant("concatenation", "fuse starts as [I | I]", "treated", 95.7, parameters=419_210),
            variant("better start", "plain, orthogonal weights", "control", 22.7),
            variant("shallow", "2 weight layers", "control", 18.9, parameters=13_130, step_ms=0.4),
            variant("linear", "no hidden layer", "control", 89.2, parameters=650, step_ms=0.2),
        ),
        "metric": "accuracy",
        "unit": "points",
        "higher_is_better": True,
        "chance": 10.1,
        "chance_loss": 2.3026,
        "answer": "helped",
        "best": "concatenation",
        "verdict": "Yes. Both kinds of skip cure it, in every seed. Concatenation ends 4.3 points "
        "above addition, for twice the parameters.",
        "notes": (
            ("Depth is not needed here", "A linear model reaches 89.2 %."),
            ("A better start is not enough", "Orthogonal weights reach 22.7 % in ten epochs."),
            ("Times are medians", "on one thread of a shared machine. Read them as rough ratios."),
        ),
        "missing": (),
        "seeds": 5,
        "epochs": 10,
        "settings": {"batch size": "64", "optimizer": "SGD 0.01", "validation part": "20 %"},
        "environment": {"machine": "x86-64, 2 cores", "threads": "1", "precision": "float32"},
        "configuration": "cbb36f122e83",
    }
    return Comparison(**{**given, **more})


def healed(depth: int) -> Diagnosis:
    """The same net with skips: nothing is lost."""
    layers = tuple(
        reading(
            name,
            "Linear 64 → 64",
            3.0 + 0.6 * (at % 2) + 0.01 * at,
            4.4,
            via_skip=0.079,
            via_branch=0.032,
        )
        for at, name in enumerate(names(depth))
    )
    return diagnosis(depth, layers=layers, findings=(), headline="Healthy.", decades_lost=0.02)


def cure(depth: int = 50, **more) -> Cure:
    """The whole main job."""
    given = {
        "case": "plain-mlp",
        "summary": "A plain network of 50 hidden layers on scikit-learn's digits.",
        "facts": (
            ("Model", "plain, 50 hidden layers of 64, ReLU"),
            ("Data", "scikit-learn digits, 1,400 + 397"),
            ("Training", "SGD 0.01, batch 64, 10 epochs"),
            ("Seeds", "5, paired"),
        ),
        "diagnosis": diagnosis(depth, 17.9 / (depth + 1)),
        "later": None,
        "after": healed(depth),
        "rewirings": (rewiring(depth), rewiring(depth, "cat")),
        "refused": (),
        "comparison": comparison(),
        "recommended": "addition",
        "outcome": "cured",
        "cure": "Give it another path: 25 additions, one across every two layers. No parameter is "
        "added and no layer moves.",
        "proof": "The same network now learns, in 5 of 5 seeds: +81.3 points of test accuracy, "
        "95 % interval 79.8 to 82.8.",
        "command": "skipway cure --seeds 5 --epochs 10",
        "versions": {"skipway": "0.1.0", "Python": "3.11.7", "torch": "2.13.0"},
        "written": "2026-11-23",
    }
    return Cure(**{**given, **more})


def skips() -> Skips:
    """Long enough to fold, of every kind, with a hostile name."""
    kinds = ["identity", "projection", "concatenation", "parallel", "merge"]
    return Skips(
        f"Net{HOSTILE}",
        140,
        tuple(
            SkipConnection(
                kinds[at % 5], f"layer.{at}", f"layer.{at + 2}", (f"layer.{at + 1}",), (2, 8),
                (f"layer.{at}", "stem"), (2, 8), "add" if at % 5 < 2 else "cat", "layer",
            )
            for at in range(70)
        ),
    )  # fmt: skip


def residual(blocks: int) -> Diagnosis:
    """A network that already has its skips, with a projection and a long one over everything."""
    found = ["stem", *(f"layer.{b}.conv{c}" for b in range(blocks) for c in (1, 2)), "fc"]
    layers = tuple(reading(name, "Conv2d 16 → 16, 3×3", 0.5, 0.6) for name in found)
    taps = ["stem", *(f"layer.{b}.conv2" for b in range(blocks))]
    skips = [
        SkipConnection("identity" if at else "projection", a, b, (), (64, 16, 8, 8))
        for at, (a, b) in enumerate(itertools.pairwise(taps))
    ]
    skips.append(SkipConnection("identity", "input", "fc"))
    return diagnosis(
        layers=layers,
        skips=tuple(skips),
        findings=(),
        place="stem",
        cause="healthy",
        treatment="none",
        headline="Nothing is wrong.",
        summary="It trains.",
    )


def what_if(depth: int = 50) -> WhatIf:
    """A plain net with a skip that is only thought of."""
    before, after = diagnosis(depth), healed(depth)
    ends = names(depth)[1], names(depth)[-2]
    return WhatIf(
        question=f"What if a skip led from `{ends[0]}` to `{ends[1]}`?",
        answer=f"The elasticity at `{ends[0]}` would be 3 instead of 2.4 × 10⁻¹⁹.",
        place=ends[0],
        before=before.layers,
        after=after.layers,
        lost_before=before.decades_lost,
        lost_after=after.decades_lost,
        skips=(),
        skips_after=(SkipConnection("identity", *ends),),
        when="before the first step",
        batch=64,
    )
