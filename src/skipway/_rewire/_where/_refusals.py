"""Why there is no place for a skip, in words, and what can be done."""

from __future__ import annotations

from collections.abc import Sequence

from ..._trace import Graph, Unit, read_skips


def no_place(graph: Graph, runs: Sequence[Sequence[Unit]]) -> str:
    """Say what was seen in a network where no skip can be added."""
    units = graph.units
    names = ", ".join(f"`{unit.name}`" for unit in units[:4]) + (" ..." if len(units) > 4 else "")
    if len(units) < 4:
        return (
            f"There is no place for a skip: the network has {len(units)} weight layers "
            f"({names or 'none'}), and a skip goes around two of them, with one before and one "
            "after. A network this shallow is not held back by its depth."
        )
    skips = [skip for skip in read_skips(graph) if skip.kind != "merge"]
    longest = max(runs, key=len, default=())
    if skips and len(longest) < 4:
        first = skips[0]
        return (
            f"There is no place for a skip: the network has {len(skips)} skip connections "
            f"already (the first by {_WORDS[first.kind]}, from `{first.source}` to "
            f"`{first.destination}`), and between them no three weight layers follow each other "
            "before the last one. To change the skips it has, edit the blocks that add them."
        )
    if len(longest) < 4:
        return (
            f"There is no place for a skip: of the {len(units)} weight layers ({names}) no three "
            "follow each other in one line before the last one; their outputs part or meet "
            "others on the way. Write the skip by hand where the lines meet: "
            "x = x + branch(x)."
        )
    shapes = " → ".join(str(list(graph.nodes[unit.node].shape[1:])) for unit in longest[:4])
    return (
        f"There is no place for a skip: {len(longest)} weight layers follow each other "
        f"({longest[0].name} to {longest[-1].name}), but none two apart can be joined: their "
        f"shapes do not meet ({shapes} ...), their block is called several times, or what they "
        "put out is no single tensor. Give three layers in a row outputs of one shape (padding "
        "keeps an image's size), or write the skip by hand with skipway.nn.Shortcut."
    )


_WORDS = {
    "identity": "addition",
    "projection": "addition with a projection",
    "concatenation": "concatenation",
    "parallel": "joining parallel branches",
}
