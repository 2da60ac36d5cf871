"""The skips of a model as rows of words, the same for terminal, notebook and page."""

from __future__ import annotations

from ._values import Data, clipped, plural, shape

HEAD = ("Kind", "From", "To", "Around", "Shape")


def rows(data: Data, most: int = 40) -> list[tuple[str, ...]]:
    """Return (kind, from, to, around, shape) of each, names shortened to `most`."""
    return [
        (
            skip["kind"],
            _source(skip, most),
            clipped(skip["destination"], most),
            plural(len(skip["branch"]), "layer"),
            shape(skip["shape"]),
        )
        for skip in data["skips"]
    ]


def _source(skip: Data, most: int) -> str:
    others = len(skip.get("sources", ())) - 1
    if skip["merge"] == "add" or others < 1:
        return clipped(skip["source"], most)
    more = f" and {others} more"
    return clipped(skip["source"], most - len(more)) + more
