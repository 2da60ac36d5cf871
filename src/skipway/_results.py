"""What the verbs return: frozen dataclasses of plain numbers and words.

```
diagnose ─► Diagnosis ── layers: LayerReading, findings: Finding, skips: SkipConnection
rewire   ─► Rewiring  ── plan: Plan ── skips: PlannedSkip
compare  ─► Comparison ─ variants: Variant ── runs: Run
cure     ─► Cure      ── a Diagnosis before and after, Rewirings, a Comparison
```
Every one prints itself, shows itself in a notebook, turns into plain data and back, and saves
itself as `.json` or as a page, `.html`. Words in results may carry `backticks` around names of
code; numbers in them are already written for a reader.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args

from torch import nn

from . import report
from ._errors import RunError, SkipwayError
from ._files import write_text
from ._plain import from_plain, to_plain

Cause = Literal[
    "vanishing",
    "exploding",
    "dead-units",
    "saturation",
    "collapsed-signal",
    "lr-too-small",
    "lr-too-large",
    "weight-decay",
    "precision",
    "frozen",
    "detached",
    "non-finite",
    "no-signal",
    "solved",
    "healthy",
]
CAUSES: tuple[str, ...] = get_args(Cause)

Treatment = Literal[
    "skip",
    "initialisation",
    "normalisation",
    "learning-rate",
    "precision",
    "unfreeze",
    "reattach",
    "optimizer",
    "data",
    "none",
]
State = Literal["arrives", "fading", "dying", "still"]
Kind = Literal["identity", "projection", "concatenation", "parallel", "merge"]
Answer = Literal["helped", "no difference", "worse"]

R = TypeVar("R", bound="_Result")


class _Result:
    """What every result can do."""

    kind_of_result: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that JSON can hold."""
        return {"result": self.kind_of_result, **to_plain(self)}

    @classmethod
    def from_dict(cls: type[R], data: dict[str, Any]) -> R:
        """Rebuild the result that `to_dict` turned into data.

        Raises:
            RunError: the data is of another result or another version.
        """
        data = dict(data)
        found = data.pop("result", cls.kind_of_result)
        if found != cls.kind_of_result:
            raise RunError(f"The data holds a {found}, not a {cls.kind_of_result}.")
        result: R = from_plain(cls, data)
        return result

    def save(self, path: str | Path) -> Path:
        """Write the result as a self-contained page (`.html`) or as data (`.json`).

        Returns:
            The path written. The file appears whole or not at all.

        Raises:
            SkipwayError: the name ends in neither, or the place cannot be written.
        """
        path = Path(path)
        if path.suffix == ".json":
            text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        elif path.suffix in (".html", ".htm"):
            text = report.page(self.to_dict())
        else:
            raise SkipwayError(f"{path.name!r} ends in neither .html nor .json; name one of them.")
        return write_text(path, text)

    def __str__(self) -> str:
        return report.text(self.to_dict())

    def _repr_html_(self) -> str:
        return report.figure(self.to_dict())


