"""The parts of a result in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from . import _source, _spine, _table
from ._axis import LogAxis
from ._cells import NO_BAR
from ._names import clipped_apart, ends_apart
from ._rows import Reading, Rows, Side, in_sight, rows
from ._source import HOWS
from ._values import STATES, Data, docs_page, log10, plural, sentence, shape, short
from ._words import CODE

# Mid tones that can be read on dark and on light ground.
STYLES = {
    "fine": "#3b87cc",
    "watch": "#7d8895",
    "dying": "#d07a1d",
    "lost": "#c4502a",
    "before": "#c4502a",
    "after": "#3b87cc",
    "control": "",
    "quiet": "#7d8895",
}
GLYPHS = {"fine": "●", "watch": "◐", "dying": "○", "lost": "×"}
MOST_ROWS = 25
MOST_SKIPS = 10


def prose(words: str, *, style: str = "", bold: int = 0) -> Text:
    """Return prose of a result; names of code stand out by their style."""
    made = Text(style=style)
    for odd, piece in enumerate(CODE.split(words)):
        made.append(piece, "bold" if odd % 2 else "")
    made.stylize("bold", 0, bold)
    return made


def title(words: str) -> RenderableType:
    """Return the title of a section."""
    return Text.assemble(("── ", STYLES["quiet"]), (words, "bold"))


def pairs(items: Iterable[tuple[str, str]], *, figures: bool = False) -> Table:
    """Return labels with their words beside them."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, justify="right" if figures else "left")
    grid.add_column(overflow="fold")  # a name that is cut cannot be copied
    for label, words in items:
        grid.add_row(Text(label, "bold" if figures else STYLES["quiet"]), prose(words))
    return grid


def findings(diagnosis: Data) -> RenderableType:
    """Return the findings, and what was looked for and not found."""
    parts: list[RenderableType] = []
    labels = (("Place", "place"), ("Evidence", "evidence"), ("Remedy", "remedy"))
    for number, finding in enumerate(diagnosis["findings"], 1):
        head = prose(f"{number}  {finding['title']}", style="bold")
        head.append(f"  {finding['cause']}", f"not bold {STYLES['quiet']}")
        words = [(label, finding[key]) for label, key in (*labels, ("How sure", "sure"))]
        body = pairs((label, said) for label, said in words if said)
        parts += [head, Padding(body, (0, 0, 1, 3))]
    if diagnosis["findings"]:
        page = docs_page(diagnosis["findings"][0])
        parts.append(Text(f"More: skipway docs {page}", STYLES["quiet"]))
    if diagnosis["absent"]:
        absent = f"Looked for and not found: {', '.join(diagnosis['absent'])}."
        parts.append(prose(absent, style=STYLES["quiet"]))
    parts += [prose(note, style=STYLES["quiet"]) for note in diagnosis["notes"]]
    return Group(*parts)


