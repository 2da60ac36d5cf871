"""A result as a static HTML fragment for notebooks: no script, no style sheet, no classes.

A notebook brings its own ground, light or dark: ink is the notebook's own, the colours are mid
tones that can be read on both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from . import (
    _figure_numbers,
    _heat,
    _heat_picture,
    _page,
    _sides,
    _skips,
    _source,
    _table,
    _verdict,
)
from ._figure_spine import COLOURS, DYING, FINE, LOST, QUIET, network
from ._rows import Side
from ._source import HOWS
from ._values import STATES, Data, claim_of, docs_page, shape
from ._words import markup

_ROLES = {"before": LOST, "after": FINE, "control": "inherit"}
_GLYPHS = {"fine": "●", "watch": "◐", "dying": "○", "lost": "×"}
_BOX = "font:14px/1.5 system-ui,sans-serif;max-width:900px;overflow-wrap:anywhere"


def fragment(data: Data) -> str:
    """Return the fragment."""
    makers: Mapping[str, Callable[[Data], list[Markup]]] = {
        "cure": _cure,
        "diagnosis": _diagnosis,
        "comparison": _comparison,
        "rewiring": _rewiring,
        "plan": lambda plan: [_plan(plan)],
        "skips": _skips_of,
        "what-if": lambda asked: _network(_sides.of_what_if(asked)),
    }
    parts = makers[data["result"]](data) if data["result"] in makers else [_fields(data)]
    return str(_tag("div", [*_head(data), *parts], style=_BOX))


def _tag(name: str, inner: Iterable[str] | str, **attributes: object) -> Markup:
    content = [inner] if isinstance(inner, str) else inner
    given = "".join(f' {key}="{escape(str(value))}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{Markup('').join(content)}</{name}>")


def _head(data: Data) -> list[Markup]:
    verdict = _verdict.verdict(data)
    parts = [_tag("div", markup(verdict.headline), style="font-size:20px;font-weight:600")]
    if verdict.lead:
        parts.append(_tag("div", markup(verdict.lead), style="margin:4px 0 8px"))
    for label, words in verdict.pairs:
        parts.append(_tag("div", [_tag("b", f"{label}: "), markup(words)]))
    return parts


def _cure(cure: Data) -> list[Markup]:
    diagnosis = cure["diagnosis"]
    parts = _network(_sides.of_cure(cure)) if diagnosis["layers"] else []
    if cure["comparison"]:
        parts += _compared(cure["comparison"])
    return [*parts, _findings(diagnosis)]


def _diagnosis(diagnosis: Data) -> list[Markup]:
    parts = _network([Side("Now", diagnosis)]) if diagnosis["layers"] else []
    made = _heat.heat(diagnosis)
    if made is not None:
        parts.append(_heat_picture.picture(made, _paint, links=False))
        bands = [("■", _paint(role), opacity, words) for _, role, opacity, _, words in _heat.BANDS]
        parts.append(_key(reversed(bands)))
        parts.append(_numbers(*_figure_numbers.steps(made)))
    return [*parts, _findings(diagnosis)]


def _network(sides: Sequence[Side]) -> list[Markup]:
    seen = {layer["state"] for side in sides for layer in side.diagnosis["layers"]}
    signs = [
        (_GLYPHS[role], COLOURS[role], 1.0, words)
        for state, (role, words) in STATES.items()
        if state in seen
    ]
    return [network(sides), _key(signs), _numbers(*_figure_numbers.layers(sides))]


def _key(signs: Iterable[tuple[str, str, float, str]]) -> Markup:
    """Say in one line what colours and signs mean."""
    parts = [
        _tag("span", [_tag("span", sign, style=f"color:{colour};opacity:{opacity}"), f" {words}"],
             style="white-space:nowrap;margin-right:16px")
        for sign, colour, opacity, words in signs
    ]  # fmt: skip
    return _tag("div", [Markup(" ").join(parts)], style="font-size:12px;margin:2px 0 8px")


def _numbers(title: str, table: _figure_numbers.Table) -> Markup:
    head, rows = table
    named = [[_tag("code", first), *others] for first, *others in rows]
    return _tag("details", [_tag("summary", title), _rows(head, named, left=1)])


def _paint(role: str) -> str:
    known = {"fine": FINE, "dying": DYING, "lost": LOST, "quiet": QUIET}
    return known.get(role, "currentColor")


def _comparison(comparison: Data) -> list[Markup]:
    return _compared(comparison)


def _rewiring(rewiring: Data) -> list[Markup]:
    made = _source.source(rewiring)
    added = f"background:{FINE}22;display:block"
    lines = [
        _tag("span", [line.html, "\n"], style=added if line.added else "display:block")
        for line in (*made.head, *made.middle, *made.tail)
    ]
    code = _tag("pre", lines, style="line-height:1.45;overflow-x:auto")
    return [
        _plan(rewiring["plan"]),
        _tag("details", [_tag("summary", f"The rewired source. {made.words}"), code]),
    ]


def _findings(diagnosis: Data) -> Markup:
    items = [
        _tag(
            "li",
            [
                _tag("b", markup(claim_of(finding["title"], "A"))),
                " ",
                markup(finding["evidence"]),
                " ",
                _tag("i", markup(finding["remedy"])),
            ],
        )
        for finding in diagnosis["findings"]
    ]
    if not items:
        return Markup("")
    page = docs_page(diagnosis["findings"][0])
    more = _tag("p", ["More: ", _tag("code", f"skipway docs {page}")], style="margin:0 0 10px")
    return _tag("ol", items, style="margin:10px 0;padding-left:24px") + more


def _plan(plan: Data) -> Markup:
    head = ("From", "To", "Joined by", "On the skip", "Shape")
    names = HOWS
    rows = [
        (
            _tag("code", skip["source"]),
            _tag("code", skip["destination"]),
            names.get(skip["merge"], skip["merge"]),
            skip["shortcut"],
            shape(skip["destination_shape"]),
        )
        for skip in plan["skips"]
    ]
    table = _rows(head, rows, left=5)
    if len(rows) <= 12:
        return table if rows else Markup("")
    return _tag("details", [_tag("summary", "The plan"), table])


def _skips_of(data: Data) -> list[Markup]:
    found = [
        (kind, _tag("code", source), _tag("code", destination), around, size)
        for kind, source, destination, around, size in _skips.rows(data)
    ]
    return [_rows(_skips.HEAD, found, left=4)] if found else []


def _fields(data: Data) -> Markup:
    rows = [(label, markup(_page.written(value))) for label, value in _page.fields(data)]
    return _rows(("", ""), rows, left=2)


def _compared(comparison: Data) -> list[Markup]:
    made = _table.table(comparison)
    head = ["Variant", made.metric, f"against {made.reference}", "Learning rate"]
    head += [f"Stalled of {made.seeds}", "Parameters"]
    rows = [
        (
            [_tag("b", line.name), " ", _quiet(line.detail)],
            [_tag("b", line.middle, style=f"color:{_ROLES[line.role]}"), " ", _quiet(line.spread)],
            [line.against[0], " ", _quiet(line.against[1])],
            line.rate,
            line.stalled,
            line.parameters,
        )
        for line in made.lines
    ]
    notes = [
        _tag("li", [_tag("b", markup(claim_of(claim, why))), " ", markup(why)])
        for claim, why in comparison["notes"]
    ]
    return [_rows(head, rows, left=1), *([_tag("ul", notes)] if notes else [])]


def _quiet(words: str) -> Markup:
    return _tag("span", words, style=f"color:{QUIET};white-space:nowrap")


def _rows(head: Sequence[str], rows: Iterable[Sequence[Any]], *, left: int) -> Markup:
    """Return a table; the first `left` columns are words, the others numbers."""
    line = f"border-top:1px solid {QUIET}55;padding:4px 14px 4px 0;vertical-align:top;"
    sides = [line + f"text-align:{'left' if at < left else 'right'}" for at in range(len(head))]
    first = _tag("tr", _cells("th", head, sides))
    body = [_tag("tr", _cells("td", row, sides)) for row in rows]
    # What a table takes over from around it depends on the notebook, unless it is said.
    style = "border-collapse:collapse;margin:10px 0;font:inherit;color:inherit;"
    style += "font-variant-numeric:tabular-nums"
    return _tag("table", [first, *body] if any(head) else body, style=style)


def _cells(name: str, row: Sequence[Any], sides: Sequence[str]) -> list[Markup]:
    weight = "font-weight:400;" if name == "th" else ""
    return [_tag(name, cell, style=weight + side) for cell, side in zip(row, sides, strict=True)]
