"""What `compare` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .._errors import SkipwayError
from ._result import Drawn, Result

Answer = Literal["helped", "no difference", "worse"]


@dataclass(frozen=True)
class Interval(Result):
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
class Evidence(Result):
    """How far a paired difference can be trusted, said in more than one way.

    Attributes:
        p: two-sided, of Student's paired t test; 1 where one pair alone says nothing.
        corrected_p: the same after Holm's correction for all treated variants; it gives the answer.
        sign_p: two-sided, of the exact sign test: only who was better counts, not by how much.
        bootstrap_low: lower end of the 95 % percentile bootstrap interval of the mean difference;
            with five seeds it is narrower than it should be.
        bootstrap_high: its upper end.
        detectable: the smallest true difference that this many seeds with this spread would have
            shown four times out of five; `inf` for one pair.
    """

    kind_of_result = "evidence"
    p: float
    corrected_p: float
    sign_p: float
    bootstrap_low: float
    bootstrap_high: float
    detectable: float


@dataclass(frozen=True)
class Run(Result):
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
class Variant(Result):
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
        evidence: behind the answer; `None` for the reference.
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
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Comparison(Drawn):
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
