"""`Judgement`: what one rule has to say, and the words for the top of the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .._results import Finding
from ._facts import Facts


@dataclass(frozen=True)
class Judgement:
    """A finding, and how it would open the page if it is the main one.

    Attributes:
        finding: what was found.
        headline: a short sentence.
        summary: two or three sentences.
        place: the layer that the summary names.
        main: whether it can be the main cause; otherwise it is said beside one.
    """

    finding: Finding
    headline: str
    summary: str
    place: str
    main: bool = True


Rule = Callable[[Facts], Judgement | None]
