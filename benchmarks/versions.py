"""Which Pythons and which torch skipway works with, tried one after the other: `make versions`.

    python benchmarks/versions.py                  every row below, in environments of their own
    python benchmarks/versions.py 3.13-newest      one of them again
    python benchmarks/versions.py --compile NAME   only compile, and say so
    python benchmarks/versions.py --keep           leave the environments, to look into one
    python benchmarks/versions.py --table          only write docs/versions.md from the results

For each row: the package is compiled, the wheel is installed into a new environment with the torch
of that row, the main job is done once, small, and a part of the test suite runs that touches every
module's work. A Python that this machine lacks is said to be lacking; what was found on it before
stays in the table. The newest of everything is what pip takes: where its configuration holds torch
back, PIP_CONFIG_FILE=/dev/null lets go.

An environment with torch's default build takes about 6 GB and is removed at the end of its row.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
WORK = ROOT / "build" / "versions"
RESULTS = Path(__file__).with_suffix(".json")
PAGE = ROOT / "docs" / "versions.md"

# What touches every package's work and needs no other framework, browser or cluster.
PART = (
    "diagnose_batches", "imports", "models_densenet", "models_fold", "models_fold_dense",
    "models_unet", "nn", "nn_formulas", "nn_options", "nn_reversible", "reconnect_random",
    "results", "rewire", "rewire_source", "rewire_traps", "saved", "security", "trace", "watch",
    "what_if",
)  # fmt: skip
TESTERS = ("hypothesis>=6.100", "packaging>=24.2", "pytest>=8", "pytest-timeout>=2.3")
NEWEST = "newest"
OLDEST = "oldest"  # of torch, and of everything else that is needed
PINNED = "pinned"  # as constraints.txt has it for development
ROWS = (
    ("3.10", OLDEST), ("3.11", PINNED), ("3.12", "2.14"), ("3.13", NEWEST), ("3.14", NEWEST),
)  # fmt: skip


@dataclass
class Row:
    """What came of one row."""

    name: str
    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    compiled: bool = False
    cures: bool = False
    tests: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0


def main(words: Sequence[str]) -> None:
    if "--table" not in words:
        WORK.mkdir(parents=True, exist_ok=True)
        for python, which in ROWS:
            name = f"{python}-{which}"
            if name in words or not set(words) - {"--keep", "--compile"}:
                print(f"{name} ...", flush=True)
                row = tried(name, python, which, "--compile" in words)
                print(json.dumps(asdict(row), ensure_ascii=False), flush=True)
                if row.python:
                    keep(row)
                if "--keep" not in words:
                    shutil.rmtree(WORK / name, ignore_errors=True)
    write_table()


def tried(name: str, python: str, which: str, compile_only: bool) -> Row:
    start, row = time.perf_counter(), Row(name)
    found = interpreter(python)
    if found is not None:
        row.python = run(
            found, "-c", "import platform as p; print(p.python_version())"
        ).stdout.strip()
        row.compiled = compiles(found)
        row.note = "only compiled"
        if not compile_only:
            on_python(row, found, which)
    else:
        row.note = f"no Python {python} on this machine"
    row.seconds = round(time.perf_counter() - start, 1)
    return row


def interpreter(version: str) -> str | None:
    """Return a Python of this version that is on the path, or that pyenv has."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    kept = sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
    # pyenv's own stand-in on the path fails where the version is not switched on.
    for each in (*map(str, kept), shutil.which(f"python{version}")):
        if each and subprocess.run([each, "-c", ""], capture_output=True).returncode == 0:
            return each
    return None


def on_python(row: Row, python: str, which: str) -> None:
    row.note = ""
    place = WORK / row.name
    own = str(place / "bin" / "python")
    run(python, "-m", "venv", str(place))
    run(own, "-m", "pip", "uninstall", "--yes", "skipway")  # pip takes the same number for the same
    done = run(own, "-m", "pip", "install", "--quiet", *TESTERS, *pins(which), wheel())
    if done.returncode:
        row.note = f"not installed: {last_line(done.stderr)}"
        return
    row.versions = versions_in(own)
    row.cures = cures(own)
    test(row, own)


def cures(python: str) -> bool:
    """Do the main job, small: the command, worker processes, the report."""
    words = ("cure", "plain-mlp", "--seeds", "2", "--epochs", "3", "--no-controls")
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "skipway", *words, "--folder", folder, PYTHONPATH="")
        return (Path(folder) / "report.html").exists()


