"""Spells: what holds for some looks in a row begins, what no longer holds ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .. import _thresholds as limit


@dataclass
class Spell:
    """Something that began at one step for some layers.

    Attributes:
        kind: of what, a key of `_watch_words.KINDS`.
        step: at which it was first seen.
        layers: places of the layers concerned.
        lasting: those of them for which it still holds.
        until: the step at which the last one ended.
    """

    kind: str
    step: int
    layers: tuple[int, ...]
    lasting: set[int] = field(default_factory=set)
    until: int | None = None


class Spells:
    """Follows conditions by kind and layer.

    Args:
        layers: how many; a condition of the whole network has place 0.
    """

    def __init__(self, layers: int) -> None:
        self._layers = layers
        self._everywhere = np.ones(layers, bool)
        self._active: set[str] = set()
        self._runs: dict[str, NDArray[np.int64]] = {}
        self._since: dict[str, NDArray[np.int64]] = {}
        self._open: dict[str, NDArray[np.bool_]] = {}
        self.all: list[Spell] = []

    def running(self, kind: str) -> bool:
        """Tell whether anything of this kind has been seen and has not ended."""
        return kind in self._active

    def one(self, kind: str, step: int, holds: bool, need: int = limit.LASTING) -> list[Spell]:
        """Follow a condition of the whole network."""
        if not holds and not self.running(kind):
            return []
        where = np.zeros(self._layers, bool)
        where[0] = holds
        return self.follow(kind, step, self._everywhere, where, need)

    def follow(
        self,
        kind: str,
        step: int,
        looked: NDArray[np.bool_],
        holds: NDArray[np.bool_],
        need: int = limit.LASTING,
    ) -> list[Spell]:
        """Take one look and return the spells that are known to have begun by it.

        Args:
            kind: of condition.
            step: of the look.
            looked: which layers were looked at.
            holds: where the condition holds.
            need: how many looks in a row it has to.
        """
        here = looked & holds
        if kind not in self._active and not here.any():
            return []  # nothing was there and nothing begins
        runs = self._runs.setdefault(kind, np.zeros(self._layers, int))
        since = self._since.setdefault(kind, np.zeros(self._layers, int))
        is_open = self._open.setdefault(kind, np.zeros(self._layers, bool))
        gone = looked & ~holds
        since[here & (runs == 0)] = step
        runs[here] += 1
        runs[gone] = 0
        self._end(kind, step, np.flatnonzero(gone & is_open))
        is_open[gone] = False
        begun = np.flatnonzero(here & ~is_open & (runs >= need))
        is_open[begun] = True
        if runs.any() or is_open.any():
            self._active.add(kind)
        else:
            self._active.discard(kind)
        return self._begin(kind, since, begun)

    def _begin(
        self, kind: str, since: NDArray[np.int64], begun: Sequence[int] | NDArray[np.intp]
    ) -> list[Spell]:
        new: list[Spell] = []
        for step in sorted({int(since[place]) for place in begun}):
            places = tuple(int(place) for place in begun if since[place] == step)
            known = next((s for s in self.all if s.kind == kind and places == s.layers), None)
            if known is not None:
                known.lasting, known.until = set(places), None  # said once, and so again
                continue
            new.append(Spell(kind, step, places, set(places)))
        self.all += new
        return new

    def _end(self, kind: str, step: int, places: NDArray[np.intp]) -> None:
        for spell in self.all:
            if spell.kind == kind and spell.lasting:
                spell.lasting -= set(places.tolist())
                if not spell.lasting:
                    spell.until = step
