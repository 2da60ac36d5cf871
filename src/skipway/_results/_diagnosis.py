"""What `diagnose` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from .._errors import SkipwayError
from ._result import Result

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


@dataclass(frozen=True)
class SkipConnection(Result):
    """A skip connection that a model has.

    Attributes:
        kind: identity, projection, concatenation, parallel or merge.
        source: the layer whose output is handed on, or `"input"`.
        destination: the layer after which it joins again.
        branch: the layers it goes around.
        shape: of the joined tensor.
        sources: the layers whose outputs are handed on: several in a dense block.
        source_shape: of the tensor where the ways part.
        merge: `"add"` or `"cat"`.
        module: the module in whose forward it joins; `""` is the model itself.
    """

    kind_of_result = "skip-connection"
    kind: Kind
    source: str
    destination: str
    branch: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()
    source_shape: tuple[int, ...] = ()
    merge: Literal["add", "cat"] = "add"
    module: str = ""


@dataclass(frozen=True)
class LayerReading(Result):
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
class Finding(Result):
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
class Diagnosis(Result):
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
