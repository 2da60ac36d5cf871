"""What one pass and one step leave in doubt, so that a few steps on a copy would tell more."""

from __future__ import annotations

from . import _thresholds as limit
from ._facts import Facts


def doubts_of(facts: Facts) -> tuple[str, ...]:
    """Return what the steps would tell, in words that follow "whether"."""
    step = facts.step
    assert step is not None
    steepest = max(layer.weight_elasticity for layer in facts.layers)
    asked = (
        ("the steps are too small", step.steady < limit.SLOW and not facts.stopped),
        # NaN compares as neither larger nor smaller, so this asks for what it is not.
        ("the steps are too large", not facts.falls and not step.steady <= limit.DOUBTFUL),
        ("so long a memory of gradients overshoots", facts.memory > limit.LONG_MEMORY),
        ("what is learned outgrows the noise", facts.drowned),
        ("frozen layers hold the others back", bool(facts.frozen or facts.unheld)),
        ("layers at a far smaller rate hold the others back", bool(facts.slow)),
        ("the layers without a gradient are missed", facts.branch_in_doubt),
        ("so small a gradient is enough to learn from", facts.hardly_dying),
        ("samples so much alike can be told apart", facts.hardly_collapsed),
        ("the gradient explodes", limit.EXPLODING < steepest <= limit.SURELY_EXPLODING),
        ("the values are too large to learn from", (facts.skill or 0.0) > limit.MISSCALED),
        ("targets so large can be reached", facts.far_off),
        ("samples that are mixed up are told apart", facts.order),
        ("the labels say anything about the inputs", _no_dependence(facts)),
    )
    return tuple(words for words, doubtful in asked if doubtful)


def _no_dependence(facts: Facts) -> bool:
    return facts.dependence is not None and facts.dependence >= limit.INDEPENDENT
