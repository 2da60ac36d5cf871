"""Each example runs, in a reduced setting, and draws its picture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from launched import mortal

EXAMPLES = Path(__file__).parent.parent / "examples"
SAYS = {
    "gradient_against_depth.py": "50      ",
    "long_skips.py": "at an edge",
    "concatenation.py": "[16, 24, 32, 40, 48, 56]",
}


@pytest.mark.parametrize("name", SAYS)
def test_it_runs_and_draws(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), "picture.png", "--quick"],
        cwd=tmp_path, capture_output=True, text=True, timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_training_of_two_processes_is_compared() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "compare_ddp.py"), "2"], capture_output=True, text=True,
        timeout=280, env={**mortal(), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Residual" in done.stdout
    assert "broke down" not in done.stdout