def layer_table(sides: Sequence[Side], width: int) -> Table:
    """Return at most about 25 rows of layers, with their elasticity on a logarithmic axis."""
    found = rows(sides)
    scale = _spine.axis(found)
    shown = in_sight(found, MOST_ROWS)
    most = 26 if width >= 60 else 14
    called = clipped_apart(found.names, most)
    widths = [len(called[at]) + _flagged(found, at) for at in shown]
    widths += [len(_left_out(count)) for count in _gaps(shown)]
    name = min(most + 8, max(widths, default=5))
    bar = max(8, min(40, (width - name) // len(sides) - 13))
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="")
    table.add_column(Text("Layer", STYLES["quiet"]), width=name, no_wrap=True)
    for side in sides:
        table.add_column("", width=1)
        table.add_column(_side_head(side, scale, bar), width=bar, no_wrap=True)
        table.add_column(Text("E", f"italic {STYLES['quiet']}"), width=9, justify="right")
    last = -1
    for at in shown:
        if at > last + 1:
            table.add_row(*_gap(found, last + 1, at))
        table.add_row(*_layer(found, at, called[at], scale, bar))
        last = at
    return table


def _side_head(side: Side, scale: LogAxis, bar: int) -> Text:
    ends = [{0: "1", 1: "10"}.get(ten, f"1e{ten}") for ten in (scale.low, scale.high)]
    axis = Text(f"{ends[0]}{ends[1]:>{bar - len(ends[0])}}".replace("-", "−"), STYLES["quiet"])
    name = side.title if len(side.title) <= bar else sentence(side.title.removeprefix("After, "))
    return Text("\n").join([Text(name, "bold"), Text(_spine.loss(side.diagnosis)), axis])


def _gaps(shown: Sequence[int]) -> list[int]:
    """Return how many layers are left out, wherever some are."""
    counts = [at - last - 1 for last, at in pairwise((-1, *shown))]
    return [count for count in counts if count]


def _left_out(count: int) -> str:
    return f"⋮ {plural(count, 'layer')}"


def _gap(found: Rows, start: int, end: int) -> list[Text]:
    cells = [Text(_left_out(end - start), STYLES["quiet"])]
    for side in found.readings:
        known = [short(layer["elasticity"]) for layer in side[start:end] if layer]
        ends = (f"{known[0]} to", known[-1]) if known else ("", "")
        cells += [Text(""), *(Text(words, STYLES["quiet"]) for words in ends)]
    return cells


def _flagged(found: Rows, at: int) -> int:
    """Return how much room the numbers of a row's findings take."""
    return max(4, sum(len(f" ({flag})") for flag in found.flags.get(at, ())))


def _layer(found: Rows, at: int, called: str, scale: LogAxis, bar: int) -> list[Text]:
    name = Text(called)
    for flag in found.flags.get(at, ()):
        name.append(f" ({flag})", STYLES["quiet"])
    cells = [name]
    for side in found.readings:
        cells += _reading(side[at], scale, bar)
    return cells


def _reading(layer: Reading | None, scale: LogAxis, bar: int) -> list[Text]:
    if layer is None:
        return [Text(""), Text(""), Text("")]
    state, number = STATES[layer["state"]][0], short(layer["elasticity"])
    log, style = log10(layer["elasticity"]), STYLES[state]
    if log is None:
        return [Text(GLYPHS[state], style), Text(NO_BAR.get(number, ""), style), Text(number)]
    halves = max(1, round(2 * bar * scale.at(log)))
    line = "━" * (halves // 2) + "╸" * (halves % 2)
    return [Text(GLYPHS[state], style), Text(line, style), Text(number)]


def comparison_table(comparison: Data, width: int) -> Table:
    """Return the variants with their result, difference and cost."""
    made = _table.table(comparison)
    wide = width >= 108
    space = 2 if width >= 90 else 1
    table = Table(box=None, padding=(0, space, 0, 0), pad_edge=False, header_style=STYLES["quiet"])
    table.add_column("Variant", ratio=1, overflow="fold")
    heads = [f"{made.metric}\nmedian, range", f"against {made.reference}\n{_unit(made)}"]
    heads += [f"against linear\n{_unit(made)}"] if wide and made.linear else []
    heads += ["Learning\nrate", f"Stalled\nof {made.seeds}"]
    heads += ["Step\nms"] if wide else []
    for head in [*heads, "Param-\neters"]:
        table.add_column(head, justify="right", no_wrap=True)
    for line in made.lines:
        cells = [Text(line.name, "bold"), Text(line.middle, f"bold {STYLES[line.role]}")]
        below = [line.detail, line.spread, line.against[1]]
        cells.append(Text(line.against[0]))
        if wide and made.linear:
            cells.append(Text(line.against_linear[0]))
            below.append(line.against_linear[1])
        cells += [Text(line.rate), Text(line.stalled)]
        below += ["", line.failed]
        cells += [Text(line.step)] if wide else []
        cells.append(Text(line.parameters))
        table.add_row(*cells)
        table.add_row(*(Text(words, STYLES["quiet"]) for words in below))
    return table


def _unit(made: _table.Table) -> str:
    return f"{made.points}, {made.confidence}" if made.points else made.confidence


def plan_table(plan: Data, width: int) -> Table:
    """Return the skips of a plan; the middle of a long one is left out."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=STYLES["quiet"])
    for head in ("From", "To", "Joined by", "On the skip", "Shape"):
        table.add_column(head, no_wrap=True, overflow="ellipsis")
    skips, most = plan["skips"], width // 4
    ends = ends_apart(skips, most)
    hidden = len(skips) - MOST_SKIPS + 1 if len(skips) > MOST_SKIPS else 0
    ahead = MOST_SKIPS // 2
    for at, skip in enumerate(skips):
        if hidden and ahead <= at < ahead + hidden:
            if at == ahead:
                table.add_row(Text(f"⋮ {plural(hidden, 'more skip')}", STYLES["quiet"]))
            continue
        joined = HOWS.get(skip["merge"], skip["merge"])
        cells = [*ends[at], joined]
        cells += [skip["shortcut"], shape(skip["destination_shape"])]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def skips_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return the skips that a model has, every one of them."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=STYLES["quiet"])
    for each in head:
        table.add_column(each, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def source(rewiring: Data, *, folded: bool) -> RenderableType:
    """Return the source with syntax in colour; added lines carry a plus."""
    code = rewiring["code"].rstrip("\n")
    coloured = Syntax("", "python", theme="ansi_dark", background_color="default")
    lines = coloured.highlight(code).split("\n", allow_blank=True)
    added = set(rewiring["added"])
    start, end = _source.middle(code.split("\n")) if folded else (len(lines), len(lines))
    made: list[RenderableType] = []
    for number, line in enumerate(lines[: code.count("\n") + 1], 1):
        if start < number <= end:
            if number == start + 1:
                gap = f"       ⋮ {plural(end - start, 'more line')}"
                made.append(Text(gap, STYLES["quiet"]))
            continue
        new = number in added
        head = Text.assemble((f"{number:>4} ", STYLES["quiet"]), ("+ " if new else "  ", "bold"))
        made.append(Text.assemble(head, line))
    return Group(*made)
