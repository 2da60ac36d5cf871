"""What `skipway compare --dry-run` returns."""

from __future__ import annotations

from dataclasses import dataclass

from ._result import Result


@dataclass(frozen=True)
class Outlook(Result):
    """What a comparison would run, and about how long it would take; nothing was trained for it.

    Attributes:
        folder: where the trainings are kept.
        trainings: how many there are in all.
        finished: how many of them are done already.
        broken: how many of them are there, but failed or diverged.
        left: how many are left, by variant.
        seconds_each: what one training of a variant takes, of those that are left.
        workers: how many run side by side.
        seconds: until all are done, on this machine; a rough guess.
    """

    kind_of_result = "outlook"
    folder: str
    trainings: int
    finished: int
    broken: int
    left: dict[str, int]
    seconds_each: dict[str, float]
    workers: int
    seconds: float
