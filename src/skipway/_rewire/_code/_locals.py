"""The local variables of a forward that is being written: who is called what, and until when."""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx

# What is imported at the head of the page, and what every reader takes for something else.
_TAKEN = {"torch", "F", "nn", "skipway", "input", "inputs"}
_AFTER = 0.5  # a call's joins come after the call itself, and before the next one


class Locals:
    """Names of values; a name is free again when nothing reads its value any more.

    Times are places in the list of calls: what reads at 7 still finds a name that is kept until
    7, and a value that is made at 7 may take it over.

    Args:
        me: name of the instance, never free.
    """

    def __init__(self, me: str) -> None:
        self.of: dict[fx.Node, str] = {}
        self._me = me
        self._until: dict[str, float] = {}

    def keep(self, name: str, until: float) -> None:
        """Keep a name until then, or longer where it was to be kept longer."""
        self._until[name] = max(until, self._until.get(name, 0.0))

    def call(self, node: fx.Node, name: str, until: float) -> None:
        """Call the value of `node` so; what had the name before is gone."""
        self.of[node] = name
        self._until[name] = until

    def share(self, node: fx.Node, other: fx.Node, until: float) -> str:
        """Give `node` the name of `other`: it is the same object, changed."""
        name = self.of[node] = self.of[other]
        self.keep(name, until)
        return name

    def is_free(self, name: str, now: float) -> bool:
        """Tell whether nothing reads this name after `now`."""
        return self._until.get(name, -1.0) <= now and name != self._me and name not in _TAKEN

    def fresh(self, names: Sequence[str], now: float) -> str:
        """Return the first free one."""
        return next(name for name in names if self.is_free(name, now))

    def fresh_numbered(self, name: str, now: float) -> str:
        """Return `name`, or `name_2`, `name_3` ... where that is not free after the joins of now.

        The value that the new name is a copy of is read right there.
        """
        number, free = 2, name
        while not self.is_free(free, now + _AFTER):
            free, number = f"{name}_{number}", number + 1
        return free


def after(now: int) -> float:
    """Return the time of the joins that follow the call at `now`."""
    return now + _AFTER
