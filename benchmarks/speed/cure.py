"""How long the main job takes: `python benchmarks/speed/cure.py [RUNS]`, result in cure.json."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch


def main(runs: int) -> None:
    command = [sys.executable, "-m", "skipway", "cure"]
    seconds = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            subprocess.run([*command, "--folder", folder], check=True, stdout=subprocess.DEVNULL)
            seconds.append(round(time.perf_counter() - start, 1))
    result = {
        "command": "skipway cure (plain-mlp, 6 variants, 5 seeds, 4 learning rates, 10 epochs)",
        "seconds": seconds,
        "median": statistics.median(seconds),
        "peak resident memory of the largest process, MiB": round(
            resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        ),
        "cores": len(os.sched_getaffinity(0)),
        "load before": os.getloadavg()[0],
        "machine": _processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    names = [
        line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line
    ]
    return names[0]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
