"""The two libraries that a page may hold, each with its licence; `third_party` says where from."""

from __future__ import annotations

from importlib.resources import files

from markupsafe import Markup

CURVES, DRAWING = "uPlot.iife.min.js", "svg-pan-zoom.min.js"
CURVES_STYLE = "uPlot.min.css"


def script(name: str) -> Markup:
    """Return a library for a script element, under the licence that has to go with it."""
    licence = _read(f"{name.split('.')[0]}.LICENSE").strip()
    return Markup(f"/*!\n{licence}\n*/\n{_read(name)}\n")


def style(name: str) -> Markup:
    """Return a library's style sheet."""
    return Markup(_read(name))


def _read(name: str) -> str:
    return files("skipway.report").joinpath("third_party", name).read_text(encoding="utf-8")
