"""ResNet-50 against torchvision's: `python benchmarks/speed/resnet.py [REPEATS]`, in resnet.json.

Training: one step, and the bytes kept for its backward, with `memory="lean"`. Inference: `fold`
against torchvision as it is, in channels_last and under torch.compile. All variants take turns in
one process; a ratio is the median over the turns. torch.compile is left out where it fails (it
needs a C++ compiler), and the result says so.
"""

from __future__ import annotations

import copy
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from oracle import torchvision
from skipway import models

Run = Callable[[], object]
# Seconds of all threads of this process. Where others share the cores, the wall clock measures
# them too.
CLOCKS = {"processor": time.process_time, "wall": time.perf_counter}


def main(repeats: int) -> None:
    torch.manual_seed(0)
    result = {
        "training step, 8 x 3 x 128 x 128": training(repeats),
        "inference, 1 x 3 x 224 x 224": inference(1, repeats),
        "inference, 4 x 3 x 224 x 224": inference(4, repeats),
        "repeats": repeats,
        "threads": torch.get_num_threads(),
        "load before and after": [LOAD, round(os.getloadavg()[0], 1)],
        "machine": processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }
    text = json.dumps(result, indent=1)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(text)


def training(repeats: int) -> dict[str, object]:
    x = torch.randn(8, 3, 128, 128)
    target = torch.randint(1000, (8,))
    theirs = torchvision.models.resnet50()
    last = copy.deepcopy(theirs).to(memory_format=torch.channels_last)
    networks = {
        "torchvision": (theirs, x),
        "torchvision, channels_last": (last, x.contiguous(memory_format=torch.channels_last)),
        "skipway, plain": (models.resnet50(), x),
        "skipway, lean": (models.resnet50(memory="lean"), x),
    }

    def step(network: nn.Module, images: Tensor) -> None:
        nn.functional.cross_entropy(network(images), target).backward()
        network.zero_grad()

    runs = {name: bound(step, *pair) for name, pair in networks.items()}
    kept = {name: saved_bytes(*pair) for name, pair in networks.items()}
    table = timed(runs, repeats)
    for name, row in table.items():
        row["MiB kept for the backward"] = round(kept[name] / 2**20, 1)
        row["kept, torchvision's over this"] = round(kept["torchvision"] / kept[name], 2)
    return dict(table)


def inference(batch: int, repeats: int) -> dict[str, object]:
    x = torch.randn(batch, 3, 224, 224)
    theirs = torchvision.models.resnet50().eval()
    last = copy.deepcopy(theirs).to(memory_format=torch.channels_last)
    ours = models.resnet50().eval()
    ours.load_state_dict(theirs.state_dict())
    networks = {
        "torchvision": (theirs, x),
        "torchvision, channels_last": (last, x.contiguous(memory_format=torch.channels_last)),
        "skipway, folded": (models.fold(ours), x),
        "torchvision, folded": (models.fold(theirs), x),
    }

    @torch.inference_mode()
    def run(network: nn.Module, images: Tensor) -> Tensor:
        return network(images)

    compiled = {
        "torchvision, torch.compile": (torch.compile(copy.deepcopy(theirs)), x),
        "skipway, folded, torch.compile": (torch.compile(models.fold(ours)), x),
    }
    failed = {}
    for name, pair in compiled.items():
        try:
            run(*pair)
            networks[name] = pair
        except Exception as error:
            failed[name] = f"failed: {type(error).__name__}"
    difference = (run(*networks["skipway, folded"]) - run(theirs, x)).abs().max().item()
    table = timed({name: bound(run, *pair) for name, pair in networks.items()}, repeats)
    return {**table, **failed, "largest difference of an output": difference}


def bound(function: Callable[[nn.Module, Tensor], object], network: nn.Module, x: Tensor) -> Run:
    return lambda: function(network, x)


def timed(runs: dict[str, Run], repeats: int) -> dict[str, dict[str, float]]:
    """Let all take turns; the first is what the others are measured against."""
    seconds = {name: {clock: [] for clock in CLOCKS} for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            before = {clock: read() for clock, read in CLOCKS.items()}
            run()
            for clock, read in CLOCKS.items():
                seconds[name][clock] += [read() - before[clock]] if turn else []
    first = next(iter(runs))
    return {name: row(seconds[name], seconds[first]) for name in runs}


def row(own: dict[str, list[float]], first: dict[str, list[float]]) -> dict[str, float]:
    found = {}
    for clock, times in own.items():
        found[f"{clock}, s"] = round(statistics.median(times), 3)
        ratios = [a / b for a, b in zip(times, first[clock], strict=True)]
        found[f"{clock}, over torchvision's"] = round(statistics.median(ratios), 2)
    return found


def saved_bytes(network: nn.Module, x: Tensor) -> int:
    """Return the bytes kept for the backward, each storage once, parameters not counted."""
    kept: dict[int, int] = {}
    alive, own = [], {p.untyped_storage().data_ptr() for p in network.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(x)
    return sum(kept.values())


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


LOAD = round(os.getloadavg()[0], 1)

if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
