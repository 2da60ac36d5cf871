"""The rewired source as lines: what is new is marked, the long regular middle folds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from ._values import Data, plural, quantity

FEW_LINES = 44
HEAD = 24
TAIL = 14

HOWS = {
    "reconnect": "another rule",
    "add": "addition",
    "cat": "concatenation",
    "dense": "dense connection",
}

_TOKENS = re.compile(
    r"(?P<quiet>\b(?:class|def|return|import|from|as|for|in|if|else|while|with|not|and|or)\b)"
    r"|(?P<note>#.*)"
)


@dataclass(frozen=True)
class CodeLine:
    """One line of source."""

    number: int
    added: bool
    html: Markup


@dataclass(frozen=True)
class Source:
    """The source of one rewiring; `middle` is shown on demand."""

    how: str
    title: str
    words: str
    reason: str
    head: Sequence[CodeLine]
    middle: Sequence[CodeLine]
    middle_words: str
    tail: Sequence[CodeLine]
    skips: int


def source(rewiring: Data) -> Source:
    """Prepare the source of a rewiring."""
    added = set(rewiring["added"])
    lines = [
        CodeLine(number, number in added, _quietened(line))
        for number, line in enumerate(rewiring["code"].rstrip("\n").split("\n"), 1)
    ]
    first, last = middle(rewiring["code"].rstrip("\n").split("\n"))
    plan = rewiring["plan"]
    return Source(
        how=plan["how"],
        title=f"By {HOWS.get(plan['how'], plan['how'])}",
        words=_words(rewiring, len(lines)),
        reason=plan.get("reason", ""),
        head=lines[:first],
        middle=lines[first:last],
        middle_words=_middle_words(lines[first:last]),
        tail=lines[last:],
        skips=len(plan["skips"]),
    )


def middle(lines: Sequence[str]) -> tuple[int, int]:
    """Return which lines fold, (first, end): whole blocks between two empty lines."""
    if len(lines) <= FEW_LINES:
        return len(lines), len(lines)
    empty = [at for at, line in enumerate(lines) if not line.strip()]
    first = max((at + 1 for at in empty if 6 <= at < HEAD), default=HEAD)
    last = min((at + 1 for at in empty if at + 1 > len(lines) - TAIL), default=len(lines) - TAIL)
    return first, max(first, last)


def _words(rewiring: Data, lines: int) -> str:
    new = len(rewiring["added"])
    is_are = "is" if new == 1 else "are"
    parameters = int(rewiring["parameters_added"])
    said = f"{new} of {plural(lines, 'line')} {is_are} new, marked with a plus. "
    if parameters:
        return said + (
            f"{quantity(parameters)} parameters are new, of {quantity(rewiring['parameters'])}."
        )
    return said + f"No parameter is added to the {quantity(rewiring['parameters'])}."


def _middle_words(lines: Sequence[CodeLine]) -> str:
    if not lines:
        return ""
    new = sum(line.added for line in lines)
    where = f"lines {lines[0].number} – {lines[-1].number}"
    return f"{where}: {new} more new, {len(lines) - new} as before"


def _quietened(line: str) -> Markup:
    """Set keywords and comments back; names and calls are what one reads."""
    made, at = [], 0
    for found in _TOKENS.finditer(line):
        made += [escape(line[at : found.start()]), Markup("<i>"), escape(found.group())]
        made.append(Markup("</i>"))
        at = found.end()
    return Markup("").join([*made, escape(line[at:])])
