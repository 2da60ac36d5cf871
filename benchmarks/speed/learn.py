"""How long a learner waits: `python benchmarks/speed/learn.py [ROUNDS]`, result in learn.json.

Looking around is to answer in under 0.5 s, each check in under 5 s on one core. Processor seconds
are those of the command and its child; they say what a quiet core would take at most.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from measure import machine, write

from skipway.learn._exercise import course

LOOKING, CHECKING = 0.5, 5.0


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run("start", ".", cwd=place)
        for exercise in course():
            (place / exercise.file_name).write_text(exercise.solution, encoding="utf-8")
        looking = {command: ["learn", *command.split()] for command in ("list", "hint 4", "")}
        checks = {f"check {each.name}": ["learn", "check", each.name] for each in course()}
        result = {
            **machine("rich", "click", "matplotlib", "scikit-learn"),
            "rounds": rounds,
            "looking around": measure(looking, place, rounds, LOOKING),
            "checks of a right answer, with its picture": measure(checks, place, rounds, CHECKING),
        }
    write(__file__, result)


def run(*arguments: str, cwd: Path) -> tuple[float, float]:
    """Return seconds and processor seconds of one command."""
    command = [sys.executable, "-m", "skipway", "learn", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before, start = _processor(), time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start, _processor() - before


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(
    commands: dict[str, list[str]], place: Path, rounds: int, limit: float
) -> dict[str, object]:
    """Return the medians of each command, and whether the slowest keeps the limit."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, arguments in commands.items():
            found[name].append(run(*arguments[1:], cwd=place))
    rows: dict[str, object] = {
        f"skipway learn {name}".strip(): {
            "s, median": round(statistics.median(seconds for seconds, _ in each), 2),
            "processor s, median": round(statistics.median(used for _, used in each), 2),
        }
        for name, each in found.items()
    }
    slowest = max(statistics.median(seconds for seconds, _ in each) for each in found.values())
    return {**rows, "limit, s": limit, "kept": slowest < limit}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
