"""How the scripts here measure: alternating runs, medians, bytes kept for backward, the machine."""

from __future__ import annotations

import ctypes
import gc
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def alternate(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time each run once a round, in turned order every other round; seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for turn in range(rounds):
        order = list(runs) if turn % 2 == 0 else list(reversed(runs))
        for name in order:
            start = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], ours: str, rival: str) -> float:
    """Return the median over the rounds of ours / rival: below 1 is faster."""
    pairs = zip(seconds[ours], seconds[rival], strict=True)
    return round(statistics.median(a / b for a, b in pairs), 3)


def against(seconds: Mapping[str, list[float]], rival: str) -> dict[str, dict[str, float]]:
    """Return each run's milliseconds and how many times as fast as the rival it is.

    Both twice: the median over the rounds, and the least, which says what is possible where others
    share the machine.
    """
    base = seconds[rival]
    return {
        name: {
            "ms, median": round(1e3 * statistics.median(own), 1),
            "ms, least": round(1e3 * min(own), 1),
            "times as fast, median": round(
                statistics.median(b / a for a, b in zip(own, base, strict=True)), 2
            ),
            "times as fast, least": round(min(base) / min(own), 2),
        }
        for name, own in seconds.items()
    }


def peak_megabytes(run: Callable[[], object]) -> float:
    """Return by how much one run raises this process's resident memory (Linux)."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _resident("VmRSS")
    run()
    return round((_resident("VmHWM") - before) / 1024, 1)


def in_a_process(script: str, *job: Any) -> Any:
    """Run `script --job [...]` in a process of its own and return the JSON of its last line."""
    command = [sys.executable, script, "--job", json.dumps(job)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])  # libraries print above it


def saved_bytes(forward: Callable[[], Tensor], parameters: Iterable[Tensor]) -> int:
    """Return what autograd keeps for backward: each storage once, without parameters."""
    own = {p.untyped_storage().data_ptr() for p in parameters}
    kept: dict[int, tuple[int, Any]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            # The storage itself is held, lest another takes its address while we count.
            kept[storage.data_ptr()] = storage.nbytes(), storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = forward()
    total = sum(size for size, _ in kept.values())
    del output
    return total


def machine(*packages: str) -> dict[str, Any]:
    """Return what the numbers depend on besides the code; versions of further packages too."""
    here = [name for name in packages if importlib.util.find_spec(name)]
    return {
        "machine": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{name: importlib.metadata.version(name) for name in here},
    }


def write(script: str, result: Mapping[str, Any]) -> None:
    """Write the result beside its script, and print it."""
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    Path(script).with_suffix(".json").write_text(text, encoding="utf-8")
    print(text)


def _resident(which: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()
