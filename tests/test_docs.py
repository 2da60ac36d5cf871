"""The code in the docs runs as it stands, page by page; the examples run, shortened."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("\n".join(_blocks(page)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True,
        timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_networks_are_expressed_in_five_lines() -> None:
    page = (ROOT / "docs" / "building-blocks.md").read_text("utf-8")
    section = page.split("## Networks in five lines")[1].split("## When the two sides")[0]
    blocks = re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)[1:-1]
    networks = [block.split("(")[0].removeprefix("def ") for block in blocks]
    assert networks == [
        "resnet_v1", "resnet_v2", "dense_block", "unet", "transformer_block", "hyper_transformer"
    ]  # fmt: skip
    for block in blocks:
        assert len(block.strip().splitlines()) - 1 <= 5, block


def _run_example(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / name, *arguments],
        capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_derivative_survives_any_depth() -> None:
    output, plain, skips = _run_example("derivative.py").splitlines()
    numbers = [re.findall(r"-?\d\.\d{6}", line) for line in (output, plain, skips)]
    assert numbers[2] == numbers[0]
    assert set(numbers[1]) == {"0.000000"}


def test_value_residuals_train() -> None:
    output = _run_example("value_residual.py", "40")
    losses = [float(number) for number in re.findall(r"([\d.]+) nats", output)]
    # To guess characters by their frequency in that text costs 2.94 nats.
    assert len(losses) == 2
    assert all(0 < loss < 2.94 for loss in losses)
