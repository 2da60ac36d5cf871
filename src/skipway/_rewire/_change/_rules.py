"""The rules that an existing sum can follow, each as an expression and the module it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

# What takes the place of `x + f(x)`: `{skip}` and `{branch}` stand for the two, `{branched}` and
# `{skipped}` for the same inside brackets, `{part}` for the module.
_WEIGHED = "{skip} + {part}({branched})"
_MERGED = "{part}({skipped}, {branched})"
# Of the last branch, in the paper's own 110-layer network.
_LAST_DROP = 0.5


@dataclass(frozen=True)
class Spot:
    """What a rule may want to know of a sum.

    Attributes:
        number: which of the sums that change it is, from 0.
        count: how many of them there are.
        features: of the sum.
        dim: the axis that they lie along.
    """

    number: int
    count: int
    features: int
    dim: int

    @property
    def along(self) -> str:
        """Return the axis as a further argument, where it is not the usual one."""
        return "" if self.dim == -1 else f", dim={self.dim}"


@dataclass(frozen=True)
class LocalRule:
    """A rule that changes one sum at a time.

    Attributes:
        role: what its module is called; `""` where it needs none.
        join: the expression that takes the place of the sum.
        make: the constructor of the module, given the spot and whether the function is to stay.
        keeps: whether the network can compute at first what it did before.
        words: the formula, for readers.
    """

    role: str
    join: Callable[[Spot], str]
    make: Callable[[Spot, bool], str] | None
    keeps: bool
    words: str


def _rezero(spot: Spot, preserve: bool) -> str:
    return f"skipway.nn.ReZero({'1.0' if preserve else ''})"


def _layer_scale(spot: Spot, preserve: bool) -> str:
    return f"skipway.nn.LayerScale({spot.features}{', 1.0' if preserve else ''}{spot.along})"


def _stochastic_depth(spot: Spot, preserve: bool) -> str:
    return f"skipway.nn.StochasticDepth({_LAST_DROP * (spot.number + 1) / spot.count:.4g})"


def _highway(spot: Spot, preserve: bool) -> str:
    return f"skipway.nn.Highway({spot.features}{spot.along})"


def _deepnorm(spot: Spot, preserve: bool) -> str:
    return f"skipway.nn.DeepNormSum({spot.features}, {spot.count}{spot.along})"


def _affine(spot: Spot, preserve: bool) -> str:
    return "skipway.nn.Affine()"


def _scaled(spot: Spot) -> str:
    return f"{{skip}} + {spot.count**-0.5:.4g} * {{branch}}"


_REZERO = LocalRule("gate", lambda _: _WEIGHED, _rezero, True, "x + a f(x)")
LOCAL: Mapping[str, LocalRule] = {
    "rezero": _REZERO,
    "skipinit": _REZERO,
    "layerscale": LocalRule("scale", lambda _: _WEIGHED, _layer_scale, True, "x + diag(l) f(x)"),
    "stochastic-depth": LocalRule(
        "drop", lambda _: _WEIGHED, _stochastic_depth, True, "x + b f(x) / (1 - p)"
    ),
    "fixup": LocalRule("affine", lambda _: _WEIGHED, _affine, True, "x + a f(x) + c"),
    "scaled": LocalRule("", _scaled, None, False, "x + f(x) / sqrt(L)"),
    "deepnorm": LocalRule("norm", lambda _: _MERGED, _deepnorm, False, "LN(L^(1/4) x + f(x))"),
    "highway": LocalRule(
        "carry", lambda _: _MERGED, _highway, False, "T f(x) + (1 - T) x, T = sigmoid(W x + b)"
    ),
}
CUT = LocalRule("", lambda _: "{branch}", None, False, "f(x)")