@dataclass(frozen=True)
class SkipConnection(_Result):
    """A skip connection that a model has.

    Attributes:
        kind: identity, projection, concatenation, parallel or merge.
        source: the layer whose output is handed on, or `"input"`.
        destination: the layer after which it joins again.
        branch: the layers it goes around.
        shape: of the joined tensor.
    """

    kind_of_result = "skip-connection"
    kind: Kind
    source: str
    destination: str
    branch: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class LayerReading(_Result):
    """The numbers of one weight layer, at one point of training.

    Norms are Euclidean, in float64, of whole tensors. `None` means that it cannot be known here
    (no optimizer, no such thing in this layer).

    Attributes:
        name: the layer, `module.path` or `module.path#call`.
        type: for readers, `"Linear 64 → 10"`.
        state: `arrives` (less than one decade of elasticity lost on the way back from the loss),
            `fading` (1 to 2), `dying` (more than 2), `still` (every update of a weight that has
            a gradient is lost).
        elasticity: `||dL/dh|| * ||h|| / |L|` over everything alive at this depth: by what
            fraction the loss would change if the signal here changed by 100 %.
        branch_elasticity: the same of this layer's own output alone.
        weight_elasticity: `||dL/dW|| * ||W|| / |L|`.
        decades_lost: `log10` of the largest elasticity between here and the loss over this one.
        gradient: `||dL/dW||`.
        output_gradient: `||dL/dh||` of the layer's own output.
        weight: `||W||`.
        step: `||dW|| / ||W||` of the step really taken.
        progress: the fraction of the loss that this layer's step removes, to first order.
        weights: how many numbers its weight holds.
        with_gradient: how many of them have a gradient that is not zero.
        moved: how many of those the step changed.
        signal: `||h - mean over the batch|| / ||h||`.
        silent: share of the following activation's units that are zero on the whole batch.
        saturated: share of the following activation's values on its flat ends.
        via_skip: `||dL/dh||` that comes over a skip starting here.
        via_branch: `||dL/dh||` that comes through the branch beside that skip.
        trainable: whether the weight requires a gradient and the optimizer holds it.
    """

    kind_of_result = "layer"
    name: str
    type: str
    state: State
    elasticity: float
    branch_elasticity: float
    weight_elasticity: float
    decades_lost: float
    gradient: float
    output_gradient: float
    weight: float
    weights: int
    with_gradient: int
    step: float | None = None
    progress: float | None = None
    moved: int | None = None
    signal: float | None = None
    silent: float | None = None
    saturated: float | None = None
    via_skip: float | None = None
    via_branch: float | None = None
    trainable: bool = True


