"""What a diagnosis costs: against training steps of the same model, and with depth.

    python benchmarks/speed/diagnose.py [--rounds 15] [--threads 1] [--deep]

Each round times one training step (forward, backward, SGD with momentum) and every kind of
diagnosis of torchvision's ResNet-18 on 8 images of 64 x 64, in turned order; the ratio is the
median over the rounds of one diagnosis over one step. `--deep` times plain networks of 1,250 to
10,000 layers, each in a process of its own, and only then.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from skipway import diagnose

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "tests")]
from measure import alternate, in_a_process, machine, ratio, write

from oracle import torchvision

DEPTHS = (1250, 2500, 5000, 10_000)


def resnet18(rounds: int) -> dict[str, object]:
    """Time a step and the diagnoses of ResNet-18."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None, num_classes=10).train()
    batch = torch.randn(8, 3, 64, 64), torch.arange(8) % 10
    optimizer = torch.optim.SGD(model.parameters(), 3e-4, momentum=0.9)

    # Trained is a copy: what is diagnosed stays at its start, or the batch would soon be learned.
    trained = copy.deepcopy(model)
    training = torch.optim.SGD(trained.parameters(), 3e-4, momentum=0.9)

    def step() -> None:
        training.zero_grad()
        F.cross_entropy(trained(batch[0]), batch[1]).backward()
        training.step()

    def found(**options: object) -> object:
        return lambda: diagnose(model, batch, F.cross_entropy, **options)

    runs = {
        "training step": step,
        "diagnose, no optimizer": found(),
        "diagnose, optimizer": found(optimizer=optimizer),
        "diagnose, optimizer, steps=10": found(optimizer=optimizer, steps=10),
        "diagnose, shattering=True": found(shattering=True),
    }
    seconds = alternate(runs, rounds)
    return {
        "in training steps": {name: ratio(seconds, name, "training step") for name in runs},
        "ms, median": {
            name: round(1e3 * sorted(times)[len(times) // 2], 1) for name, times in seconds.items()
        },
        "rounds": rounds,
    }


def plain(depth: int) -> dict[str, float]:
    """Return the seconds that a diagnosis of a plain network takes, and those of the processor.

    The two are the same where nobody else uses the machine.
    """
    torch.manual_seed(0)
    layers = (m for _ in range(depth) for m in (nn.Linear(16, 16), nn.ReLU()))
    model = nn.Sequential(*layers, nn.Linear(16, 4))
    batch = torch.randn(32, 16), torch.randint(4, (32,))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    start, used = time.perf_counter(), time.process_time()
    diagnose(model, batch, F.cross_entropy, optimizer=optimizer)
    took = {"seconds": time.perf_counter() - start, "of processor": time.process_time() - used}
    return {name: round(value, 2) for name, value in took.items()}


def main() -> None:
    """Measure and write the results beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--job")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.job:
        print(json.dumps(plain(*json.loads(given.job))))
        return
    where = Path(__file__).with_suffix(".json")
    known = json.loads(where.read_text(encoding="utf-8")) if where.exists() else {}
    here = {**machine("torchvision"), "threads": given.threads}
    if given.deep:
        times = {str(depth): in_a_process(__file__, depth) for depth in DEPTHS}
        known["plain network, by depth"] = {**times, "machine": here}
    else:
        key = f"resnet18, {given.threads} thread{'s' if given.threads > 1 else ''}"
        known[key] = {**resnet18(given.rounds), "machine": here}
    write(__file__, known)


if __name__ == "__main__":
    main()
