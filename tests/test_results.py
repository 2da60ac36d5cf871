"""Results survive the way through JSON, whole, and refuse what is not theirs."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import sys
from pathlib import Path

import pytest

import skipway
from skipway._errors import RunError, SkipwayError
from skipway._numbers import count, dense, prose
from skipway._results import Diagnosis, Finding, Interval, LayerReading, Plan, PlannedSkip, read


def a_diagnosis() -> Diagnosis:
    layer = LayerReading(
        name="<script>alert(1)</script>", type="Linear 2 → 2", state="dying", elasticity=0.0,
        branch_elasticity=math.inf, weight_elasticity=math.nan, decades_lost=math.inf,
        gradient=1e-300, output_gradient=0.0, weight=1.0, weights=4, with_gradient=0,
    )  # fmt: skip
    finding = Finding(
        cause="vanishing", title="t", place="p", evidence="e", remedy="r", sure="s",
        treatment="skip", layers=("a",), suggestion={"learning_rate": 0.1},
    )  # fmt: skip
    return Diagnosis(
        cause="vanishing", treatment="skip", headline="h", summary="s", layers=(layer,),
        findings=(finding,), absent=(), skips=(), when="before the first step", batch=2, loss=1.0,
        skill=None, chance=None, decades_lost=math.inf, place="a",
    )  # fmt: skip


def test_json_holds_what_json_cannot(tmp_path: Path) -> None:
    saved = a_diagnosis().save(tmp_path / "d.json")
    json.loads(saved.read_text(), parse_constant=pytest.fail)  # no bare NaN or Infinity
    back = read(saved)
    assert isinstance(back, Diagnosis)
    assert math.isnan(back.layers[0].weight_elasticity)
    assert back.layers[0].branch_elasticity == math.inf
    without = dataclasses.replace(back.layers[0], weight_elasticity=0.0)
    expected = dataclasses.replace(a_diagnosis().layers[0], weight_elasticity=0.0)
    assert without == expected
    assert back.findings == a_diagnosis().findings


def test_a_plan_edited_by_hand_is_read_again(tmp_path: Path) -> None:
    skips = tuple(PlannedSkip(source=f"h.{i}", destination=f"h.{i + 2}") for i in range(3))
    path = Plan(how="add", skips=skips).save(tmp_path / "plan.json")
    data = json.loads(path.read_text())
    del data["skips"][1]
    path.write_text(json.dumps(data))
    assert read(path) == Plan(how="add", skips=(skips[0], skips[2]))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"result": "nothing"}', '{"how": "add"}'])
def test_a_file_that_holds_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(RunError, match="no saved result"):
        read(tmp_path / "x.json")


def test_data_of_another_version_is_refused() -> None:
    data = Interval(1.0, 0.5, 1.5, 5, 5).to_dict()
    with pytest.raises(RunError, match="skew"):
        Interval.from_dict({**data, "skew": 1})
    del data["low"]
    with pytest.raises(RunError, match="low"):
        Interval.from_dict(data)


def test_a_file_names_its_format_and_a_later_one_is_refused(tmp_path: Path) -> None:
    path = Plan(how="add", skips=()).save(tmp_path / "plan.json")
    data = json.loads(path.read_text())
    assert data["format"] == 1
    assert Plan.from_dict({name: data[name] for name in data if name != "format"}) == read(path)
    path.write_text(json.dumps({**data, "format": 2}))
    with pytest.raises(RunError, match=r"format 2, .* reads up to 1.*later one wrote it"):
        read(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("how", "sideways"), ("how", None), ("skips", 3), ("skips", ["a"]), ("skips", [{"source": 1}]),
     ("reason", ["r"]), ("preserve", "yes"), ("format", "new"), ("rule", 7)],
)  # fmt: skip
def test_a_damaged_file_is_refused_and_not_read_halfway(tmp_path: Path, field, value) -> None:
    data = {**Plan(how="add", skips=()).to_dict(), field: value}
    (tmp_path / "plan.json").write_text(json.dumps(data))
    with pytest.raises(RunError):
        read(tmp_path / "plan.json")


def test_a_name_that_no_text_can_hold_is_saved_and_read(tmp_path: Path) -> None:
    name = "caf\udce9"  # what Python makes of a file name that is not UTF-8
    path = Plan(how="add", skips=(PlannedSkip(name, "b"),)).save(tmp_path / "plan.json")
    assert read(path).skips[0].source == name
    assert r"caf\udce9" in str(read(path))
    read(path).save(tmp_path / "plan.html").read_text(encoding="utf-8")


def test_save_refuses_other_endings_and_places(tmp_path: Path) -> None:
    with pytest.raises(SkipwayError, match=r"neither \.html nor \.json"):
        a_diagnosis().save(tmp_path / "x.pdf")
    (tmp_path / "file").write_text("")
    with pytest.raises(SkipwayError, match="Choose another place"):
        a_diagnosis().save(tmp_path / "file" / "x.json")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_numbers_are_written_for_readers() -> None:
    assert prose(8.13e-20) == "8.1 × 10⁻²⁰"
    assert prose(9.99e-6) == "1.0 × 10⁻⁵"
    assert prose(-0.00123) == "−0.0012"
    assert prose(123456.0) == "120,000"
    assert dense(9.96) == "10"
    assert dense(-2e-9) == "−2.0e−9"
    assert dense(math.nan) == "not a number"
    assert dense(2e7) == "2.0e7"
    assert count(4096) == "4,096"


def test_the_public_names_are_these() -> None:
    assert set(skipway.__all__) == {
        "Case", "Comparison", "Cure", "Diagnosis", "Finding", "Plan", "PlannedSkip", "Rewiring",
        "SkipConnection", "Skips", "SkipwayError", "SkipwayWarning", "Watch", "Watching", "WhatIf",
        "Slurm", "cases", "compare", "cure", "diagnose", "learn", "models", "nn", "read",
        "reconnect", "rewire", "skips", "watch",
    }  # fmt: skip
    for name in skipway.__all__:
        assert getattr(skipway, name) is not None
    assert callable(skipway.diagnose)
    assert callable(skipway.compare)
    with pytest.raises(AttributeError, match="no attribute 'teach'"):
        skipway.teach  # noqa: B018  # the access is what is tested


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_print_never_stops_a_program_whose_output_lacks_a_character(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "It is 4.1 × 10⁻²⁰ at `größe.层`, 10²⁵ at 10² … ≥ 3 → 4"
    diagnosis = dataclasses.replace(a_diagnosis(), summary=told)
    written = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", written)
    print(diagnosis)
    written.flush()
    monkeypatch.undo()
    text = written.buffer.getvalue().decode(encoding)
    expected = {
        "ascii": r"It is 4.1 x 10^-20 at gr\xf6\xdfe.\u5c42, 10^25 at 10^2 . >= 3 -> 4",
        "cp1252": r"It is 4.1 × 10^-20 at größe.\u5c42, 10^25 at 10² … >= 3 -> 4",
        "latin-1": r"It is 4.1 × 10^-20 at größe.\u5c42, 10^25 at 10² . >= 3 -> 4",
        "utf-8": "It is 4.1 × 10⁻²⁰ at größe.层, 10²⁵ at 10² … ≥ 3 → 4",
    }
    assert expected[encoding] in text
    assert ("\\u" in text) == (encoding != "utf-8")
    assert text.count("\\u") <= 1  # of the name alone: what we draw and write has a plain form


def test_what_an_output_lacks_is_written_with_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    legend = str(dataclasses.replace(a_diagnosis(), summary="Heat: █ ▓ ▒ ░ · ×, layers: × ○ ◐ ●"))
    assert "Heat: # % + - . x, layers: x o + *" in legend  # no two of one legend are alike
