"""The text of a rewired class: what is shown, and what is run."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from ._statements import Line


@dataclass(frozen=True)
class Page:
    """Source as lines, with the imports it needs."""

    imports: frozenset[str]
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """Return it whole, as a module's text."""
        return "\n".join(line.text for line in _with_imports(self.imports, [self])) + "\n"


def class_page(
    base: type[nn.Module],
    signature: inspect.Signature,
    body: Sequence[Line],
    made: Mapping[str, str],
    imports: Iterable[str],
) -> Page:
    """Write a class with a new forward.

    Args:
        base: the user's class.
        signature: of its forward.
        body: the lines of the forward.
        made: constructors of the new modules by attribute name.
        imports: what the body needs.
    """
    lines = _head(base, made)
    if made:
        lines.append(Line(""))
    lines.append(Line(f"    def forward{_written(signature)}:"))
    needed = {*imports, *(["import skipway"] if made else [])}
    tensor = "Tensor, " if _names_tensor(signature) else ""
    return Page(frozenset({*needed, f"from torch import {tensor}nn"}), (*lines, *body))


def _head(base: type[nn.Module], made: Mapping[str, str]) -> list[Line]:
    kind = "nn.Sequential" if issubclass(base, nn.Sequential) else "nn.Module"
    lines = [Line(f"class {base.__name__}({kind}):")]
    if made:
        texts = [f"        self.{name} = {made[name]}" for name in made]
        lines += [*_init(base), *(Line(each, True) for text in texts for each in text.split("\n"))]
    return lines


def methods_page(
    base: type[nn.Module],
    methods: Sequence[Sequence[Line]],
    made: Mapping[str, str],
    imports: Iterable[str],
) -> Page:
    """Write a class with some of its methods.

    Args:
        base: the user's class.
        methods: the lines of each, indented as in a class.
        made: constructors of the new modules by attribute name.
        imports: what the methods need.
    """
    body = [line for method in methods for line in (Line(""), *method)]
    needed = {*imports, *(["import skipway"] if made else [])}
    head = _head(base, made)
    return Page(frozenset({*needed, "from torch import nn"}), (*head, *body[bool(made) ^ 1 :]))


def whole(pages: Sequence[tuple[str, Page]]) -> tuple[str, tuple[int, ...]]:
    """Return the source of all changed classes, and the numbers of its new lines.

    Args:
        pages: (path of the module, its source); equal sources are shown once.
    """
    paths: dict[Page, list[str]] = {}
    for path, page in pages:
        paths.setdefault(page, []).append(path)
    imports = {each for page in paths for each in page.imports}
    shown = [Page(page.imports, (*_where(at), *page.lines)) for page, at in paths.items()]
    lines = _with_imports(imports, shown)
    added = tuple(number for number, line in enumerate(lines, 1) if line.added)
    return "\n".join(line.text for line in lines) + "\n", added


def _where(paths: list[str]) -> list[Line]:
    named = ", ".join(path for path in paths if path)
    return [Line(f"# {named}")] if named else []


def _with_imports(imports: Iterable[str], pages: Sequence[Page]) -> list[Line]:
    wanted = set(imports)
    if "from torch import Tensor, nn" in wanted:
        wanted.discard("from torch import nn")
    first = [Line(each, each == "import skipway") for each in sorted(wanted, key=_order)]
    lines = list(first)
    for page in pages:
        lines += [*([Line(""), Line("")] if lines else []), *page.lines]
    return lines


def _order(line: str) -> tuple[bool, bool, str]:
    return "skipway" in line, line.startswith("from"), line


def _init(base: type[nn.Module]) -> list[Line]:
    if base.__init__ is nn.Sequential.__init__:
        return [
            Line("    def __init__(self, *args):"),
            Line("        super().__init__(*args)"),
        ]
    try:
        signature = inspect.signature(base.__init__)
    except (ValueError, TypeError):
        signature = inspect.Signature()
    plain = all(_is_plain(each.default) for each in signature.parameters.values())
    written = _written(signature) if plain and signature.parameters else "(self, *args, **kwargs)"
    return [
        Line(f"    def __init__{written}:"),
        Line("        ...  # as before, and then"),
    ]


def _is_plain(default: Any) -> bool:
    return (
        default is inspect.Parameter.empty
        or isinstance(default, (int, str, type(None)))
        or (isinstance(default, float) and math.isfinite(default))
    )


def _written(signature: inspect.Signature) -> str:
    """Write a signature; defaults are literals, annotations stay as the user wrote them."""
    parts: list[str] = []
    kinds = [each.kind for each in signature.parameters.values()]
    for at, each in enumerate(signature.parameters.values()):
        if each.kind is each.KEYWORD_ONLY and not {each.KEYWORD_ONLY, each.VAR_POSITIONAL} & set(
            kinds[:at]
        ):
            parts.append("*")
        parts.append(_parameter(each))
        last = at + 1 == len(kinds) or kinds[at + 1] is not each.POSITIONAL_ONLY
        if each.kind is each.POSITIONAL_ONLY and last:
            parts.append("/")
    returned = _annotation(signature.return_annotation)
    return f"({', '.join(parts)})" + (f" -> {returned}" if returned else "")


def _parameter(each: inspect.Parameter) -> str:
    star = "*" * ((each.kind is each.VAR_POSITIONAL) + 2 * (each.kind is each.VAR_KEYWORD))
    annotation = _annotation(each.annotation)
    text = f"{star}{each.name}" + (f": {annotation}" if annotation else "")
    if each.default is each.empty:
        return text
    default = str(each.default) if not isinstance(each.default, str) else _quoted(each.default)
    return text + (f" = {default}" if annotation else f"={default}")


def _quoted(value: str) -> str:
    return f'"{value}"' if '"' not in value and "\\" not in value else repr(value)


def _annotation(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return ""
    text = value if isinstance(value, str) else inspect.formatannotation(value)
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return ""
    return text


def _names_tensor(signature: inspect.Signature) -> bool:
    every = [*signature.parameters.values()]
    texts = [_annotation(each.annotation) for each in every]
    texts.append(_annotation(signature.return_annotation))
    names = (
        node.id
        for text in texts
        if text
        for node in ast.walk(ast.parse(text, mode="eval"))
        if isinstance(node, ast.Name)
    )
    return "Tensor" in names
