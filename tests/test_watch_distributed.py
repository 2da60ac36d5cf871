"""`watch` on two real processes: the numbers of the whole, said once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from launched import mortal
from watch_ranks import STEPS, network, train
from watched import batch

HERE = Path(__file__).parent
if not dist.is_available():
    pytest.skip("torch was built without distributed", allow_module_level=True)


def two_processes(how: str, folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(HERE / "watch_ranks.py"), how, str(folder)],
        env={**mortal([HERE, HERE.parent / "src"]), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    torch.set_num_threads(1)
    x, y = batch(32)
    # The halves of each half, in the order in which two processes take them.
    return train(network(), (x, y))


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_every_process_has_the_numbers_of_the_whole(how: str, alone, tmp_path: Path) -> None:
    first, second = two_processes(how, tmp_path)
    assert first["scalars"] == second["scalars"]
    assert len(first["scalars"]) == STEPS
    for step, (found, wanted) in enumerate(zip(first["scalars"], alone["scalars"], strict=True)):
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            if name == "signal":
                continue  # a mean over the batch's parts, each with a mean of its own
            # Gradients summed in another order move single weights by another last digit.
            loose = name.startswith(("lost", "epsilon"))
            close = pytest.approx(value, rel=1e-3, abs=0.02 if loose else 1e-12)
            assert found[name] == close, (step, name)
        for name in ("gradient/2", "weight/2", "weight/0", "gradient/25", "loss", "elasticity/2"):
            assert found[name] == pytest.approx(wanted[name], rel=1e-5), (step, name)
    assert first["cause"] == second["cause"] == alone["cause"]
    assert first["hooks"] == second["hooks"] == 0
    assert first["said"] == alone["said"]
    assert any("gradient" in line for line in first["said"])
    assert second["said"] == []  # one process speaks
