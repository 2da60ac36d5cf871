"""`result.plot()`: what stands on matplotlib's axes, against the numbers of the result."""

from __future__ import annotations

import math
import subprocess
import sys

import matplotlib
import pytest

matplotlib.use("Agg")

from dataclasses import replace

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

import report_samples as samples
from skipway import SkipwayError, report
from skipway._results import Event
from test_watch_heat import watched

DRAWN = {
    "diagnosis": samples.diagnosis(20),
    "cure": samples.cure(20),
    "residual": samples.residual(8),
    "comparison": samples.comparison(),
    "skips": samples.skips(),
    "rewiring": samples.rewiring(20),
    "plan": samples.rewiring(how="cat").plan,
    "what-if": samples.what_if(20),
    "watched": watched([[0.5, 1e-5, 0.0]] * 4),
}


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


def points(ax: Axes, gid: str) -> list[tuple[float, float]]:
    lines = [line for line in ax.lines if line.get_gid() == gid]
    return [pair for line in lines for pair in zip(line.get_xdata(), line.get_ydata(), strict=True)]


@pytest.mark.parametrize("name", DRAWN)
def test_every_result_with_something_to_draw_returns_axes(name):
    ax = DRAWN[name].plot()
    assert isinstance(ax, Axes)
    assert ax.get_title(loc="left")
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", DRAWN)
def test_it_draws_where_one_says_and_makes_no_other_figure(name):
    _, (left, right) = pyplot.subplots(1, 2)
    assert DRAWN[name].plot(ax=right) is right
    assert not left.has_data()
    assert pyplot.get_fignums() == [1]


def test_a_layer_stands_at_its_elasticity_under_the_sign_of_its_state():
    diagnosis = samples.diagnosis(20)
    ax = diagnosis.plot()
    for state in ("arrives", "fading", "dying", "still"):
        wanted = [
            (layer.elasticity, at)
            for at, layer in enumerate(diagnosis.layers)
            if layer.state == state
        ]
        drawn = points(ax, state)
        assert [at for _, at in drawn] == [at for _, at in wanted]
        assert [x for x, _ in drawn] == pytest.approx([value for value, _ in wanted])
        assert wanted
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        layer.name for layer in diagnosis.layers
    ]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # execution order goes downwards
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert said == ["Now, loses 7.3 decades", "arrives", "fading", "dying", "nothing moves"]


def test_existing_and_proposed_skips_have_different_lines():
    styles = {
        name: {(patch.get_gid(), patch.get_linestyle()) for patch in DRAWN[name].plot().patches}
        for name in ("residual", "cure", "what-if", "skips", "rewiring")
    }
    existing, proposed = ("existing", "-"), ("proposed", "--")
    assert styles == {
        "residual": {existing}, "cure": {proposed}, "what-if": {proposed},
        "skips": {existing}, "rewiring": {proposed},
    }  # fmt: skip
    assert len(samples.rewiring(20).plot().patches) == 10


def test_numbers_without_a_logarithm_stand_at_the_ends():
    layers = tuple(
        replace(samples.reading(name, "Linear", 1.0, 1.0), elasticity=value)
        for name, value in (("a", 0.0), ("b", math.inf), ("c", 0.5))
    )
    ax = samples.diagnosis(layers=layers, place="c").plot()
    low, high = ax.get_xlim()
    assert points(ax, "arrives") == [(low, 0), (high, 1), (0.5, 2)]


def test_every_seed_of_every_variant_is_drawn():
    comparison = samples.comparison()
    ax = comparison.plot()
    for at, variant in enumerate(comparison.variants):
        assert points(ax, variant.name) == [(run.test[-1], at) for run in variant.runs]
    assert {text.get_text() for text in ax.texts} == {"guessing", "linear model"}
    assert ax.get_xlabel() == "test accuracy, %"
    colours = {line.get_gid(): to_hex(line.get_color()) for line in ax.lines if line.get_gid()}
    assert colours["plain"] != colours["addition"] != colours["linear"]
    assert colours["addition"] == colours["concatenation"]


def test_a_watched_training_is_a_map_with_its_findings():
    event = Event(step=30, cause="precision", words="hidden.1 stopped", layers=("hidden.1",),
                  until=50)  # fmt: skip
    values = [[0.5] * 6, [0.5, 0.5, 1e-5, 1e-5, 0.5, 0.5], [0.0] * 6]
    ax = watched(values, events=(event,)).plot()
    (image,) = ax.images
    assert image.get_array().tolist() == [[5] * 6, [5, 5, 2, 2, 5, 5], [0] * 6]
    (box,) = [patch for patch in ax.patches if patch.get_gid() == "finding"]
    assert box.get_bbox().bounds == (1.5, 0.5, 2, 1)  # columns 2 and 3 of row 1
    assert [text.get_text() for text in ax.texts] == ["2"]


def test_names_are_no_formulas():
    layers = (samples.reading("a$x_1$", "Linear", 1.0, 1.0), samples.reading("b", "L", 1.0, 1.0))
    ax = samples.diagnosis(layers=layers, place="b", headline="Of `$y^2$` nothing arrives.").plot()
    ax.figure.canvas.draw()
    assert ax.get_yticklabels()[0].get_text() == r"a\$x_1\$"
    assert ax.get_title(loc="left") == r"Of \$y^2\$ nothing arrives."


def test_a_thousand_layers_have_few_labels():
    ax = samples.cure(1000).plot()
    ax.figure.canvas.draw()
    assert len(ax.get_yticks()) <= 45
    assert len(points(ax, "arrives")) >= 1002


def test_what_has_nothing_to_draw_says_so():
    with pytest.raises(SkipwayError, match="A finding has nothing to draw"):
        report.plot(samples.finding().to_dict())


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SkipwayError, match=r"pip install 'skipway\[plot\]'"):
        samples.diagnosis(3).plot()


def test_matplotlib_is_imported_by_plot_alone():
    code = (
        "import sys, skipway; from skipway import report\n"
        "report.text({'result': 'plan', 'how': 'add', 'skips': [], 'reason': ''})\n"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
