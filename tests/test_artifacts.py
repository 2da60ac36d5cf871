"""Figures and pages as artifacts, in the loggers themselves; and what a notebook shows."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

matplotlib.use("Agg")

from matplotlib import pyplot

import report_samples as samples
import skipway
from skipway import report
from test_report import Reader
from test_watch_heat import watched

os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")


@pytest.fixture
def diagnosis() -> skipway.Diagnosis:
    """Of a real training, watched."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(64, 8)
    with skipway.watch(model, optimizer, every=1, notify=lambda _: None) as watch:
        for _ in range(5):
            optimizer.zero_grad()
            watch.loss(nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long())).backward()
            optimizer.step()
    return watch.diagnosis()


def coloured(data: bytes) -> float:
    """Return which share of a picture's pixels is not grey."""
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=int)
    return float((np.ptp(pixels, axis=2) > 30).mean())


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_keeps_the_figure(diagnosis, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_figure("layers", diagnosis.plot().figure, 5)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (kept,) = events.Images("layers")
    assert kept.step == 5
    assert coloured(kept.encoded_image_string) > 0.1


@pytest.mark.filterwarnings("ignore")
def test_wandb_keeps_the_figure_and_the_page(diagnosis, tmp_path: Path, monkeypatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    page = diagnosis.save(tmp_path / "layers.html")
    with wandb.init(dir=str(tmp_path), project="skipway") as run:
        picture = wandb.Image(diagnosis.plot().figure)
        run.log({"picture": picture, "layers": wandb.Html(str(page))})
        run.log_artifact(str(page), type="report")
    (png,) = tmp_path.rglob("media/images/*.png")
    assert coloured(png.read_bytes()) > 0.1
    (html,) = tmp_path.rglob("media/html/*.html")
    assert diagnosis.headline.replace("`", "") in re.sub("<[^>]*>", "", html.read_text("utf-8"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("store", ["sqlite:///{}/runs.db", "file://{}/runs"])
def test_mlflow_keeps_the_figure_and_the_page(diagnosis, tmp_path: Path, store: str) -> None:
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(store.format(tmp_path))
    mlflow.create_experiment("layers", artifact_location=(tmp_path / "kept").as_uri())
    mlflow.set_experiment("layers")
    page = diagnosis.save(tmp_path / "layers.html")
    with mlflow.start_run():
        mlflow.log_artifact(str(page))
        mlflow.log_figure(diagnosis.plot().figure, "layers.png")
    (png,) = (tmp_path / "kept").rglob("layers.png")
    assert coloured(png.read_bytes()) > 0.1
    (kept,) = (tmp_path / "kept").rglob("layers.html")
    assert kept.read_bytes() == page.read_bytes()
    pyplot.close("all")


# ---------------------------------------------------------------- notebooks


@pytest.mark.parametrize("made", [
    samples.diagnosis(50), samples.cure(1000), samples.what_if(20), watched([[0.5, 1e-5]] * 5),
])  # fmt: skip
def test_a_cell_shows_a_picture_and_a_table_without_script(made) -> None:
    figure = Reader(made._repr_html_())
    assert {"svg", "table"} <= set(figure.tags)
    assert not {"script", "style", "link", "iframe", "button"} & set(figure.tags)
    assert "The numbers of the layers" in figure.words


def test_the_table_of_a_cell_has_the_numbers() -> None:
    diagnosis = samples.diagnosis(50)
    rows = re.findall(r"<tr>(.*?)</tr>", report.figure(diagnosis.to_dict()), re.S)
    cells = [re.sub("<[^>]*>", "|", row).strip("|").split("|") for row in rows]
    found = {row[0]: [cell for cell in row[1:] if cell] for row in cells}
    assert found["Layer"] == ["state", "elasticity", "decades lost"]
    assert len(found) <= 31
    layer = diagnosis.layer("stem")
    state, elasticity, lost = found["stem"]
    assert state == "nothing moves"
    assert float(elasticity.replace("−", "-")) == pytest.approx(layer.elasticity, rel=0.05)
    assert float(lost) == pytest.approx(layer.decades_lost, abs=0.05)
    hidden = sum(int(found) for found in re.findall(r"⋮ (\d+) layer", " ".join(found)))
    shown = len([name for name in found if not name.startswith("⋮") and name != "Layer"])
    assert hidden + shown == 52


def test_a_cell_says_what_its_signs_and_colours_mean() -> None:
    data = watched([[0.5, 1e-5, 0.0]] * 20).to_dict()
    said = Reader(report.figure(data)).words
    for words in ("● arrives", "◐ fading", "○ dying", "■ 10⁻⁶ to 10⁻⁴", "■ nothing moves"):
        assert words in said
    assert "^" not in said
    assert "10⁻" in Reader(report.figure(samples.diagnosis(50).to_dict())).words
    healthy = Reader(report.figure(samples.residual(3).to_dict())).words
    assert "● arrives" in healthy
    assert "dying" not in healthy
