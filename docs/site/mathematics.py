"""Formulas become MathML while the site is built, so that a page needs no script and no font."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: object) -> str:
    """Replace every formula that arithmatex has marked."""
    return FORMULA.sub(_mathml, content)


def _mathml(match: re.Match[str]) -> str:
    source = html.unescape(match[3]).strip()
    return convert(source, display="inline" if match[2] == "(" else "block")
