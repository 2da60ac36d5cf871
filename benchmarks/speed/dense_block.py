"""The dense block against torchvision and timm: time, memory kept for the backward, peak memory.

    python benchmarks/speed/dense_block.py [ROUNDS] [--only WORD]

Every round runs all rivals one after the other, so a ratio compares neighbours in time; the numbers
are medians over the rounds, and the least. Each thread count and each peak has a process of its
own. The result goes to dense_block.json; with --only, the cases whose name holds WORD are measured
again.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from measure import against, alternate, in_a_process, machine, peak_megabytes, saved_bytes

from oracle import torchvision
from skipway import models

STEPS = (
    "densenet121 step, 8x3x128x128",
    "densenet-bc-100 step, 64x3x32x32",
    "one block of 64 layers step, 16x24x32x32",
)
INFERENCE = ("densenet121 inference, 1x3x224x224", "densenet121 inference, 8x3x224x224")
LAST = torch.channels_last


def small_images(network: nn.Module) -> nn.Module:
    """Give an ImageNet network of torchvision or timm the stem for small images."""
    features: Any = network.features
    features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        features._modules.pop(name, None)
    return network


def one_block(memory_efficient: bool) -> nn.Module:
    block: nn.Module = torchvision.models.densenet._DenseBlock(64, 24, 4, 12, 0.0, memory_efficient)
    return block


def rivals(case: str) -> tuple[dict[str, nn.Module], Tensor]:
    """Build the networks of a case with the same weights, and its input."""
    tv: Any = torchvision.models
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
        nets["skipway, folded"] = models.fold(theirs)
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
    return against(alternate(runs(case), rounds), "torchvision")


def measure_saved(case: str) -> dict[str, float]:
    """Return the megabytes that each rival's forward keeps, parameters aside."""
    nets, x = rivals(case)
    last = x.contiguous(memory_format=LAST)
    found = {}
    for name, net in nets.items():
        given = last if "channels_last" in name else x
        kept = saved_bytes(lambda net=net, given=given: net(given), net.parameters())
        found[name] = round(kept / 1e6, 1)
    return found


def measure_peak(case: str, name: str) -> float:
    """Return the megabytes by which one step raises this process's resident memory."""
    torch.set_num_threads(1)
    return peak_megabytes(runs(case)[name])  # what the other networks held goes with their steps


def main(rounds: int, only: str) -> None:
    file = Path(__file__).with_suffix(".json")
    result = json.loads(file.read_text()) if file.exists() else {}
    for case in (*STEPS, *INFERENCE):
        if only not in case:
            continue
        found: dict[str, Any] = {**machine("torchvision", "timm"), "rounds": rounds}
        for threads in (1, 2):
            found[f"{threads} threads"] = in_a_process(__file__, "time", case, threads, rounds)
        if case in STEPS:
            found["saved for the backward, MB"] = in_a_process(__file__, "saved", case)
            found["peak of one step, MB"] = {
                name: in_a_process(__file__, "peak", case, name) for name in found["1 threads"]
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
