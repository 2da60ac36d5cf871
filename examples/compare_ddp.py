"""Compare trainings that are jobs of their own: here one job is two processes under DDP.

    python examples/compare_ddp.py [SEEDS]

`Case(training=...)` takes any function that trains a model: a Lightning trainer, a Hugging Face
Trainer, or, as here, torchrun. Each cell of the comparison starts `torchrun` with two processes on
this machine (gloo, no GPU needed); they train the network together and hand its weights back.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

from skipway import Case, compare
from skipway.nn import Skip

STEPS = 150


def plain() -> nn.Module:
    """Return a network of 12 hidden layers that learns little in so few steps."""
    body = [nn.Sequential(nn.Linear(48, 48), nn.Tanh()) for _ in range(12)]
    return nn.Sequential(nn.Linear(64, 48), nn.Tanh(), *body, nn.Linear(48, 10))


def residual() -> nn.Module:
    """Return the same network with a skip around every layer."""
    body = [Skip(nn.Sequential(nn.Linear(48, 48), nn.Tanh())) for _ in range(12)]
    return nn.Sequential(nn.Linear(64, 48), nn.Tanh(), *body, nn.Linear(48, 10))


def train_in_two_processes(model, data, *, seed, rate, log):
    """Train `model` by a job of its own; what `Case(training=...)` calls for every cell."""
    with tempfile.TemporaryDirectory() as place:
        job = Path(place) / "job.pt"
        torch.save({"model": model, "data": data["train"], "seed": seed, "rate": 0.02 * rate}, job)
        words = ["--standalone", "--nproc-per-node=2", __file__, "worker", str(job)]
        command = [sys.executable, "-m", "torch.distributed.run", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        trained = job.with_suffix(".trained")
        if not trained.exists():
            raise RuntimeError(done.stderr[-2000:])
        model.load_state_dict(torch.load(trained, weights_only=True))


def worker(job: Path) -> None:
    """Train one half of every batch; torchrun starts two of these."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    given = torch.load(job, weights_only=False)  # our own file, written a moment ago
    inputs, targets = given["data"]
    model = nn.parallel.DistributedDataParallel(given["model"])
    optimizer = torch.optim.SGD(model.parameters(), lr=given["rate"])
    order = torch.Generator().manual_seed(given["seed"])
    for _ in range(STEPS):
        batch = torch.randint(len(inputs), (64,), generator=order)[rank::2]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[batch]), targets[batch]).backward()
        optimizer.step()
    if rank == 0:
        torch.save(model.module.state_dict(), job.with_suffix(".trained"))
    torch.distributed.barrier()  # nobody leaves while the other still talks
    torch.distributed.destroy_process_group()


def main(seeds: int) -> None:
    """Compare the two over some seeds and print the verdict."""
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    case = Case(
        name="two processes",
        model=plain,
        train=(x[:1400], y[:1400]),
        test=(x[1400:], y[1400:]),
        loss=nn.functional.cross_entropy,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.02),
        training=train_in_two_processes,
        learning_rates=(1.0,),
    )
    cases = {"plain": case, "residual": case.replace(model=residual)}
    print(compare(cases, seeds=seeds, workers=1, controls=False))


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 3)