@dataclass(frozen=True)
class Finding(_Result):
    """One thing that is wrong (or right), with its evidence and what to do.

    Attributes:
        cause: one of `CAUSES`.
        title: a short sentence, `"The gradient vanishes through depth"`.
        place: where, in words.
        evidence: what was measured, in words.
        remedy: what to do, in words.
        sure: how sure, and why.
        treatment: which kind of remedy it is.
        layers: names of the layers concerned, the worst first.
        suggestion: numbers of the remedy where it has them, `{"learning_rate": 0.1}`.
    """

    kind_of_result = "finding"
    cause: Cause
    title: str
    place: str
    evidence: str
    remedy: str
    sure: str
    treatment: Treatment
    layers: tuple[str, ...] = ()
    suggestion: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis(_Result):
    """Where the gradient dies, and why.

    Attributes:
        cause: the main cause, one of `CAUSES`.
        treatment: what answers it; `"skip"` only where depth is the cause.
        headline: a short sentence for the top of a page.
        summary: two or three sentences in the terms the user feels.
        layers: every weight layer in execution order.
        findings: the main finding first, then the others in the order in which to act.
        absent: what was looked for and not found, in words.
        skips: the skip connections the model already has.
        when: at which point of training, `"before the first step"`.
        batch: how many samples.
        loss: of this batch.
        skill: the loss over that of the best constant output; `None` where that has no meaning.
        chance: the loss of the best constant output.
        decades_lost: the most that any layer lost.
        place: the layer named in the summary, where the gradient is weakest.
        learning_rate: of the optimizer; `None` without one.
        optimizer: its class name; `None` without one.
        relative: true where `|L|` means nothing (negative or offset losses) and elasticities are
            relative to the largest one.
        notes: what could not be known here, and why.
    """

    kind_of_result = "diagnosis"
    cause: Cause
    treatment: Treatment
    headline: str
    summary: str
    layers: tuple[LayerReading, ...]
    findings: tuple[Finding, ...]
    absent: tuple[str, ...]
    skips: tuple[SkipConnection, ...]
    when: str
    batch: int
    loss: float
    skill: float | None
    chance: float | None
    decades_lost: float
    place: str
    learning_rate: float | None = None
    optimizer: str | None = None
    relative: bool = False
    notes: tuple[str, ...] = ()

    def layer(self, name: str) -> LayerReading:
        """Return the reading of one layer.

        Raises:
            SkipwayError: the network has no such layer.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(each.name for each in self.layers[:8])
        raise SkipwayError(f"No layer is called {name!r}; the first ones are {names}.")


@dataclass(frozen=True)
class PlannedSkip(_Result):
    """One skip to be added: the output of `source` joins the output of `destination`.

    Attributes:
        source: the layer whose output is tapped, `module.path` or `module.path#call`.
        destination: the layer whose output it joins.
        merge: `"add"` or `"cat"`.
        shortcut: what lies on the skip: `"identity"`, `"pad"`, `"pool"`, `"linear"`, `"1x1"` or
            `"pool + 1x1"`.
        branch_scale: factor on the branch, 1 for a plain sum.
        fuse: for `cat`: `"linear"` or `"1x1"`, the layer that brings the width back.
        source_shape: shape of the tapped tensor, batch first.
        destination_shape: shape of the tensor it joins.
    """

    kind_of_result = "planned-skip"
    source: str
    destination: str
    merge: Literal["add", "cat"] = "add"
    shortcut: str = "identity"
    branch_scale: float = 1.0
    fuse: str | None = None
    source_shape: tuple[int, ...] = ()
    destination_shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan(_Result):
    """Which skips to add, and where: data that can be read, saved, edited and applied.

    Attributes:
        how: `"add"` or `"cat"`.
        skips: in execution order.
        reason: why these places.
    """

    kind_of_result = "plan"
    how: Literal["add", "cat"]
    skips: tuple[PlannedSkip, ...]
    reason: str = ""


@dataclass(frozen=True)
class Rewiring(_Result):
    """A network with new skips.

    Attributes:
        plan: the skips that were added.
        model: the rewired network; `None` when read back from data.
        code: the source that `source()` returns.
        added: line numbers of `code` (from 1) that the plain network does not have.
        model_name: class of the network.
        parameters: how many parameters it has.
        parameters_added: how many of them are new.
        layers: the names of the weight layers in execution order.
    """

    kind_of_result = "rewiring"
    plan: Plan
    code: str
    added: tuple[int, ...]
    model_name: str
    parameters: int
    parameters_added: int
    layers: tuple[str, ...]
    model: nn.Module | None = field(
        default=None, repr=False, compare=False, metadata={"plain": False}
    )

    def source(self) -> str:
        """Return the rewired classes as Python to read and paste."""
        return self.code


@dataclass(frozen=True)
class Interval(_Result):
    """The mean of paired differences with its confidence interval.

    Attributes:
        mean: of the differences, in points of the metric.
        low: lower end; `-inf` where one pair alone says nothing about spread.
        high: upper end.
        pairs: how many pairs.
        wins: in how many the variant was better.
        confidence: of the interval.
    """

    kind_of_result = "interval"
    mean: float
    low: float
    high: float
    pairs: int
    wins: int
    confidence: float = 0.95


@dataclass(frozen=True)
class Run(_Result):
    """One training: a variant, a seed, a learning rate.

    Attributes:
        variant: its name.
        seed: of weights and data order; the split is the same for all.
        learning_rate: factor of the optimizer's own rate.
        status: `"done"`; `"diverged"` where the loss became non-finite; `"failed"` on an error.
        error: what went wrong, for the last two.
        train_loss: mean loss over the training part: before training, then after every epoch.
        validation: the metric on the validation part, at the same moments.
        test: the metric on the test set, at the same moments.
        stalled: the training loss never got 5 % below that of the best constant output.
        step_ms: median time of one training step, milliseconds, one thread.
        seconds: of the whole run.
        parameters: how many the model has.
    """

    kind_of_result = "run"
    variant: str
    seed: int
    learning_rate: float
    status: Literal["done", "diverged", "failed"]
    error: str | None
    train_loss: tuple[float, ...]
    validation: tuple[float, ...]
    test: tuple[float, ...]
    stalled: bool
    step_ms: float
    seconds: float
    parameters: int


@dataclass(frozen=True)
class Variant(_Result):
    """One column of the comparison: a variant at the learning rate chosen for it.

    Attributes:
        name: its key in `compare`, or the control's name.
        detail: what it is, in a few words.
        role: `"reference"`, `"treated"` or `"control"`.
        learning_rate: the rate chosen on the validation part, absolute where it can be known.
        factor: the same as a factor of the optimizer's own rate.
        tried: (factor, mean validation metric) for every factor of the grid.
        runs: at the chosen rate, one a seed.
        median, mean, low, high: of the test metric at the end, over the seeds that ended; NaN
            where none did.
        difference: paired, against the reference; `None` for the reference itself.
        against_linear: paired, against the linear control; `None` where there is none.
        failures: runs that failed or diverged.
        stalled: runs that learned nothing.
        step_ms: median over the runs.
        parameters: how many the model has.
        answer: against the reference; `None` for the reference.
    """

    kind_of_result = "variant"
    name: str
    detail: str
    role: Literal["reference", "treated", "control"]
    learning_rate: float | None
    factor: float
    tried: tuple[tuple[float, float], ...]
    runs: tuple[Run, ...]
    median: float
    mean: float
    low: float
    high: float
    difference: Interval | None
    against_linear: Interval | None
    failures: int
    stalled: int
    step_ms: float
    parameters: int
    answer: Answer | None


@dataclass(frozen=True)
class Comparison(_Result):
    """Did it help, by how much, how sure?

    Attributes:
        case: name of the case.
        reference: name of the variant that the others are compared with.
        variants: the reference first, then the treated, then the controls.
        metric: `"accuracy"`, `"metric"` or `"loss"`.
        unit: what a difference is counted in: `"points"` (of 100) for accuracy, else `""`.
        higher_is_better: false for a loss.
        chance: the metric of guessing; `None` where unknown.
        chance_loss: the loss of the best constant output; `None` where unknown.
        answer: for the best treated variant against the reference.
        best: its name; `None` where nothing was treated.
        verdict: the answer in words.
        notes: (short claim, explanation) that weaken or sharpen the verdict.
        missing: controls that could not be built, in words.
        seeds: how many.
        epochs: how many.
        settings: what a cell depends on.
        environment: versions, machine, threads.
        configuration: hash of the settings.
    """

    kind_of_result = "comparison"
    case: str
    reference: str
    variants: tuple[Variant, ...]
    metric: str
    unit: str
    higher_is_better: bool
    chance: float | None
    chance_loss: float | None
    answer: Answer | None
    best: str | None
    verdict: str
    notes: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    seeds: int
    epochs: int
    settings: dict[str, str]
    environment: dict[str, str]
    configuration: str

    def variant(self, name: str) -> Variant:
        """Return one variant.

        Raises:
            SkipwayError: there is none of this name.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        names = ", ".join(each.name for each in self.variants)
        raise SkipwayError(f"No variant is called {name!r}; there are {names}.")


