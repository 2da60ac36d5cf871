"""What one waits for before anything happens: `import skipway`, and the commands that only tell.

    python benchmarks/speed/imports.py [rounds]

Each is a process of its own. The rival is `import torch`, which everything that computes has to
wait for; a Python that does nothing says what no command can be faster than. Which modules are
loaded is held by tests/test_imports.py.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import against, alternate, machine, write

import skipway

COMMANDS = {
    "a Python that does nothing": ["-c", "pass"],
    "import skipway": ["-c", "import skipway"],
    "import click": ["-c", "import click"],
    "skipway --help": ["-m", "skipway", "--help"],
    "skipway cases": ["-m", "skipway", "cases"],
    "skipway learn list": ["-m", "skipway", "learn", "list"],
    "skipway report RUN": ["-m", "skipway", "report", "RUN"],
    "import torch": ["-c", "import torch"],
    "skipway.diagnose, imported": ["-c", "from skipway import diagnose"],
}


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        skips = tuple(skipway.PlannedSkip(f"layer.{n}", f"layer.{n + 2}") for n in range(25))
        skipway.Plan(how="add", skips=skips).save(Path(folder) / "result.json")
        runs = {name: process(words, folder) for name, words in COMMANDS.items()}
        seconds = alternate(runs, rounds)
    write(
        __file__,
        {
            "what": "one process, from its start to its end",
            **machine("click", "rich", "jinja2"),
            "rounds": rounds,
            "rival": "import torch",
            "results": against(seconds, "import torch"),
        },
    )


def process(words: list[str], folder: str) -> Callable[[], object]:
    command = [sys.executable, *(folder if word == "RUN" else word for word in words)]
    return lambda: subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
