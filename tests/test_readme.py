"""README's code blocks run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def _run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=280,
        env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip


def test_there_are_a_case_and_the_api() -> None:
    assert len(BLOCKS) == 6
    assert BLOCKS[0].startswith("# my_case.py")


def test_the_case_of_ones_own_is_diagnosed(tmp_path: Path) -> None:
    (tmp_path / "my_case.py").write_text(BLOCKS[0], encoding="utf-8")
    done = _run("-m", "skipway", "diagnose", "my_case.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "vanishing" in done.stdout


def test_the_api_in_ten_lines(tmp_path: Path) -> None:
    (tmp_path / "ten_lines.py").write_text(BLOCKS[1], encoding="utf-8")
    done = _run("ten_lines.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "for i in range(0, 50, 2):" in done.stdout
    assert "x = self.hidden[i + 1](torch.relu(x))" in README
    assert "<title>" in (tmp_path / "comparison.html").read_text(encoding="utf-8")


def test_a_loop_of_ones_own_is_watched(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(BLOCKS[2], encoding="utf-8")
    done = _run("loop.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "<title>" in (tmp_path / "watch.html").read_text(encoding="utf-8")


def test_existing_skips_get_another_rule(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(BLOCKS[3], encoding="utf-8")
    done = _run("-W", "error", "other.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "9 skip connections in ResNet" in done.stdout


def test_the_building_blocks(tmp_path: Path) -> None:
    (tmp_path / "blocks.py").write_text(BLOCKS[4], encoding="utf-8")
    done = _run("-W", "error", "blocks.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_dense_block_says_its_way(tmp_path: Path) -> None:
    (tmp_path / "dense.py").write_text(BLOCKS[5], encoding="utf-8")
    done = _run("dense.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "features.denseblock3: fast" in done.stdout


# What is run elsewhere: as it stands, or with sizes that a test can wait for.
ELSEWHERE = {
    "skipway cure my_case.py": "test_docs.py: tutorial.md",
    "skipway diagnose my_case.py": "above",
    "skipway compare a.py b.py": "test_docs.py: cluster.md",
    "skipway report skipway-runs/mine": "test_docs.py: tutorial.md",
    "skipway learn start": "test_learn_docs.py",
    "skipway learn watch": "test_learn_docs.py",
}


def test_every_command_is_run(tmp_path: Path) -> None:
    (tmp_path / "my_case.py").write_text(BLOCKS[0], encoding="utf-8")
    found = re.findall(r"^\$ (skipway .*?)(?: *#.*)?$", README, flags=re.MULTILINE)
    assert len(found) >= len(ELSEWHERE) + 2
    for command in found:
        if command not in ELSEWHERE:
            done = _run("-m", *command.split(), cwd=tmp_path)
            assert done.returncode == 0, f"{command}: {done.stderr}"


PROSE = re.sub(r"```.*?```", "", README, flags=re.DOTALL)


@pytest.mark.parametrize("name", re.findall(r"\]\(([^)#]+)\)", PROSE))
def test_links_lead_somewhere(name: str) -> None:
    assert name.startswith("http") or (Path(__file__).parent.parent / name).exists()
