"""The dense block against torchvision and timm: time, memory kept for the backward, peak memory.

    python benchmarks/speed/dense_block.py [ROUNDS] [--only WORD]

Every round runs all rivals one after the other, so a ratio compares neighbours in time; the numbers
are medians over the rounds. Each thread count and each peak has a process of its own. The result
goes to dense_block.json; with --only, the cases whose name holds WORD are measured again.
"""

from __future__ import annotations

import argparse
import copy
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipway import models

STEPS = (
    "densenet121 step, 8x3x128x128",
    "densenet-bc-100 step, 64x3x32x32",
    "one block of 64 layers step, 16x24x32x32",
)
INFERENCE = ("densenet121 inference, 1x3x224x224", "densenet121 inference, 8x3x224x224")
LAST = torch.channels_last


def torchvision_networks() -> Any:
    """Return torchvision.models; operators that do not fit this torch are declared, not run."""
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    for compiled in Path(spec.submodule_search_locations[0]).glob("_C*.so"):
        try:
            torch.ops.load_library(str(compiled))
        except OSError:
            global declared  # must live as long as the operators
            declared = torch.library.Library("torchvision", "FRAGMENT")
            for name in ("nms", "qnms"):
                declared.define(f"{name}(Tensor dets, Tensor scores, float threshold) -> Tensor")
    from torchvision import models as networks

    return networks


def small_images(network: nn.Module) -> nn.Module:
    """Give an ImageNet network of torchvision or timm the stem for small images."""
    features: Any = network.features
    features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        features._modules.pop(name, None)
    return network


def one_block(memory_efficient: bool) -> nn.Module:
    block: nn.Module = torchvision_networks().densenet._DenseBlock(
        64, 24, 4, 12, 0.0, memory_efficient
    )
    return block


def rivals(case: str) -> tuple[dict[str, nn.Module], Tensor]:
    """Build the networks of a case with the same weights, and its input."""
    tv = torchvision_networks()
    timm: Any = None
    if importlib.util.find_spec("timm"):
        import timm
    torch.manual_seed(0)
    if case.startswith("one block"):
        theirs, x = one_block(False), torch.randn(16, 24, 32, 32)
        nets = {"torchvision, memory_efficient": one_block(True)}
    elif "bc-100" in case:
        sizes = {"growth_rate": 12, "block_config": (16, 16, 16), "num_classes": 10}
        theirs = small_images(tv.DenseNet(num_init_features=24, **sizes))
        x = torch.randn(64, 3, 32, 32)
        efficient = tv.DenseNet(num_init_features=24, memory_efficient=True, **sizes)
        nets = {"torchvision, memory_efficient": small_images(efficient)}
        if timm:
            nets["timm"] = small_images(timm.models.DenseNet(**sizes))
    else:
        theirs = tv.densenet121()
        x = torch.randn(*map(int, case.split(", ")[1].split("x")))
        nets = {"torchvision, memory_efficient": tv.densenet121(memory_efficient=True)}
        if timm:
            nets["timm"] = timm.create_model("densenet121")
    weights = theirs.state_dict()
    for net in nets.values():
        net.load_state_dict(weights)
    nets = {
        "torchvision": theirs,
        "torchvision, channels_last": copy.deepcopy(theirs).to(memory_format=LAST),
        **nets,
        "skipway, fast": models.lean(theirs, memory="fast"),
        "skipway, lean": models.lean(theirs, memory="lean"),
    }
    if case in INFERENCE:
        nets = {name: net.eval() for name, net in nets.items() if "efficient" not in name}
        nets.pop("skipway, lean")
    return nets, x


def runs(case: str) -> dict[str, Callable[[], Any]]:
    """Return one training step, or one inference, for every rival."""
    nets, x = rivals(case)
    last = x.contiguous(memory_format=LAST)
    targets = torch.zeros(len(x), dtype=torch.long)

    def run(name: str, net: nn.Module) -> Callable[[], Any]:
        given = last if "channels_last" in name else x

        def step() -> None:
            net.zero_grad()
            out = net(given)
            (F.cross_entropy(out, targets) if out.dim() == 2 else out.mean()).backward()

        def infer() -> None:
            with torch.no_grad():
                net(given)

        return infer if case in INFERENCE else step

    return {name: run(name, net) for name, net in nets.items()}


def measure_time(case: str, threads: int, rounds: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    every = runs(case)
    seconds: dict[str, list[float]] = {name: [] for name in every}
    for turn in range(rounds + 1):
        for name, run in every.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    base = seconds["torchvision"]
    return {
        name: {
            "ms": round(1e3 * statistics.median(each), 1),
            "times as fast as torchvision": round(
                statistics.median(one / two for one, two in zip(base, each, strict=True)), 2
            ),
        }
        for name, each in seconds.items()
    }


def measure_saved(case: str) -> dict[str, float]:
    """Return the megabytes that each rival's forward keeps, parameters aside."""
    nets, x = rivals(case)
    found = {}
    for name, net in nets.items():
        own = {each.untyped_storage().data_ptr() for each in net.parameters()}
        kept: dict[int, int] = {}

        def remember(tensor: Tensor, own: Any = own, kept: Any = kept) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()

        given = x.contiguous(memory_format=LAST) if "channels_last" in name else x
        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            out = net(given)
        found[name] = round(sum(kept.values()) / 1e6, 1)
        del out
    return found


def measure_peak(case: str, name: str) -> float:
    """Return the megabytes by which one step raises this process's resident memory (Linux)."""
    torch.set_num_threads(1)
    run = runs(case)[name]  # what the other networks held goes with their steps
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _resident("VmRSS")
    run()
    return round((_resident("VmHWM") - before) / 1024, 1)


def _resident(which: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which))


def in_a_process(*job: Any) -> Any:
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])  # libraries print above it


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in info.splitlines() if "model name" in line]
    versions = {}
    for package in ("torch", "torchvision", "timm"):
        spec = importlib.util.find_spec(package)
        versions[package] = importlib.metadata.version(package) if spec else None
    return {
        "machine": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load before": os.getloadavg()[0],
        "python": platform.python_version(),
        **versions,
    }


def main(rounds: int, only: str) -> None:
    file = Path(__file__).with_suffix(".json")
    result = json.loads(file.read_text()) if file.exists() else {}
    for case in (*STEPS, *INFERENCE):
        if only not in case:
            continue
        found: dict[str, Any] = {**machine(), "rounds": rounds}
        for threads in (1, 2):
            found[f"{threads} threads"] = in_a_process("time", case, threads, rounds)
        if case in STEPS:
            found["saved for the backward, MB"] = in_a_process("saved", case)
            found["peak of one step, MB"] = {
                name: in_a_process("peak", case, name) for name in found["1 threads"]
            }
        result[case] = {**found, "load after": os.getloadavg()[0]}
        print(json.dumps({case: result[case]}, indent=1), flush=True)
        file.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="?", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--job")
    arguments = parser.parse_args()
    if arguments.job:
        kind, *job = json.loads(arguments.job)
        jobs: dict[str, Callable[..., Any]] = {
            "time": measure_time,
            "saved": measure_saved,
            "peak": measure_peak,
        }
        print(json.dumps(jobs[kind](*job)))
    else:
        main(arguments.rounds, arguments.only)
