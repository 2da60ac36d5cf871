"""What is shipped: the wheel and the source archive hold what they need, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(place)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="module")
def names(built: Path) -> set[str]:
    (wheel,) = built.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_every_file_of_the_package(names: set[str]) -> None:
    kept = subprocess.run(
        ["git", "ls-files", "src/skipway"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    expected = {name.removeprefix("src/") for name in kept if name}
    assert expected == {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert {"skipway/py.typed", "skipway/report/page.css"} <= names


def test_the_metadata_says_what_it_is(built: Path, names: set[str]) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (place,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        text = archive.read(f"{place}/METADATA").decode()
        assert f"{place}/licenses/LICENSE" in names
        entry = archive.read(f"{place}/entry_points.txt").decode()
    assert "License-Expression: Apache-2.0" in text
    assert "Requires-Dist: torch>=2.4" in text
    assert "skipway = skipway.cli:main" in entry
    assert "# skipway" in text  # the README is its description


def test_the_source_archive_can_be_built_and_tested(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        found = {name.partition("/")[2] for name in tar.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "tests/zoo.py", "src/skipway/cli.py"} <= found
    assert not [name for name in found if "__pycache__" in name or (name.startswith((".venv", "."))
                and name != ".gitignore")]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--help"], "See where the gradient dies"), (["cases"], "plain-mlp"),
     (["learn", "list"], "update")],
)  # fmt: skip
def test_the_installed_wheel_runs_elsewhere(
    built: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (wheel,) = built.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--disable-pip-version-check", "--target", str(tmp_path / "site"), str(wheel)],
        check=True, capture_output=True,
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "skipway", *arguments], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    where = "import skipway; print(skipway.__file__)"
    home = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )  # fmt: skip
    assert home.stdout.startswith(str(tmp_path))
