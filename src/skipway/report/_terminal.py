"""Results in a terminal, in colour or as plain text."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Mapping

from rich.console import Console, Group, RenderableType
from rich.text import Text

from .._visible import visible_in
from . import _heat, _sides, _skips, _source, _spine, _verdict
from ._heat_text import heat_map
from ._keys import Key
from ._outlook import outlook
from ._page import fields, written
from ._rows import Side
from ._spelled import spelled
from ._terminal_parts import (
    STYLES,
    comparison_table,
    findings,
    layer_table,
    pairs,
    plan_table,
    prose,
    skips_table,
    source,
    title,
)
from ._values import Data, claim_of

WIDEST = 120
USUAL = 100


def plain(data: Data, width: int | None = None) -> str:
    """Return the result as text without escape codes."""
    width = width or min(WIDEST, shutil.get_terminal_size((USUAL, 24)).columns)
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    console.print(_renderable(data, width))
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().split("\n"))


def print_on(data: Data, console: Console | None = None) -> None:
    """Print the result on a console, without colours where it is not Unicode."""
    console = console or Console()
    width = min(WIDEST, console.width)
    if console.encoding.startswith("utf"):
        console.print(_renderable(data, width), width=width)
    else:
        console.out(spelled(plain(data, width), console.encoding), highlight=False)


def _renderable(data: Data, width: int) -> RenderableType:
    makers: Mapping[str, Callable[[Data, int], list[RenderableType]]] = {
        "cure": _cure,
        "diagnosis": _diagnosis,
        "comparison": _comparison,
        "rewiring": _rewiring,
        "plan": _plan,
        "skips": _skips_of,
        "outlook": outlook,
        "what-if": _what_if,
    }
    shown: Data = visible_in(data)
    parts = makers.get(shown["result"], _small)(shown, width)
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [Text(""), part] if spaced else [part]
    return Group(*spaced)


def _head(data: Data) -> list[RenderableType]:
    verdict = _verdict.verdict(data)
    parts: list[RenderableType] = [prose(verdict.headline, style="bold")]
    if verdict.lead:
        parts.append(prose(verdict.lead))
    if verdict.pairs:
        parts.append(pairs(verdict.pairs))
    figures = [(_figure(key), key.words) for key in verdict.keys]
    if figures:
        parts.append(pairs(figures, figures=True))
    return parts


def _figure(key: Key) -> str:
    unit = f" {key.unit}" if key.unit else ""
    return f"{key.was} → {key.now}{unit}" if key.now else f"{key.was}{unit}"


def _cure(cure: Data, width: int) -> list[RenderableType]:
    diagnosis = cure["diagnosis"]
    parts = _head(cure)
    if diagnosis["layers"]:
        parts += [title(_spine.title(diagnosis)), layer_table(_sides.of_cure(cure), width)]
    if cure["comparison"]:
        parts += [title("Did it help?"), prose(cure["comparison"]["verdict"])]
        parts += _compared(cure["comparison"], width)
    parts += [title("Findings"), findings(diagnosis)]
    parts += [prose(why) for why in _verdict.refused(cure)]
    shown = _verdict.shown_rewiring(cure)
    if shown:
        parts += [title("The rewired source"), source(shown, folded=True)]
    parts.append(Text.assemble(("$ ", STYLES["quiet"]), cure["command"]))
    return parts


def _diagnosis(diagnosis: Data, width: int) -> list[RenderableType]:
    parts = _head(diagnosis)
    if diagnosis["layers"]:
        parts.append(layer_table([Side("Now", diagnosis)], width))
    return [*parts, *_watched(diagnosis, width), findings(diagnosis)]


def _watched(diagnosis: Data, width: int) -> list[RenderableType]:
    made = _heat.heat(diagnosis, columns=max(10, min(72, width - 30)))
    return [] if made is None else [title("The layers over the steps"), heat_map(made)]


def _what_if(asked: Data, width: int) -> list[RenderableType]:
    return [*_head(asked), layer_table(_sides.of_what_if(asked), width)]


def _comparison(comparison: Data, width: int) -> list[RenderableType]:
    return [*_head(comparison), *_compared(comparison, width)]


def _compared(comparison: Data, width: int) -> list[RenderableType]:
    notes = [(claim_of(claim, why), why) for claim, why in comparison["notes"]]
    notes += [("Not built.", missing) for missing in comparison["missing"]]
    parts: list[RenderableType] = [comparison_table(comparison, width)]
    if notes:
        parts.append(Group(*(prose(f"{claim} {why}", bold=len(claim)) for claim, why in notes)))
    return parts


def _rewiring(rewiring: Data, width: int) -> list[RenderableType]:
    parts = [*_head(rewiring), plan_table(rewiring["plan"], width)]
    words = _source.source(rewiring).words
    return [*parts, source(rewiring, folded=False), prose(words, style=STYLES["quiet"])]


def _plan(plan: Data, width: int) -> list[RenderableType]:
    return [*_head(plan), *([plan_table(plan, width)] if plan["skips"] else [])]


def _skips_of(data: Data, width: int) -> list[RenderableType]:
    found = _skips.rows(data, width // 4)
    return [*_head(data), *([skips_table(_skips.HEAD, found)] if found else [])]


def _small(data: Data, width: int) -> list[RenderableType]:
    del width
    rows = [(label, written(value)) for label, value in fields(data)]
    return [*_head(data), pairs(rows)]
