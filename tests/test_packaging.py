"""What is shipped: the wheel and the source archive hold what they need, and nothing else."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

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


def kept() -> list[str]:
    """Return the package's files: those that git knows, or all of them in an unpacked archive."""
    if not (ROOT / ".git").exists():
        found = (
            path.relative_to(ROOT)
            for path in (ROOT / "src" / "skipway").rglob("*")
            if path.is_file()
        )
        return [str(path) for path in found if "__pycache__" not in path.parts]
    done = subprocess.run(
        ["git", "ls-files", "src/skipway"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_the_wheel_holds_every_file_of_the_package(names: set[str]) -> None:
    expected = {name.removeprefix("src/") for name in kept()}
    expected |= {f"skipway/docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert expected == {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert {"skipway/py.typed", "skipway/report/page.css"} <= names


def of_wheel(built: Path, name: str) -> str:
    """Return a file of the wheel's .dist-info."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [each for each in archive.namelist() if each.endswith(f".dist-info/{name}")]
        return archive.read(path).decode()


def test_the_metadata_says_what_it_is(built: Path) -> None:
    # Of the packaging project itself: every field is checked against its standard.
    found = Metadata.from_email(of_wheel(built, "METADATA"), validate=True)
    # The last two are those of what report/third_party holds.
    assert found.license_expression == "Apache-2.0 AND BSD-2-Clause AND MIT"
    assert found.requires_python is not None
    assert "3.10" in found.requires_python
    assert "3.9" not in found.requires_python
    assert {each.name for each in found.requires_dist or () if each.marker is None} == {
        "torch", "numpy", "scipy", "scikit-learn", "click", "rich", "jinja2", "filelock", "loky",
        "cloudpickle",
    }  # fmt: skip
    assert found.description_content_type == "text/markdown"
    assert found.description == (ROOT / "README.md").read_text(encoding="utf-8")
    assert "skipway = skipway.__main__:run" in of_wheel(built, "entry_points.txt")


def test_every_licence_goes_along(built: Path) -> None:
    found = Metadata.from_email(of_wheel(built, "METADATA"), validate=True)
    named = set(found.license_files or ())
    kept = {
        str(path.relative_to(ROOT))
        for path in [ROOT / "LICENSE", *(ROOT / "src").rglob("*")]
        if re.search(r"(?i)\b(licen[cs]e|notice|copying)\b", path.name) and path.is_file()
    }
    assert named == kept
    for name in named:
        assert of_wheel(built, f"licenses/{name}") == (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("tool", [["twine", "check", "--strict"], ["check_wheel_contents"]])
def test_the_tools_that_releases_are_checked_with_agree(built: Path, tool: list[str]) -> None:
    if importlib.util.find_spec(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    files = [str(path) for path in built.glob("*") if tool[0] == "twine" or path.suffix == ".whl"]
    done = subprocess.run(
        [sys.executable, "-m", *tool, *files], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_source_archive_can_be_built_and_tested(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        found = {name.partition("/")[2] for name in tar.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "tests/zoo.py", "src/skipway/cli.py"} <= found
    assert not [name for name in found if "__pycache__" in name]
    hidden = {name for name in found if name.startswith(".")}
    assert hidden - {".ci"} == {".gitignore", ".ci/run"}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_source_archive_gives_the_same_wheel(built: Path, tmp_path: Path) -> None:
    (archive,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=unpacked, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (again,) = tmp_path.glob("*.whl")
    assert contents(again) == contents(wheel)


def test_the_pythons_it_names_are_those_that_all_was_tried_on(built: Path) -> None:
    found = Metadata.from_email(of_wheel(built, "METADATA"), validate=True)
    start = "Programming Language :: Python :: 3."
    named = {each.removeprefix(start) for each in found.classifiers or () if each.startswith(start)}
    results = json.loads((ROOT / "benchmarks" / "versions.json").read_text(encoding="utf-8"))
    tried = {
        row["python"].split(".")[1]
        for row in results["rows"].values()
        if row["cures"] and row["tests"]["passed"] > 500 and not row["failed"]
    }
    assert named == tried


def needed(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """Return a distribution and all that it needs here, by name."""
    found, waiting = set(), [(name, extras)]
    while waiting:
        name, extras = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        found.add(key)
        for line in importlib.metadata.requires(name) or ():
            need = Requirement(line)
            wanted = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            if need.marker is None or any(need.marker.evaluate(each) for each in wanted):
                waiting.append((need.name, frozenset(need.extras)))
    return found


@pytest.fixture(scope="module")
def clean(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment that holds the wheel and what it says that it needs, and nothing else.

    What is needed is not downloaded: it is linked from where it lies here.
    """
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    wanted = Metadata.from_email(of_wheel(built, "METADATA"), validate=True).requires_dist or ()
    names = {name for each in wanted if each.marker is None for name in needed(each.name)}
    for name in names:
        distribution = importlib.metadata.distribution(name)
        for top in {Path(each).parts[0] for each in distribution.files or ()} - {
            "..",
            "__pycache__",
        }:
            link = site / top
            if not link.exists():
                link.symlink_to(str(distribution.locate_file(top)))
    (wheel,) = built.glob("*.whl")
    # Without an index pip can only take what is there; with it all, it refuses what is too old.
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install",
         "--quiet", "--no-index", "--disable-pip-version-check", str(wheel)],
        capture_output=True, text=True, env={**os.environ, "PIP_FIND_LINKS": "", "PYTHONPATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return home


def in_clean(clean: Path, *words: str, cwd: Path) -> str:
    done = subprocess.run(
        [str(clean / "bin" / words[0]), *words[1:]], cwd=cwd, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--help"], "See where the gradient dies"), (["cases"], "plain-mlp"),
     (["learn", "list"], "update"), (["--version"], "skipway, version"),
     (["diagnose", "plain-mlp", "--save", "page.html"], "The gradient dies"),
     (["compare", "healthy-mlp", "--seeds=1", "--epochs=1", "--no-controls", "--workers=1"],
      "healthy-mlp")],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)  # fmt: skip
def test_it_works_with_what_it_asks_for_alone(
    clean: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    assert says in in_clean(clean, "skipway", *arguments, cwd=tmp_path)


def test_the_clean_environment_is_clean_and_whole(clean: Path, tmp_path: Path) -> None:
    where = "import skipway, sys; print(skipway.__file__)"
    home = in_clean(clean, "python", "-c", where, cwd=tmp_path).strip()
    assert home.startswith(str(clean))
    more = [
        "lightning",
        "transformers",
        "accelerate",
        "matplotlib",
        "IPython",
        "submitit",
        "pytest",
    ]
    script = f"import importlib.util as u; print([n for n in {more} if u.find_spec(n)])"
    assert in_clean(clean, "python", "-c", script, cwd=tmp_path).strip() == "[]"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(clean / "bin" / "python"), "check",
         "--disable-pip-version-check"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("extra", "script"),
    [("lightning", "import skipway.integrations.lightning"),
     ("transformers", "import skipway.integrations.transformers"),
     ("notebook", "import skipway.integrations.notebook"),
     ("plot", "import skipway; skipway.Plan(how='add', "
      "skips=(skipway.PlannedSkip('a', 'b'),)).plot()")],
)  # fmt: skip
def test_a_missing_extra_is_named_by_an_error_that_either_kind_of_except_catches(
    built: Path, clean: Path, tmp_path: Path, extra: str, script: str
) -> None:
    code = (
        "from skipway import SkipwayError\ntry:\n    {}\n"
        "except ImportError as error:\n    print(isinstance(error, SkipwayError), error)\n"
    )
    said = in_clean(clean, "python", "-c", code.format(script), cwd=tmp_path)
    assert said.startswith("True ")
    assert f"pip install 'skipway[{extra}]'" in said
    offered = Metadata.from_email(of_wheel(built, "METADATA"), validate=True).provides_extra
    assert extra in (offered or ())


def test_weights_in_a_format_that_nothing_here_reads_say_what_reads_it(
    clean: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"\0" * 8)
    code = (
        "import skipway\ntry:\n    skipway.models.load_weights(skipway.models.resnet18(), "
        "'a.safetensors')\nexcept skipway.SkipwayError as error:\n    print(error)\n"
    )
    said = in_clean(clean, "python", "-c", code, cwd=tmp_path)
    assert "pip install safetensors" in said


def test_a_cluster_without_its_extra_says_the_name(clean: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [clean / "bin" / "skipway", "compare", "healthy-mlp", "--cluster", "slurm"],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert done.returncode == 2
    assert "skipway[cluster]" in done.stderr
    assert "Traceback" not in done.stderr
