"""How the scripts here measure: alternating runs, medians, bytes kept for backward, the machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
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


def machine() -> dict[str, Any]:
    """Return what the numbers depend on besides the code."""
    return {
        "machine": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def write(script: str, result: Mapping[str, Any]) -> None:
    """Write the result beside its script, and print it."""
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    Path(script).with_suffix(".json").write_text(text, encoding="utf-8")
    print(text)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()
