"""The halves of the spine: before and after a treatment, now and what if."""

from __future__ import annotations

from . import _verdict
from ._rows import Side
from ._values import Data


def of_cure(cure: Data) -> list[Side]:
    """Return the network as it was and, where one was treated, as it is with the treatment."""
    sides = [Side("Before", cure["diagnosis"])]
    if cure["after"]:
        planned = _verdict.planned(cure)
        after = Side(_verdict.treatment(cure), cure["after"], planned, "after")
        sides.append(after)
    return sides


def of_what_if(asked: Data) -> list[Side]:
    """Return the network as it is, and as it would be."""
    new = [skip for skip in asked["skips_after"] if skip not in asked["skips"]]
    kept = [skip for skip in asked["skips_after"] if skip in asked["skips"]]
    shared = {
        "findings": [],
        "place": asked["place"],
        "relative": asked["relative"],
        "when": asked["when"],
    }
    before = {
        **shared,
        "layers": asked["before"],
        "skips": asked["skips"],
        "decades_lost": asked["lost_before"],
    }
    after = {
        **shared,
        "layers": asked["after"],
        "skips": kept,
        "decades_lost": asked["lost_after"],
    }
    return [Side("Now", before, (), "now"), Side("What if", after, new, "what if", "What if")]
