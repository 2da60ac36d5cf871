"""What the main job returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ._comparison import Comparison
from ._diagnosis import Diagnosis
from ._result import Drawn
from ._rewiring import Rewiring


@dataclass(frozen=True)
class Cure(Drawn):
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