@dataclass(frozen=True)
class Cure(_Result):
    """The main job's result: the diagnosis, the treatment and the proof.

    Attributes:
        case: name of the case.
        summary: of the case, one line.
        facts: (label, value) for the top of the page: model, data, training, seeds.
        diagnosis: before the first step.
        later: after the first epochs of training; `None` where training could not start.
        after: of the network as recommended, before its first step; `None` where nothing was
            rewired.
        rewirings: by addition, by concatenation; empty where a skip is not the answer.
        refused: why a rewiring was not possible, in words.
        comparison: `None` where nothing could be compared.
        recommended: name of the variant to take; `None` where none helped.
        outcome: `"cured"`, `"nothing to cure"` or `"not cured"`.
        cure: what was done about it, in one or two sentences.
        proof: what the comparison says, in one or two sentences.
        command: the command that gives this result again.
        versions: of skipway, Python, torch and the rest, for readers.
        written: the day, ISO.
    """

    kind_of_result = "cure"
    case: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    diagnosis: Diagnosis
    later: Diagnosis | None
    after: Diagnosis | None
    rewirings: tuple[Rewiring, ...]
    refused: tuple[str, ...]
    comparison: Comparison | None
    recommended: str | None
    outcome: Literal["cured", "nothing to cure", "not cured"]
    cure: str
    proof: str
    command: str
    versions: dict[str, str]
    written: str


RESULTS: Sequence[type[_Result]] = (Diagnosis, Plan, Rewiring, Comparison, Cure)


def read(path: str | Path) -> Diagnosis | Plan | Rewiring | Comparison | Cure:
    """Read any result that was saved as `.json`.

    Raises:
        RunError: the file is missing, is no JSON or holds no result.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        kinds = {kind.kind_of_result: kind for kind in RESULTS}
        kind = kinds[data["result"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} holds no saved result of skipway ({error}).") from error
    result: Any = kind.from_dict(data)
    return result  # type: ignore[no-any-return]  # one of RESULTS, as annotated
