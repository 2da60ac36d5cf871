"""The report: pages, terminal text, figures; test_report_browser.py opens the pages."""

from __future__ import annotations

import html.parser
import io
import itertools
import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import report_samples as samples
from skipway import report
from skipway.report._arcs import MOST_LANES, Arc, arranged
from skipway.report._axis import log_axis, round_ends
from skipway.report._cells import between
from skipway.report._folds import MOST_ROWS, folds
from test_watch_heat import watched

KINDS = {
    "cure": samples.cure(),
    "diagnosis": samples.diagnosis(),
    "residual": samples.residual(8),
    "comparison": samples.comparison(),
    "rewiring": samples.rewiring(),
    "plan": samples.rewiring(how="cat").plan,
    "finding": samples.finding(),
    "what-if": samples.what_if(),
    "layer": samples.diagnosis(3).layers[0],
    "skip-connection": samples.residual(2).skips[0],
    "skips": samples.skips(),
    "planned-skip": samples.rewiring().plan.skips[0],
    "run": samples.run("plain", 0, 10.0),
    "interval": samples.comparison().variants[1].difference,
}
VOID = {"meta", "link", "col", "br", "img", "input", "hr"}


class Reader(html.parser.HTMLParser):
    """Reads a page strictly: every element is closed, in order."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.classes: set[str] = set()
        self.words = ""
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.links += [given[key] for key in ("href", "src", "action") if key in given]
        self.ids += [given["id"]] if "id" in given else []
        self.classes |= set((given.get("class") or "").split())
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words += data


def words_of(text: str) -> str:
    return re.sub(r"\s+", " ", Reader(text).words)


@pytest.mark.parametrize("name", KINDS)
def test_every_result_has_a_page_a_figure_and_a_text(name):
    data = json.loads(json.dumps(KINDS[name].to_dict(), allow_nan=False))
    page = Reader(report.page(data))
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:  # the page needs nothing but itself
        assert link == "data:," or (link[0] == "#" and link[1:] in page.ids)
    figure = Reader(report.figure(data))
    assert not {"script", "style", "link"} & set(figure.tags)
    assert not figure.classes
    assert not figure.links
    text = report.text(data, 80)
    assert "\x1b" not in text
    unset = re.compile(r"\bNone\b(?! of)")
    assert not unset.search(text)
    assert not unset.search(words_of(report.page(data)))


def test_a_result_prints_shows_and_saves_itself(tmp_path):
    diagnosis = samples.diagnosis(4)
    assert "The gradient dies on its way back." in str(diagnosis)
    assert "<svg" in diagnosis._repr_html_()
    page = diagnosis.save(tmp_path / "d.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")


@pytest.mark.parametrize(("does", "without"), [
    ("pass", {"torch", "jinja2", "rich"}),
    ("report.page(plan)", {"torch", "rich"}),
    ("report.figure(plan)", {"torch", "rich"}),
    ("report.text(plan)", {"torch"}),
])  # fmt: skip
def test_importing_the_report_is_cheap(does, without):
    plan = {"result": "plan", "how": "add", "skips": [], "reason": ""}
    code = f"import sys; from skipway import report; plan = {plan}; {does}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not without & set(done.stdout.split())


# What stands on the page


def test_the_page_says_what_the_data_say():
    said = words_of(report.page(samples.cure().to_dict()))
    # What a reader of the sample's own numbers would write.
    for phrase in (
        "17.9→0",
        "3,575→4",
        "10.2→91.2%",
        "guessing reaches 10.1 %, a linear model 89.4 %",
        "Before loses 17.9 decades",
        "After, by addition loses none",
        "25 skips",
        "50 of 134 lines are new",
        "skipway cure --seeds 5 --epochs 10",
        "cbb36f122e83",
        "5 of 5",
        "+79.8 to +82.8",
        "8.1 × 10−20",
    ):
        assert phrase in said.replace("\u00a0", " "), phrase


def test_another_result_changes_every_word():
    given = samples.cure().to_dict()
    given["diagnosis"]["headline"] = "Half of the units are dead."
    given["diagnosis"]["findings"] = []
    given["comparison"]["verdict"] = "Worse, by 3 points."
    said = words_of(report.page(given))
    assert "Half of the units are dead." in said
    assert "Worse, by 3 points." in said
    assert "vanish" not in said


@pytest.mark.parametrize(("answer", "headline"), [
    ("helped", "It helped."), ("no difference", "No difference."), ("worse", "It got worse."),
])  # fmt: skip
def test_a_comparison_can_say_that_it_did_not_help(answer, headline):
    comparison = samples.comparison(answer=answer)
    assert words_of(report.page(comparison.to_dict())).count(headline) >= 1
    assert report.text(comparison.to_dict(), 80).startswith(headline)


def test_nothing_is_claimed_where_nothing_was_done():
    healthy = replace(samples.residual(8), decades_lost=0.1)
    cure = samples.cure(diagnosis=healthy, after=None, rewirings=(), comparison=None,
                        recommended=None, outcome="nothing to cure", cure="Nothing to do.",
                        proof="")  # fmt: skip
    said = words_of(report.page(cure.to_dict()))
    assert "After" not in said
    assert "Proof" not in said
    assert "Where it dies" not in said
    assert "Layer by layer" in said
    assert "→" not in report.text(cure.to_dict(), 80)


def test_later_findings_and_refusals_are_told():
    later = samples.diagnosis(
        4, when="after 2 epochs", headline="Later it is the rate.", summary="",
        findings=(samples.finding(), samples.finding("lr-too-small", title="The rate is small")),
    )  # fmt: skip
    said = words_of(report.page(samples.cure(later=later, refused=("By force: no.",)).to_dict()))
    assert "After 2 epochs" in said
    assert "Later it is the rate." in said
    assert "The rate is small" in said
    assert said.count("The gradient vanishes through depth") == 1
    assert "By force: no." in said


def test_numbers_that_are_not_finite_are_told_in_words():
    layers = (
        samples.reading("zero", "Linear", 0.0, 1.0),
        samples.reading("fine", "Linear", 1.0, 1.0),
        replace(samples.reading("huge", "Linear", 1.0, 1.0), elasticity=math.inf),
        replace(samples.reading("odd", "Linear", 1.0, 1.0), elasticity=math.nan),
    )
    data = samples.diagnosis(layers=layers, place="zero", loss=math.nan).to_dict()
    for made in (words_of(report.page(data)), report.text(data, 80), report.figure(data)):
        assert "exactly zero" in made
        assert "infinite" in made
        assert "not a number" in made
    assert "loses everything" in words_of(report.page(data))
    empty = samples.diagnosis(layers=())
    assert "Where it dies" not in words_of(report.page(empty.to_dict()))


def test_runs_that_blew_up_leave_the_others_readable():
    runs = [samples.run("addition", seed, 90.0) for seed in range(4)]
    blown = replace(runs[0], seed=9, status="diverged", train_loss=(2.3, 1e30, math.nan),
                    test=(10.0, 10.0), validation=(10.0, 10.0))  # fmt: skip
    treated = samples.variant("addition", "d", "treated", 90.0, runs=(*runs, blown))
    lost = samples.variant("concatenation", "d", "treated", 90.0, runs=(blown,))
    plain = samples.comparison().variants[0]
    data = samples.comparison(variants=(plain, treated, lost), best="addition").to_dict()
    made = report.page(data)
    assert not re.search(r"\bnan\b", made, re.IGNORECASE)
    assert "1 of 5 runs failed" in words_of(made)
    assert "no run ended" in words_of(made)
    losses = re.findall(r'class="seed" d="M0 (-?[\d.]+)', made)
    assert all(-5 <= float(start) <= 105 for start in losses)


def test_one_seed_gives_no_interval():
    alone = samples.variant(
        "addition", "d", "treated", 90.0, runs=(samples.run("addition", 0, 90),)
    )
    pair = replace(alone.difference, low=-math.inf, high=math.inf, pairs=1, wins=1)
    alone = replace(alone, difference=pair)
    plain = samples.comparison().variants[0]
    said = words_of(report.page(samples.comparison(variants=(plain, alone), seeds=1).to_dict()))
    assert "no interval" in said
    assert "One pair alone gives no interval." in said
    assert "1 seed" in said


def test_a_metric_of_another_kind_is_written_without_percent():
    values = {"metric": "loss", "unit": "", "higher_is_better": False, "chance": 2.3}
    said = words_of(report.page(samples.comparison(**values).to_dict()))
    assert "Test loss" in said
    assert "10.2 %" not in said.replace("\u00a0", " ")


def test_a_recommendation_other_than_a_skip_names_itself():
    cure = samples.cure(recommended="learning rate 0.1", rewirings=())
    assert "After, with learning rate 0.1" in words_of(report.page(cure.to_dict()))


def test_a_network_that_gained_layers_shows_them_on_one_side():
    after = samples.healed(4)
    fuse = samples.reading("fuse_0", "Linear 128 → 64", 2.0, 4.0)
    layers = (*after.layers[:3], fuse, *after.layers[3:])
    cure = samples.cure(4, after=replace(after, layers=layers), rewirings=(samples.rewiring(4),))
    found = re.findall(r'data-i="\d+"[^>]*><th scope="row">([\w.]+)', report.page(cure.to_dict()))
    assert found == ["stem", "hidden.0", "hidden.1", "fuse_0", "hidden.2", "hidden.3", "head"]


# Arcs, folds, axes


def test_a_chain_takes_one_lane_and_nested_skips_go_outwards():
    chain, _ = arranged([Arc(at, at + 2) for at in range(0, 20, 2)])
    assert {arc.lane for arc in chain} == {0}
    nested, _ = arranged([Arc(at, 20 - at) for at in range(5)])
    assert [arc.lane for arc in sorted(nested, key=lambda arc: arc.start)] == [4, 3, 2, 1, 0]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), max_size=40, unique=True))
def test_no_two_arcs_of_a_lane_overlap_and_none_is_lost(pairs):
    given_arcs = [Arc(start, start + length) for start, length in pairs]
    simple, buses = arranged(given_arcs)
    for one, other in itertools.combinations(simple, 2):
        apart = one.end <= other.start or other.end <= one.start
        assert one.lane != other.lane or apart
    assert all(arc.lane < MOST_LANES for arc in simple)
    assert len(simple) + sum(sum(bus.readers.values()) for bus in buses) == len(given_arcs)
    for one, other in itertools.combinations(buses, 2):
        assert one.end <= other.start or other.end <= one.start


def test_a_dense_block_is_one_bus():
    dense = [Arc(a, b) for a in range(8) for b in range(a + 1, 9)]
    simple, buses = arranged(dense)
    assert len(buses) == 1
    assert buses[0].readers[8] >= 5
    assert len(simple) < 10


def test_every_arc_is_drawn_in_every_row_it_passes():
    data = samples.residual(4).to_dict()
    page = report.page(data)
    pieces = dict(re.findall(r'<g id="(k\d+)">(.*?)</g>', page))
    used = re.findall(r'<tr data-i="(\d+)".*?<use href="#(k\d+)"', page)
    drawn = {int(row): pieces[key].count('class="arc solid"') for row, key in used}
    heads = {int(row): pieces[key].count('class="head"') for row, key in used}
    # By hand: a skip from each tap to the next but one row, and one over all from the input.
    assert drawn == {
        0: 2,
        9: 1,
        8: 2,
        **dict.fromkeys((1, 3, 5, 7), 2),
        **dict.fromkeys((2, 4, 6), 3),
    }
    assert heads == {0: 0, **dict.fromkeys((1, 3, 5, 7), 0), **dict.fromkeys((2, 4, 6, 8, 9), 1)}


def test_skips_without_a_row_are_counted():
    skips = (*samples.residual(2).skips, replace(samples.residual(2).skips[0], source="gone"))
    data = replace(samples.residual(2), skips=skips).to_dict()
    assert "1 skip that begins or ends between two weight layers is not drawn" in words_of(
        report.page(data)
    )


@given(st.integers(41, 300), st.integers(1, 2), st.sets(st.integers(0, 299), max_size=2), st.data())
def test_folds_hide_only_what_repeats(count, period, kept, data):
    signs = [at % period for at in range(count)]
    edges = data.draw(st.sets(st.integers(1, count - 1), max_size=1))
    classes = [sum(edge <= at for edge in edges) for at in range(count)]
    found = folds(signs, classes, kept)
    ends = [0, *itertools.chain.from_iterable((f.first, f.end) for f in found), count]
    assert ends == sorted(ends)
    for fold in found:
        hidden = range(fold.first, fold.end)
        assert not kept & set(hidden)
        assert len({classes[at] for at in hidden}) == 1
        each, rest = divmod(fold.end - fold.first, fold.blocks)
        assert rest == 0
        assert signs[fold.first] == signs[fold.end - each]
    shown = count - sum(fold.rows - 1 for fold in found)
    # A stretch too short to fold has at most 6 blocks and two cut ones.
    assert shown <= 8 * period * (1 + len(kept) + len(edges)) + len(kept)


@pytest.mark.parametrize("flicker", [1, 2, 7])
def test_a_long_network_opens_with_few_rows_whatever_it_looks_like(flicker):
    signs, classes = list(range(1000)), [at // flicker % 2 for at in range(1000)]
    found = folds(signs, classes, {500})
    assert 1000 - sum(fold.rows - 1 for fold in found) <= MOST_ROWS
    assert not any(fold.first <= 500 < fold.end for fold in found)
    assert folds(signs[:40], classes[:40], set()) == []


def test_a_fold_of_layers_without_modules_names_its_first_and_last_layer():
    said = words_of(report.page(samples.cure(50).to_dict()))
    # Two layers a block, and one block in sight at each end of what is alike and equally well.
    assert "Block × 10hidden.12 – 31" in said


def test_every_finding_says_where_the_documentation_has_more():
    data = samples.cure(8).to_dict()
    causes = [finding["cause"] for finding in data["diagnosis"]["findings"]]
    said = words_of(report.page(data))
    assert re.findall(r"skipway docs (\S+)", said) == [f"stuck#{cause}" for cause in causes]
    assert "More: skipway docs stuck#vanishing" in words_of(
        report.figure(samples.diagnosis(8).to_dict())
    )


def test_every_part_of_a_page_is_in_its_navigation():
    for made in (samples.cure(8), watched([[0.5, 0.4]] * 4)):
        page = report.page(made.to_dict())
        parts = re.findall(r'<section class="sec[^"]*" id="(\w+)"', page)
        linked = re.findall(r'href="#(\w+)"', page[: page.index("</nav>")])
        assert parts == linked


@given(st.lists(st.floats(-300, 300), min_size=1, max_size=20))
def test_the_axis_has_whole_decades_around_all_numbers(logs):
    axis = log_axis(logs)
    assert axis.low <= min(logs)
    assert axis.high >= max(logs) - 0.05
    assert 1 <= len(axis.ticks()) <= 10
    assert all(ten % axis.step == 0 for ten, _ in axis.ticks())
    assert all(0 <= axis.at(log) <= 1 for log in logs)


def test_round_ends_cover_the_values():
    assert round_ends([0.3, 2.3]) == (0, pytest.approx(2.5))
    assert round_ends([10, 97]) == (0, 100)
    low, high = round_ends([-3.2, 4.1])
    assert low <= -3.2
    assert high >= 4.1
    assert round_ends([math.nan]) == (0, 1)


@pytest.mark.parametrize(("first", "last", "written"), [
    ("hidden.4", "hidden.31", "hidden.4 – 31"),
    ("hidden#4", "hidden#31", "hidden#4 – 31"),
    ("a.b.conv1", "a.c.conv2", "a.b.conv1 – a.c.conv2"),
    ("stem", "head", "stem – head"),
])  # fmt: skip
def test_a_range_of_names_says_what_they_share_once(first, last, written):
    assert between(first, last) == written


# Long and hostile input


def test_sizes_stay_small():
    assert len(report.page(samples.cure(50).to_dict()).encode()) < 300_000
    assert len(report.page(samples.cure(1000).to_dict()).encode()) < 1_000_000


def hostile(value, *, key=""):
    """Put markup into every free word of a result; keep what is a choice among few."""
    fixed = {"result", "state", "cause", "treatment", "kind", "merge", "how", "role", "answer"}
    fixed |= {"status", "metric", "outcome", "reference", "best", "recommended"}
    if isinstance(value, dict):
        return {name: hostile(each, key=name) for name, each in value.items()}
    if isinstance(value, list):
        return [hostile(each, key=key) for each in value]
    if isinstance(value, str) and key not in fixed and value not in ("nan", "inf", "-inf"):
        return f"{value} {samples.HOSTILE}"
    return value


def test_markup_in_any_word_stays_text():
    plain = Reader(report.page(samples.cure(8).to_dict()))
    made = report.page(hostile(samples.cure(8).to_dict()))
    marked = Reader(made)
    assert marked.tags.count("script") == plain.tags.count("script")
    assert "img" not in marked.tags
    assert '<script>alert("x")</script>' in marked.words
    figure = Reader(report.figure(hostile(samples.cure(8).to_dict())))
    assert "script" not in figure.tags
    assert "img" not in figure.tags


def test_markup_of_the_terminal_stays_text():
    layer = replace(samples.diagnosis(3).layers[0], name="[bold red]x[/]")
    finding = samples.finding(title="[link=a]b[/link] [nonsense", layers=())
    data = samples.diagnosis(layers=(layer,), findings=(finding,)).to_dict()
    text = report.text(data, 80)
    assert "[bold red]x[/]" in text
    assert "[link=a]b[/link] [nonsense" in text


def test_long_names_are_shortened_and_told_in_full():
    name = "encoder." * 30 + "linear#3"
    layers = (samples.reading(name, "Linear", 1.0, 1.0), samples.reading("b", "Linear", 1.0, 1.0))
    page = report.page(samples.diagnosis(layers=layers, place="b").to_dict())
    assert f'title="{name}"' in page
    assert re.search(r'<th scope="row" title="[^"]*">[^<]{1,28}<', page)
    assert (
        max(map(len, report.text(samples.diagnosis(layers=layers).to_dict(), 80).split("\n"))) <= 80
    )


# Terminal


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_keeps_its_width(name, width):
    text = report.text(KINDS[name].to_dict(), width)
    assert max(map(len, text.split("\n"))) <= width


@pytest.mark.parametrize("depth", [1, 20, 50, 1000])
def test_the_layer_table_of_a_terminal_is_short(depth):
    text = report.text(samples.diagnosis(depth, 17.9 / (depth + 1)).to_dict(), 100)
    rows = [line for line in text.split("\n") if re.match(r"(stem|hidden|head|⋮)", line)]
    assert len(rows) <= 25
    shown = sum(not line.startswith("⋮") for line in rows)
    gone = sum(int(found) for found in re.findall(r"⋮ (\d+) layer", text.replace(",", "")))
    assert shown + gone == depth + 2
    assert rows[0].startswith("stem (3)")
    assert rows[-1].startswith("head")


def test_text_holds_the_parts_of_a_cure():
    text = report.text(samples.cure().to_dict(), 80)
    for phrase in ("The gradient dies on its way back.", "Proof", "2.6e−19", "+81.3",
                   "1  The gradient vanishes through depth", "+         x = skip + x",
                   "$ skipway cure", "10⁻²²"):  # fmt: skip
        assert phrase in text, phrase
    assert "`" not in text


def test_show_colours_what_text_says():
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system="truecolor")
    report.show(samples.cure().to_dict(), console)
    shown = console.file.getvalue()
    assert "\x1b[" in shown
    bare = [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", shown).rstrip().split("\n")]
    assert "\n".join(bare) == report.text(samples.cure().to_dict(), 80)


def test_progress_is_silent_without_a_terminal(capfd):
    with report.progress("work") as tell:
        tell(1, 3, "one")
    assert capfd.readouterr() == ("", "")


def test_progress_draws_on_a_terminal():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with report.progress("work", console=console) as tell:
        tell(0, 0, "looking")
        tell(2, 4, "training [plain]")
    drawn = console.file.getvalue()
    assert "training [plain]" in drawn
    assert "2/4" in drawn


# Figure


def test_the_figure_is_well_formed_and_has_a_bar_for_every_layer():
    made = report.figure(samples.diagnosis(20).to_dict())
    svg = ElementTree.fromstring(re.search(r"<svg.*</svg>", made, re.S).group())
    bars = [each for each in svg.iter("rect") if each.get("height") == "6"]
    widths = [float(each.get("width")) for each in bars]
    assert len(widths) == 22
    assert widths == sorted(widths)
    assert widths[0] > 0
    # Equal steps in decades are equal steps in length.
    steps = [b - a for a, b in itertools.pairwise(widths)]
    assert max(steps) - min(steps) < 0.9