def compiles(python: str) -> bool:
    # Into a folder of its own, so that no other Python's files are touched.
    cache = {"PYTHONPYCACHEPREFIX": str(WORK / "compiled")}
    done = run(python, "-W", "error", "-m", "compileall", "-q", "-f", str(ROOT / "src"), **cache)
    return done.returncode == 0


def pins(which: str) -> list[str]:
    """Return what to hold pip to: nothing, a torch, or the oldest that pyproject.toml allows."""
    if which == NEWEST:
        return []
    if which == PINNED:
        return ["--constraint", str(ROOT / "constraints.txt")]
    if which != OLDEST:
        return [f"torch=={which}.*"]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert wanted
    return [f"{name}=={bound}" for name, bound in re.findall(r'"([\w-]+)>=([\d.]+)"', wanted[1])]


def wheel() -> str:
    place = WORK / "dist"
    shutil.rmtree(place, ignore_errors=True)
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place))
    assert done.returncode == 0, done.stderr
    return str(next(place.glob("*.whl")))


NEEDED = ("torch", "numpy", "scipy", "scikit-learn", "click", "rich", "jinja2")


def versions_in(python: str) -> dict[str, str]:
    every = f"{{name: version(name) for name in {NEEDED}}}"
    script = f"import json; from importlib.metadata import version; print(json.dumps({every}))"
    found: dict[str, str] = json.loads(run(python, "-c", script).stdout)
    return found


def test(row: Row, python: str) -> None:
    """Run the part; a warning of another version is no failure, unlike with the pinned ones."""
    files = [str(ROOT / "tests" / f"test_{name}.py") for name in PART]
    done = run(
        python, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider", "-o", "addopts=",
        "-o", "filterwarnings=default", "-o", "pythonpath=tests", "-o", "timeout=1800", *files,
        PYTHONPATH="", OMP_NUM_THREADS="1",
    )  # fmt: skip
    row.tests = counted(done.stdout)
    row.failed = sorted(set(re.findall(r"^(?:FAILED|ERROR) \S*?(tests/\S+)", done.stdout, re.M)))
    (WORK / f"{row.name}.log").write_text(done.stdout + done.stderr, encoding="utf-8")


def counted(text: str) -> dict[str, int]:
    last = next(
        (x for x in reversed(text.splitlines()) if re.search(r"\d+ passed|\d+ failed", x)), ""
    )
    found = re.findall(r"(\d+) (passed|failed|skipped|error)", last)
    return {name: int(number) for number, name in found}


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment}
    )


def last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason was given"


def keep(row: Row) -> None:
    """Write the row among the others, which stay."""
    known: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}}
    known["machine"] = f"{platform.system()} on {platform.machine()}"
    known["rows"][row.name] = {**asdict(row), "date": time.strftime("%Y-%m-%d")}
    known["rows"] = {f"{p}-{w}": known["rows"][f"{p}-{w}"] for p, w in ROWS
                     if f"{p}-{w}" in known["rows"]}  # fmt: skip
    RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table() -> None:
    known = json.loads(RESULTS.read_text(encoding="utf-8"))
    lines = [
        "| Python | torch | numpy | the package compiles | `skipway cure` | tests | |",
        "|---|---|---|---|---|---|---|",
        *(line_of(row) for row in known["rows"].values()),
        "",
        f"On {known['machine']}. A test counts as skipped where the machine lacks what it needs.",
    ]
    start, end = (
        "<!-- the table: written by benchmarks/versions.py -->",
        "<!-- the end of the table -->",
    )
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(start)
    after = rest.partition(end)[2]
    PAGE.write_text(f"{before}{start}\n" + "\n".join(lines) + f"\n{end}{after}", encoding="utf-8")


def line_of(row: dict[str, Any]) -> str:
    versions, tests = row["versions"], row["tests"]
    python = row["python"] or row["name"].partition("-")[0]
    counts = ", ".join(f"{tests[name]} {name}" for name in tests) or "not run"
    words = {
        OLDEST: "the oldest of everything",
        PINNED: "as development has it",
        NEWEST: "the newest",
    }
    which = row["name"].partition("-")[2]
    cells = (
        python, versions.get("torch", "–"), versions.get("numpy", "–"),
        "yes" if row["compiled"] else "–", "yes" if row["cures"] else "–", counts,
        row["note"] or words.get(which, f"torch {which}, and the newest of the others"),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(sys.argv[1:])
