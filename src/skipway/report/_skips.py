"""The skips of a model as rows of words, the same for terminal, notebook and page."""

from __future__ import annotations

from ._names import ends_apart
from ._values import Data, clipped, plural, shape

HEAD = ("Kind", "From", "To", "Around", "Shape")


def rows(data: Data, most: int = 40) -> list[tuple[str, ...]]:
    """Return (kind, from, to, around, shape) of each, names shortened to `most`."""
    ends = ends_apart(data["skips"], most)
    return [
        (
            skip["kind"],
            _source(skip, source, most),
            destination,
            plural(len(skip["branch"]), "layer"),
            shape(skip["shape"]),
        )
        for skip, (source, destination) in zip(data["skips"], ends, strict=True)
    ]


def _source(skip: Data, called: str, most: int) -> str:
    others = len(skip.get("sources", ())) - 1
    if skip["merge"] == "add" or others < 1:
        return called
    more = f" and {others} more"
    return clipped(skip["source"], most - len(more)) + more
