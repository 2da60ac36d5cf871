"""ResNet-50 against torchvision's: `python benchmarks/speed/resnet.py [ROUNDS]`, in resnet.json.

Training: one step, and the bytes kept for its backward, with `memory="lean"`. Inference: `fold`
against torchvision as it is, in channels_last and under torch.compile. On one thread and on two;
all variants take turns in one process; a ratio is the median over the rounds, or that of the least
times. torch.compile is left out where it fails (it needs a C++ compiler), and the result says so.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from measure import against, alternate, machine, saved_bytes, write

from oracle import torchvision
from skipway import models

Run = Callable[[], object]


def main(rounds: int) -> None:
    result: dict[str, object] = {**machine("torchvision"), "rounds": rounds}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        result[f"threads: {threads}"] = {
            "training step, 8 x 3 x 128 x 128": training(rounds),
            "inference, 1 x 3 x 224 x 224": inference(1, rounds),
            "inference, 4 x 3 x 224 x 224": inference(4, rounds),
            "load after": round(os.getloadavg()[0], 2),
        }
        write(__file__, result)


def training(rounds: int) -> dict[str, object]:
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
    kept = {
        name: saved_bytes(bound(call, *pair), pair[0].parameters())
        for name, pair in networks.items()
    }
    table = against(alternate(runs, rounds), "torchvision")
    for name, row in table.items():
        row["MiB kept for the backward"] = round(kept[name] / 2**20, 1)
        row["kept, torchvision's over this"] = round(kept["torchvision"] / kept[name], 2)
    return dict(table)


def inference(batch: int, rounds: int) -> dict[str, object]:
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
    runs = {name: bound(run, *pair) for name, pair in networks.items()}
    table = against(alternate(runs, rounds), "torchvision")
    return {**table, **failed, "largest difference of an output": difference}


def call(network: nn.Module, x: Tensor) -> Tensor:
    return network(x)


def bound(function: Callable[[nn.Module, Tensor], object], network: nn.Module, x: Tensor) -> Run:
    return lambda: function(network, x)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
