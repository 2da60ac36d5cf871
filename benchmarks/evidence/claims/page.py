"""Write docs/evidence.md from the results that lie here.

    python benchmarks/evidence/claims/page.py

The order is that of `ORDER`; a claim without a result is left out and named on stderr.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "evidence.md"
ORDER = {
    "degradation": "Degradation",
    "gradient_depth": "The gradient against depth",
    "path_lengths": "The paths that carry it",
    "shattering": "Shattered gradients",
    "branch_norm": "What batch norm does to the branch",
    "layers_per_skip": "Layers per skip",
    "places": "Where the skips go",
    "when_skips": "When does one need a skip at all?",
    "densenet": "What concatenation buys",
    "frontier": "Newer rules",
    "lost_updates": "Updates lost to rounding",
}
HOLDS = {"yes": "It holds here.", "partly": "It holds in part.", "no": "It does not hold here."}
BUSY = 1.5  # the load of one thread alone is 1
HEAD = """# Does the science hold on this machine?

What is said about skip connections, tried with this library: one short script for each claim under
[benchmarks/evidence/claims](../benchmarks/evidence/claims), with its table and picture beside it.
`make evidence` runs them all again and writes this page. What did not reproduce is said as plainly
as what did.
"""


def main() -> None:
    PAGE.write_text(written(), encoding="utf-8")


def written() -> str:
    """Return the page as the results here make it."""
    parts, minutes, machines, busy = [HEAD], 0.0, [], False
    for name, title in ORDER.items():
        file = HERE / f"{name}.json"
        if not file.exists():
            print(f"{name} has no result yet", file=sys.stderr)
            continue
        data = json.loads(file.read_text(encoding="utf-8"))
        minutes += data["seconds"] / 60
        machines.append(f"{data['machine']}, torch {data['torch']}")
        busy |= data.get("load", 0) > BUSY
        parts.append(_section(name, title, data))
    where = ", ".join(dict.fromkeys(machines))
    beside = "; that machine did other work at the same time, so it takes less alone"
    parts.append(
        f"All of it took {minutes:.0f} minutes on one thread ({where}){beside if busy else ''}.\n"
    )
    return "\n".join(parts)


def _section(name: str, title: str, data: dict) -> str:
    place = os.path.relpath(HERE / name, PAGE.parent)
    whole = round(data["seconds"] / 60)
    minutes = f"{whole} minutes" if whole > 1 else "a minute or less"
    return f"""## {title}

> {data["claim"]}
> ({data["source"]})

**{HOLDS[data["holds"]]}** {data["found"]}

![{title}]({place}.png)

{data["seeds"]} seeds, {minutes} on one thread; [script]({place}.py), [table]({place}.csv).
"""


if __name__ == "__main__":
    main()
