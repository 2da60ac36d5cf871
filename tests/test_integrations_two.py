"""skipway in the frameworks on two processes, started as their users start them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from launched import mortal
from test_integrations import by_hand

if not torch.distributed.is_available():
    pytest.skip("torch was built without distributed", allow_module_level=True)

# Frameworks import torchvision where there is one, also beside a torch it was not built for.
START = f"""
import importlib.util, json, os, sys, warnings
warnings.simplefilter("ignore")
if importlib.util.find_spec("torchvision"):
    sys.path.append({str(Path(__file__).parent)!r})
    import oracle
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
import skipway

torch.set_num_threads(1)
x = torch.randn(160, 8, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
loss_fn = nn.functional.cross_entropy


def keep(watch, ours=""):
    numbers = {{name.replace(ours, ""): each for name, each in watch.scalars().items()}}
    rank = int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", 0)))
    with open(f"rank{{rank}}.json", "w") as file:
        json.dump({{"steps": watch.step, **numbers}}, file)
"""

ACCELERATE = """
from accelerate import Accelerator

optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
loader = DataLoader(TensorDataset(x, y), batch_size=4)
model, optimizer, loader = accelerator.prepare(net, optimizer, loader)
with skipway.watch(model, optimizer, every=1, notify=lambda _: None) as watch:
    for a, b in loader:
        with accelerator.accumulate(model):
            accelerator.backward(watch.loss(loss_fn(model(a), b)))
            optimizer.step()
            optimizer.zero_grad()
    keep(watch)
accelerator.end_training()
os._exit(0)  # gloo's threads may abort a process that ends, long after all is done
"""

LIGHTNING = """
from lightning.pytorch import LightningModule, Trainer
from skipway.integrations.lightning import WatchLayers


class Module(LightningModule):
    def __init__(self):
        super().__init__()
        self.net = net

    def training_step(self, batch, index):
        return loss_fn(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_train_epoch_end(self):
        keep(callback.watch, "net.")


class InTurn(torch.utils.data.Sampler):  # as the plain loop draws: two ranks, one batch
    def __iter__(self):
        return iter(range(self.rank, 160, 2))

    def __len__(self):
        return 80

    def __init__(self, rank):
        self.rank = rank


callback = WatchLayers(every=1, save="layers.html", notify=lambda _: None)
trainer = Trainer(
    max_epochs=1, accelerator="cpu", devices=2, strategy="ddp", logger=False,
    callbacks=[callback], enable_progress_bar=False, enable_model_summary=False,
    enable_checkpointing=False, use_distributed_sampler=False,
)
rank = int(os.environ.get("LOCAL_RANK", 0))
trainer.fit(Module(), DataLoader(TensorDataset(x, y), batch_size=8, sampler=InTurn(rank)))
"""

TRANSFORMERS = """
from skipway.integrations.transformers import WatchLayers
from transformers import Trainer, TrainingArguments


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net

    def forward(self, x, labels):
        logits = self.net(x)
        return {"loss": loss_fn(logits, labels), "logits": logits}


class InOrder(Trainer):  # as the plain loop draws
    def _get_train_sampler(self, *given):
        return torch.utils.data.SequentialSampler(self.train_dataset)


model = Classifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = [{"x": a, "labels": b} for a, b in zip(x, y)]
arguments = TrainingArguments(
    "out", per_device_train_batch_size=8, num_train_epochs=1, report_to=[], use_cpu=True,
    save_strategy="no", disable_tqdm=True, lr_scheduler_type="constant", max_grad_norm=0,
)
trainer = InOrder(model, arguments, train_dataset=data, optimizers=(optimizer, None))
callback = WatchLayers(every=1, save="layers.html", notify=lambda _: None).attach(trainer)
trainer.train()
keep(callback.watch, "net.")
torch.distributed.barrier()
os._exit(0)  # as with Accelerate
"""

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
WAYS = {
    "accelerate launch": (
        "accelerate", ACCELERATE,
        ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2",
         "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no",
         "--main_process_port=0"],
    ),
    "torchrun accelerate": ("accelerate", ACCELERATE, TORCHRUN),
    "lightning ddp": ("lightning", LIGHTNING, []),
    "torchrun transformers": ("transformers", TRANSFORMERS, TORCHRUN),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_two_processes_see_the_batch_of_one(way: str, tmp_path: Path) -> None:
    framework, program, launcher = WAYS[way]
    pytest.importorskip("lightning_utilities" if framework == "lightning" else framework)
    (tmp_path / "train.py").write_text(START + program)
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, *launcher, "train.py"], cwd=tmp_path, capture_output=True, text=True,
        timeout=280, env={**mortal(), "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path / "home"),
                          "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"rank{n}.json").read_text()) for n in (0, 1))
    assert first == second, "every process has the numbers of the whole"
    assert first["steps"] == 10
    _, numbers = by_hand(10, every=1)
    for name in ("gradient/0", "gradient/2", "weight/0", "update/2", "loss"):
        assert first[name] == pytest.approx(numbers[name], rel=1e-4), name
    if framework != "accelerate":
        assert "<title>" in (tmp_path / "layers.html").read_text(encoding="utf-8")
