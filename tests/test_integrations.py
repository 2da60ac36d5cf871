"""skipway inside the frameworks themselves, in short real trainings."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import skipway

X = torch.randn(160, 8, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))


def by_hand(steps: int, *, accumulate: int = 1, every: int = 5) -> tuple[nn.Module, dict]:
    """Train the same thing in a plain loop, which the frameworks are held against."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = list(zip(X.split(16), Y.split(16), strict=True))
    with skipway.watch(model, optimizer, every=every, notify=lambda _: None) as watch:
        for step in range(steps):
            for part in range(accumulate):
                x, y = batches[(step * accumulate + part) % len(batches)]
                loss = nn.functional.cross_entropy(model(x), y) / accumulate
                watch.loss(loss).backward()
            optimizer.step()
            optimizer.zero_grad()
        return model, watch.scalars()


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# ---------------------------------------------------------------- Lightning


@pytest.mark.filterwarnings("ignore")  # Lightning's own: few workers, no validation loop, ...
@pytest.mark.parametrize("accumulate", [1, 2])
def test_lightning(tmp_path: Path, accumulate: int) -> None:
    pytest.importorskip("lightning")
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.loggers import CSVLogger

    from skipway.integrations.lightning import WatchLayers

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    callback = WatchLayers(every=5, save=tmp_path / "layers.html", notify=lambda _: None)
    logger = CSVLogger(tmp_path)
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", logger=logger, callbacks=[callback],
        enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
        accumulate_grad_batches=accumulate, enable_checkpointing=False,
    )  # fmt: skip
    module = Module()
    trainer.fit(module, DataLoader(TensorDataset(X, Y), batch_size=16))
    alone, numbers = by_hand(20 // accumulate, accumulate=accumulate)
    assert same(module.net, alone)
    assert callback.watch.step == 20 // accumulate
    for name, value in numbers.items():
        inside = f"{name.split('/')[0]}/net.{name.split('/')[1]}" if "/" in name else name
        assert callback.watch.scalars()[inside] == pytest.approx(value, rel=1e-6), name
    assert callback.diagnosis.cause == "healthy"
    assert "<title>" in (tmp_path / "layers.html").read_text(encoding="utf-8")
    logged = next(tmp_path.rglob("metrics.csv")).read_text().splitlines()[0]
    assert "skipway/gradient/net.0" in logged


@pytest.mark.filterwarnings("ignore")
def test_lightning_leaves_nothing_behind_after_an_exception(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from lightning.pytorch import LightningModule, Trainer

    from skipway.integrations.lightning import WatchLayers

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            if index == 7:
                raise RuntimeError("the projector is out of film")
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    callback, module = WatchLayers(every=1, notify=lambda _: None), Module()
    trainer = Trainer(max_epochs=1, accelerator="cpu", logger=False, callbacks=[callback],
                      enable_progress_bar=False, enable_model_summary=False,
                      enable_checkpointing=False)  # fmt: skip
    with pytest.raises(RuntimeError, match="out of film"):
        trainer.fit(module, DataLoader(TensorDataset(X, Y), batch_size=16))
    assert callback.diagnosis is not None
    assert callback.watch.step == 7
    assert not any(each._forward_hooks for each in module.modules())
    (optimizer,) = trainer.optimizers
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


# ---------------------------------------------------------------- Hugging Face


class Classifier(nn.Module):
    """A model as the Trainer of Hugging Face wants it: it returns its own loss."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.net(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@pytest.mark.filterwarnings("ignore")
def test_transformers(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from transformers import Trainer, TrainingArguments

    from skipway.integrations.transformers import WatchLayers

    data = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=16, num_train_epochs=2,
        gradient_accumulation_steps=2, logging_steps=5, report_to=["tensorboard"], use_cpu=True,
        save_strategy="no", disable_tqdm=True, lr_scheduler_type="constant", max_grad_norm=0,
    )  # fmt: skip
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    callback = WatchLayers(every=5, save=tmp_path / "layers.json", notify=lambda _: None)
    trainer = Trainer(model, arguments, train_dataset=data, optimizers=(optimizer, None))
    callback.attach(trainer)
    trainer.train()
    assert callback.watch.step == 10
    logged = [entry for entry in trainer.state.log_history if "skipway/gradient/net.0" in entry]
    assert len(logged) == 2
    assert logged[-1]["skipway/gradient/net.0"] > 0
    # Mean of what is logged over five steps against the loss of the last of them.
    assert callback.watch.scalars()["loss"] == pytest.approx(logged[-1]["loss"], rel=0.2)
    events = EventAccumulator(str(next(tmp_path.rglob("events.*")).parent))
    events.Reload()
    assert any("skipway/gradient/net.0" in tag for tag in events.Tags()["scalars"])
    assert "compute_loss" not in vars(trainer)
    kept = skipway.read(tmp_path / "layers.json")
    assert kept.cause == callback.diagnosis.cause
    assert not optimizer._optimizer_step_pre_hooks


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("framework", ["lightning", "transformers"])
def test_a_wrong_ending_is_refused_before_the_training(framework: str) -> None:
    pytest.importorskip(framework)
    module = importlib.import_module(f"skipway.integrations.{framework}")
    with pytest.raises(skipway.SkipwayError, match=r"ends in neither \.html nor \.json"):
        module.WatchLayers(save="layers.txt")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("framework", ["lightning", "transformers"])
def test_it_looks_when_watch_does(framework: str) -> None:
    pytest.importorskip(framework)
    module = importlib.import_module(f"skipway.integrations.{framework}")
    own = inspect.signature(module.WatchLayers.__init__).parameters
    plain = inspect.signature(skipway.watch).parameters
    assert all(own[name].default == plain[name].default for name in ("every", "outputs", "notify"))


@pytest.mark.filterwarnings("ignore")
def test_transformers_on_two_processes_are_to_be_attached() -> None:
    pytest.importorskip("transformers")
    from types import SimpleNamespace

    from skipway.integrations.transformers import WatchLayers

    model = network()
    more = {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1)}
    callback = WatchLayers()
    with pytest.raises(skipway.SkipwayError, match=r"attach\(trainer\)"):
        callback.on_train_begin(SimpleNamespace(world_size=2), None, None, **more)
    assert callback.watch is None


# ---------------------------------------------------------------- Accelerate


def test_accelerate_counts_synchronised_steps_only() -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(X, Y), batch_size=16)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    with skipway.watch(model, optimizer, every=5, notify=lambda _: None) as watch:
        for _ in range(2):
            for x, y in loader:
                with accelerator.accumulate(model):
                    loss = nn.functional.cross_entropy(model(x), y)
                    accelerator.backward(watch.loss(loss))
                    optimizer.step()
                    optimizer.zero_grad()
        found = watch.scalars()
        assert watch.step == 10
    alone, numbers = by_hand(10, accumulate=2)
    assert same(accelerator.unwrap_model(model), alone)
    for name in ("gradient/0", "update/2", "weight/0"):
        assert found[name] == pytest.approx(numbers[name], rel=1e-6)


# ---------------------------------------------------------------- loggers


@pytest.fixture
def watched():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skipway.watch(model, optimizer, every=1, notify=lambda _: None) as watch:
        for x, y in zip(X.split(32), Y.split(32), strict=True):
            optimizer.zero_grad()
            watch.loss(nn.functional.cross_entropy(model(x), y)).backward()
            optimizer.step()
        yield watch


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_takes_the_numbers(watched, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for name, value in watched.scalars().items():
            writer.add_scalar(name, value, watched.step)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    value = events.Scalars("gradient/0")[0]
    assert value.step == 5
    assert value.value == pytest.approx(watched.scalars()["gradient/0"], rel=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_wandb_takes_the_numbers_and_the_page(watched, tmp_path: Path, monkeypatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(dir=str(tmp_path), project="skipway")
    run.log(watched.scalars(), step=watched.step)
    page = watched.diagnosis().save(tmp_path / "layers.html")
    run.log({"layers": wandb.Html(str(page))})
    assert run.summary["gradient/0"] == watched.scalars()["gradient/0"]
    run.finish()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("store", ["database", "files"])
def test_mlflow_takes_the_numbers_and_the_page(
    watched, tmp_path: Path, monkeypatch, store: str
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # which it has begun to leave behind
    place = (tmp_path / "runs").as_uri() if store == "files" else f"sqlite:///{tmp_path}/runs.db"
    mlflow.set_tracking_uri(place)
    mlflow.create_experiment("layers", artifact_location=(tmp_path / "kept").as_uri())
    mlflow.set_experiment("layers")
    with mlflow.start_run() as run:
        mlflow.log_metrics(watched.scalars(), step=watched.step)
        mlflow.log_artifact(str(watched.diagnosis().save(tmp_path / "layers.html")))
    kept = mlflow.get_run(run.info.run_id).data.metrics
    assert kept["gradient/0"] == pytest.approx(watched.scalars()["gradient/0"])
    assert list((tmp_path / "kept").rglob("layers.html"))


# ---------------------------------------------------------------- notebooks

CELLS = [
    """
import torch
from torch import nn
import skipway
from skipway.integrations.notebook import live, page

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(64, 8)
y = (x[:, 0] > 0).long()
""",
    """
with skipway.watch(model, optimizer, every=2, notify=lambda _: None) as watch:
    view = live(watch)
    for _ in range(6):
        optimizer.zero_grad()
        watch.loss(nn.functional.cross_entropy(model(x), y)).backward()
        optimizer.step()
        view.update()
""",
    "watch.diagnosis()",
    "page(watch.diagnosis(), height=500)",
]


def test_notebook_shows_a_figure_a_live_view_and_a_page(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS]
    book = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(book, timeout=250, kernel_name="python3").execute()
    _, watching, figure, page = (cell["outputs"] for cell in book["cells"])
    (view,) = [each for each in watching if each["output_type"] == "display_data"]
    assert "<svg" in view["data"]["text/html"]
    assert "No step was taken yet" not in view["data"]["text/html"]  # it was redrawn in place
    (shown,) = [each["data"]["text/html"] for each in figure if "data" in each]
    assert "<svg" in shown
    assert "<script" not in shown
    assert [each["output_type"] for each in page] == ["execute_result"]  # and no warning
    (framed,) = [each["data"]["text/html"] for each in page if "data" in each]
    assert "<iframe srcdoc=" in framed
    assert 'height="500"' in framed


# ---------------------------------------------------------------- the core stays light


def test_the_core_imports_no_framework() -> None:
    script = (
        "import sys, skipway; skipway.watch; skipway.compare; skipway.nn; skipway.models\n"
        "heavy = {'lightning', 'pytorch_lightning', 'transformers', 'accelerate', 'tensorboard',\n"
        "         'wandb', 'mlflow', 'IPython', 'submitit', 'matplotlib'}\n"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
