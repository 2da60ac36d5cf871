"""`Rates`: the learning rates of one optimizer or several, and how they are said."""

from __future__ import annotations

from dataclasses import dataclass

from torch.optim import Optimizer

from ._together import Together
from ._words import rate


@dataclass(frozen=True)
class Rates:
    """The learning rate of each optimizer, NaN where it has none.

    Of several groups it is that of the first one that learns.

    Attributes:
        each: a name and the rate.
    """

    each: tuple[tuple[str, float], ...]

    @property
    def reference(self) -> float:
        """The rate that stands for all where all are changed alike: the first above zero."""
        values = [value for _, value in self.each]
        return next((value for value in values if value > 0), values[0])

    @property
    def common(self) -> float | None:
        """The rate that all have; `None` where they differ."""
        first = self.each[0][1]
        return first if all(value == first for _, value in self.each[1:]) else None

    @property
    def names(self) -> str:
        """The optimizers, with their rates where these differ: "Muon 0.02, AdamW 0.0003"."""
        if self.common is not None:
            return ", ".join(name for name, _ in self.each)
        return ", ".join(f"{name} {rate(value)}" for name, value in self.each)

    def at(self, part: int | None) -> float:
        """Return that of one, by its place, or the one that stands for all."""
        return self.reference if part is None else self.each[part][1]

    def changed(self, value: float, part: int | None) -> dict[str, float]:
        """Return what every rate is, by name, where the one at `part` becomes `value`.

        Without a part all are changed alike, and `value` is that of `reference`.
        """
        if part is not None:
            return {self.each[part][0]: value}
        factor = value / self.reference if self.reference else 0.0
        first = self.reference
        return {name: value if own == first else own * factor for name, own in self.each}

    def words(self, value: float | None = None, part: int | None = None) -> str:
        """Say what the rates are, or become: "0.1", "0.02 (Muon) and 3 × 10⁻⁴ (AdamW)"."""
        known = dict(self.each) if value is None else self.changed(value, part)
        if len(self.each) == 1:
            return rate(next(iter(known.values())))
        said = [f"{rate(own)} ({name})" for name, own in known.items()]
        return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)

    def phrase(self, value: float | None = None, part: int | None = None) -> str:
        """Say it after "At" or "to": "a learning rate of 0.1", "learning rates of ... and ..."."""
        many = len(self.each) > 1 and part is None
        return f"{'learning rates' if many else 'a learning rate'} of {self.words(value, part)}"

    def suggestion(self, value: float, part: int | None) -> dict[str, float]:
        """Return the rates as numbers of a remedy; of several optimizers, each by its name."""
        if len(self.each) == 1:
            return {"learning_rate": value}
        return {f"learning_rate/{n}": own for n, own in self.changed(value, part).items()}


def rates_of(optimizer: Together | None) -> Rates | None:
    """Return the rates of the optimizers; `None` without one."""
    if optimizer is None:
        return None
    return Rates(tuple(zip(optimizer.labels, map(_rate, optimizer.each), strict=True)))


def _rate(optimizer: Optimizer) -> float:
    own = [float(group.get("lr", float("nan"))) for group in optimizer.param_groups]
    return next((value for value in own if value > 0), own[0])
