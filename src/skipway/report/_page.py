"""A result as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from . import (
    _curves,
    _drawing,
    _heat,
    _heat_picture,
    _lanes,
    _metric,
    _row_cards,
    _sides,
    _skips,
    _source,
    _spine,
    _table,
    _third_party,
    _training,
    _verdict,
    _ways,
)
from ._axis import log_axis
from ._names import ends_apart
from ._rows import Side
from ._values import Data, claim_of, docs_page, plural, quantity, sentence, shape, short
from ._words import embedded, markup, plain

Parts = dict[str, Any]


def render(data: Data) -> str:
    """Return the page."""
    parts = _parts(data)
    template = _environment().get_template("page.html.j2")
    return template.render(
        verdict=_verdict.verdict(data),
        css=_css(parts),
        scripts=_scripts(parts),
        skips_head=_skips.HEAD,
        node=lambda state: Markup(_lanes.node(state, 8, 8)),
        **parts,
    )


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("skipway", "report/templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters.update(
        words=markup, plain=plain, count=quantity, dense=short, raw=Markup, docs_page=docs_page
    )
    made.filters.update(
        plural=plural, claim_of=claim_of, ends_apart=ends_apart, start=sentence, shape=shape
    )
    return made


def _css(parts: Parts) -> Markup:
    curves = bool(parts["training"] or parts["heat"])
    return Markup(_third_party.style(_third_party.CURVES_STYLE) if curves else "") + _asset(
        "page.css"
    )


def _scripts(parts: Parts) -> list[Markup]:
    """Return the scripts that this page needs, each library before what uses it."""
    made = [_asset("page.js")]
    drawings = (parts["network"] and parts["network"].drawing, parts["ways"])
    if drawings[0] or (drawings[1] and drawings[1]["drawn"]):
        made += [_third_party.script(_third_party.DRAWING), _asset("drawing.js")]
    if parts["training"] or parts["heat"]:
        made.append(_third_party.script(_third_party.CURVES))
    if parts["training"]:
        made.append(_asset("curves.js"))
    if parts["heat"]:
        made.append(_asset("heat.js"))
    return made


def _asset(name: str) -> Markup:
    # The page's own style and script; no data is ever part of them.
    return Markup(files("skipway.report").joinpath(name).read_text(encoding="utf-8"))


def _parts(data: Data) -> Parts:
    makers: Mapping[str, Callable[[Data], Parts]] = {
        "cure": _cure,
        "diagnosis": _diagnosis,
        "comparison": _comparison,
        "rewiring": _rewiring,
        "plan": lambda plan: {"plan": plan, "ways": _ways_of(plan)},
        "skips": lambda data: {"skips": _skips.rows(data), "ways": _ways_of(data)},
        "what-if": lambda asked: _diagnosed(_sides.of_what_if(asked)),
    }
    empty: Parts = dict.fromkeys(
        (
            "network",
            "training",
            "table",
            "comparison",
            "findings",
            "sources",
            "plan",
            "skips",
            "ways",
            "heat",
            "rerun",
        )
    )
    made = makers.get(data["result"], _small)(data)
    return {**empty, "later": None, "refused": (), "fields": (), "said": "", **made}


def _cure(cure: Data) -> Parts:
    diagnosis = cure["diagnosis"]
    parts = _diagnosed(_sides.of_cure(cure)) if diagnosis["layers"] else {}
    if cure["comparison"]:
        parts.update(_compared(cure["comparison"]), said=cure["comparison"]["verdict"])
    shown = _verdict.shown_rewiring(cure)
    ordered = sorted(cure["rewirings"], key=lambda each: each is not shown)
    return {
        **parts,
        "findings": diagnosis,
        "later": _later(cure),
        "refused": _verdict.refused(cure),
        "sources": [_source.source(each) for each in ordered],
        "rerun": _rerun(cure),
    }


def _diagnosis(diagnosis: Data) -> Parts:
    parts = _diagnosed([Side("Now", diagnosis)]) if diagnosis["layers"] else {}
    return {**parts, **_watched(diagnosis), "findings": diagnosis}


def _watched(diagnosis: Data) -> Parts:
    made = _heat.heat(diagnosis, finest=40_000)
    if made is None:
        return {}
    key = [(_paint(role), opacity, words) for _, role, opacity, _, words in reversed(_heat.BANDS)]
    drawn = _heat_picture.picture(made, _paint, links=True)
    return {
        "heat": made,
        "heat_picture": drawn,
        "heat_key": key,
        "heat_data": embedded(_heat_picture.numbers(made)),
        "heat_summary": _heat.summary(made),
    }


def _paint(role: str) -> str:
    return f"var(--{'ink3' if role == 'quiet' else role})"


def _comparison(comparison: Data) -> Parts:
    meta = [*_labelled(comparison["environment"]), _configuration(comparison)]
    settings = _labelled(comparison["settings"])
    rerun = {"command": "", "meta": meta, "settings": settings}
    return {**_compared(comparison), "rerun": rerun}


def _rewiring(rewiring: Data) -> Parts:
    return {
        "plan": rewiring["plan"],
        "ways": _ways_of(rewiring),
        "sources": [_source.source(rewiring)],
    }


def _ways_of(data: Data) -> Parts:
    """Return the drawing of skips alone, and what is said of each layer when it is pointed at."""
    found = _ways.ways(data)
    told = _row_cards.skips_of(found)
    said = [f"{name}. {told.get(at, 'No skip.')}" for at, name in enumerate(found.names)]
    simple, buses = found.drawn[0]
    return {
        "drawn": _drawing.drawing(found, log_axis([])),
        "data": embedded(said),
        "proposed": any([*(arc.proposed for arc in simple), *(bus.proposed for bus in buses)]),
    }


def _small(data: Data) -> Parts:
    return {"fields": [(label, written(value)) for label, value in fields(data)]}


def fields(data: Data) -> list[tuple[str, Any]]:
    """Return the fields of a small result, with readable labels; empty ones are left out."""
    return [
        (sentence(key.replace("_", " ")), value)
        for key, value in data.items()
        if key != "result" and value not in (None, [], {}, "")
    ]


def written(value: Any) -> str:
    """Write any plain value for a reader."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return quantity(value)
    if isinstance(value, float) or value in ("nan", "inf", "-inf"):
        return short(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {written(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        joint = " × " if all(isinstance(each, int) for each in value) else ", "
        return joint.join(written(each) for each in value)
    return str(value)


def _diagnosed(sides: list[Side]) -> Parts:
    return {"network": _spine.spine(sides), "diagnosis": sides[0].diagnosis}


def _compared(comparison: Data) -> Parts:
    return {
        "training": _training.training(comparison),
        "training_data": embedded(_curves.numbers(comparison)),
        "epochs": [
            (title, *_curves.by_epoch(comparison, key))
            for key, title in (("test", _metric.name(comparison)), ("train_loss", "training loss"))
        ],
        "table": _table.table(comparison),
        "comparison": comparison,
        "metric": _metric.name(comparison),
    }


def _later(cure: Data) -> Data | None:
    """Return the later diagnosis with those of its findings that are new then."""
    later = cure["later"]
    if not later:
        return None
    first = {finding["cause"] for finding in cure["diagnosis"]["findings"]}
    return {**later, "findings": [f for f in later["findings"] if f["cause"] not in first]}


def _rerun(cure: Data) -> Parts:
    diagnosis, comparison = cure["diagnosis"], cure["comparison"]
    meta = [("Versions", ", ".join(f"{name} {v}" for name, v in cure["versions"].items()))]
    meta += [("Diagnosed", f"{diagnosis['when']}, on a batch of {quantity(diagnosis['batch'])}")]
    if comparison:
        meta += [*_labelled(comparison["environment"]), _configuration(comparison)]
    return {
        "command": cure["command"],
        "meta": [*meta, ("Written", cure["written"])],
        "settings": _labelled(comparison["settings"]) if comparison else [],
    }


def _configuration(comparison: Data) -> tuple[str, str]:
    return "Configuration", f"`{comparison['configuration']}`"


def _labelled(known: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(sentence(key.replace("_", " ")), str(value)) for key, value in known.items()]
