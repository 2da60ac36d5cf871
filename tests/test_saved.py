"""Results that earlier versions saved are read by this one: a file of each kind, of each format.

When a kind of result is new, `python tests/test_saved.py` adds its file; those that are there stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import report_samples as samples
import skipway
from skipway._results._result import FORMAT

SAVED = Path(__file__).parent / "saved"
FILES = sorted(SAVED.glob("*/*.json"))
KINDS = {
    "comparison": samples.comparison,
    "cure": lambda: samples.cure(8),
    "diagnosis": lambda: samples.diagnosis(8),
    "plan": lambda: samples.rewiring(8, how="cat").plan,
    "rewiring": lambda: samples.rewiring(8),
    "skips": samples.skips,
    "what-if": lambda: samples.what_if(8),
}


def holds(whole: Any, part: Any) -> bool:
    """Whether all that was saved is still there, with its value; more may have come to it."""
    if isinstance(part, Mapping):
        return all(name in whole and holds(whole[name], part[name]) for name in part)
    if isinstance(part, Sequence) and not isinstance(part, str):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_saved_result_is_read_whole_and_drawn(path: Path, tmp_path: Path) -> None:
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["format"] == int(path.parent.name.removeprefix("format-"))
    result = skipway.read(path)
    assert holds(result.to_dict(), {n: each for n, each in saved.items() if n != "format"})
    assert str(result)
    assert result.save(tmp_path / "page.html").stat().st_size > 1000


def test_every_kind_has_a_file_of_todays_format() -> None:
    assert {path.stem for path in FILES if path.parent.name == f"format-{FORMAT}"} == set(KINDS)


def test_the_version_stands_in_two_places_alike() -> None:
    project = (SAVED.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'^version = "(.*)"', project, re.MULTILINE) == [skipway.__version__]


if __name__ == "__main__":
    for name, make in KINDS.items():
        file = SAVED / f"format-{FORMAT}" / f"{name}.json"
        if not file.exists():
            make().save(file)
