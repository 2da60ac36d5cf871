"""The layers over the steps, drawn: on the page, in a notebook and in a terminal."""

from __future__ import annotations

import math
import re

import pytest

from report_samples import HOSTILE, diagnosis, finding, readings
from skipway import report
from skipway._results import Diagnosis, Event, Watching
from skipway.report._heat import BANDS, heat


def watched(
    values: list[list[float | None]],
    *,
    names: list[str] | None = None,
    steps: tuple[int, ...] | None = None,
    events: tuple[Event, ...] = (),
    loss: float | None = 1.0,
) -> Diagnosis:
    """A diagnosis over time with these elasticities of the weights."""
    count = len(values[0])
    nothing = tuple((None,) * count for _ in values)
    watching = Watching(
        steps=steps or tuple(range(10, 10 * count + 1, 10)),
        layers=tuple(names or [f"hidden.{at}" for at in range(len(values))]),
        elasticity=nothing,
        weight_elasticity=tuple(tuple(row) for row in values),
        update=tuple(tuple(0.0 if value == 0 else 1e-3 for value in row) for row in values),
        lost=nothing,
        epsilon=nothing,
        loss=(loss,) * count,
        progress=(None,) * count,
        rate=(0.1,) * count,
        events=events,
        every=10,
    )  # fmt: skip
    layers = readings(len(values) - 2, 0.3) if len(values) > 2 else readings(1, 0.3)
    stopped = finding("precision", title="Layers have stopped moving", layers=("hidden.1",))
    return diagnosis(
        layers=layers, findings=(finding(), stopped), when="while training", batch=0,
        watching=watching, place=layers[0].name,
    )  # fmt: skip


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))


def test_a_cell_says_in_which_band_its_elasticity_lies() -> None:
    row = [1.0, 0.1, 0.05, 0.0033, 3e-3, 1e-4, 9e-5, 1e-6, 9e-7, 1e-200]
    made = heat(watched([row, row, row]).to_dict())
    assert made is not None
    assert [BANDS[band][4] for band in made.cells[0]] == [
        "10⁻¹ and more", "10⁻¹ and more", "10⁻²·⁵ to 10⁻¹", "10⁻²·⁵ to 10⁻¹", "10⁻⁴ to 10⁻²·⁵",
        "10⁻⁴ to 10⁻²·⁵", "10⁻⁶ to 10⁻⁴", "10⁻⁶ to 10⁻⁴", "below 10⁻⁶", "below 10⁻⁶",
    ]  # fmt: skip


def test_what_was_not_looked_at_keeps_its_last_colour_and_many_steps_show_their_worst() -> None:
    made = heat(watched([[None, 0.5, None, None], [0.5, 0.5, 0.5, 1e-9]]).to_dict())
    assert made is not None
    assert made.cells[0] == [None, 5, 5, 5]
    values = [0.5] * 200
    values[101] = 1e-9
    made = heat(watched([values, values]).to_dict(), columns=50)
    assert made is not None
    assert made.columns == 50
    assert made.cells[0] == [5] * 25 + [1] + [5] * 24


def test_events_stand_where_they_began_and_link_to_their_finding() -> None:
    event = Event(step=30, cause="precision", words="hidden.1 stopped moving",
                  layers=("hidden.1",), until=60)  # fmt: skip
    data = watched([[0.5] * 10] * 4, events=(event,)).to_dict()
    made = heat(data)
    assert made is not None
    (mark,) = made.marks
    assert (mark.start, mark.end, mark.rows, mark.finding) == (2.0, 5.0, [1], 2)
    page = report.page(data)
    assert "The layers over the steps" in words_of(page)
    assert '<a href="#finding-2">' in page
    assert 'id="finding-2"' in page
    assert "hidden.1 stopped moving." in words_of(page)
    assert "Hidden.1" not in page
    assert "step 30: hidden.1 stopped moving" in report.text(data, 100)
    assert "batch of 0" not in words_of(page) + report.text(data, 100)
    figure = report.figure(data)
    assert '<svg class="heat"' in figure
    assert "var(--" not in figure


def test_a_terminal_shows_one_letter_for_each_band() -> None:
    row = [0.5, 0.01, 1e-3, 1e-5, 1e-9]
    text = report.text(watched([row, [0.0] * 5, row]).to_dict(), 100)
    assert "hidden.0 █▓▒░·" in text
    assert "hidden.1 ×××××" in text


@pytest.mark.parametrize("layers", [1, 2, 60, 1500])
def test_any_number_of_layers_is_drawn_in_a_bounded_page(layers: int) -> None:
    values = [[10 ** -((at * 7 + step * 3) % 9) for step in range(256)] for at in range(layers)]
    data = watched([*values], loss=None).to_dict()
    picture = re.search(r'<svg class="heat".*?</svg>', report.page(data), re.DOTALL)
    assert picture is not None
    assert len(picture.group()) < 40_000 + 4_000 * layers
    assert len(report.text(data, 100).splitlines()) < 400


def test_names_of_layers_cannot_break_out() -> None:
    event = Event(step=10, cause="precision", words=f"{HOSTILE} stopped moving", layers=(HOSTILE,))
    data = watched([[0.5] * 3] * 3, names=["a", HOSTILE, "c"], events=(event,)).to_dict()
    for made in (report.page(data), report.figure(data)):
        assert "<img" not in made
        assert "<script>alert" not in made


def test_a_diagnosis_of_one_batch_has_no_such_section() -> None:
    assert heat(diagnosis().to_dict()) is None
    assert "The layers over the steps" not in words_of(report.page(diagnosis().to_dict()))


@pytest.mark.parametrize("row", [[0.1, 0.1, math.nan, math.nan], [0.1, 0.1, math.nan, 0.1]])
def test_a_column_with_nan_is_nan_wherever_it_stands_in_it(row: list[float | None]) -> None:
    made = heat(watched([row, [0.1] * 4, [0.1] * 4]).to_dict(), columns=2)
    assert made is not None
    assert made.values[0][0] == 0.1
    assert math.isnan(made.values[0][1] or 0.0)
    assert BANDS[made.cells[0][1] or 0][4] == "nothing moves"
