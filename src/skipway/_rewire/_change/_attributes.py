"""What the new modules of a scope are called: `self.fuse`, or `self.fuses[3]` of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

import skipway

from .._code._loops import pattern_of, progression
from ._change import Change, Part

_WIDTH = 100


@dataclass(frozen=True)
class Attribute:
    """One attribute of the user's class: a module, or a list of several with one role."""

    name: str
    parts: tuple[Part, ...]

    @property
    def is_list(self) -> bool:
        """Tell whether it holds several."""
        return len(self.parts) > 1

    @property
    def constructor(self) -> str:
        """Return the text that builds it, on several lines where one is too long."""
        if not self.is_list:
            return self.parts[0].constructor
        items = list(_items([part.constructor for part in self.parts]))
        if len(items) == 1 and items[0].startswith("*"):
            return f"nn.ModuleList({items[0][2:-1]})"
        line = f"nn.ModuleList([{', '.join(items)}])"
        if len(line) + len(f"        self.{self.name} = ") <= _WIDTH:
            return line
        inside = "".join(f"                {item},\n" for item in items)
        return f"nn.ModuleList(\n            [\n{inside}            ]\n        )"

    def build(self, model: nn.Module) -> nn.Module:
        """Build it from the very text that is shown, on the device of the layers it serves."""
        known = {name: each for part in self.parts for name, each in part.given.items()}
        built: nn.Module = eval(self.constructor, {"skipway": skipway, "nn": nn, **known})
        members = list(built.children()) if self.is_list else [built]
        for member, part in zip(members, self.parts, strict=True):
            like: torch.Tensor = model.get_parameter(part.like)
            member.to(like.device, like.dtype)
        return built


def attributes_of(scope: nn.Module, changes: Sequence[Change]) -> tuple[Attribute, ...]:
    """Return the attributes that a scope gets, one for each role, under free names."""
    roles: dict[str, list[Part]] = {}
    for change in changes:
        for part in change.parts():
            roles.setdefault(part.role, []).append(part)
    return tuple(
        Attribute(_free(scope, role, len(parts) > 1), tuple(parts)) for role, parts in roles.items()
    )


def names_of(
    attributes: Sequence[Attribute], changes: Sequence[Change], me: str
) -> list[list[str]]:
    """Return for each change the expressions of its parts: `self.fuses[3]`."""
    of_role = {attribute.parts[0].role: attribute for attribute in attributes}
    used = dict.fromkeys(of_role, 0)
    found = []
    for change in changes:
        names = []
        for part in change.parts():
            attribute = of_role[part.role]
            index = f"[{used[part.role]}]" if attribute.is_list else ""
            names.append(f"{me}.{attribute.name}{index}")
            used[part.role] += 1
        found.append(names)
    return found


def _free(scope: nn.Module, role: str, several: bool) -> str:
    name = f"{role}s" if several and not role.endswith("s") else role
    number = 2
    free = name
    while hasattr(scope, free):
        free, number = f"{name}_{number}", number + 1
    return free


def _items(texts: Sequence[str]) -> Iterator[str]:
    """Yield the items of a list display; what repeats or counts up three times or more, once."""
    at = 0
    while at < len(texts):
        end = _together(texts, at)
        if end - at < 3:
            yield texts[at]
            at += 1
        else:
            yield f"*({_comprehension(texts[at:end])})"
            at = end


def _together(texts: Sequence[str], at: int) -> int:
    """Return where the texts end that differ from the one at `at` in one number that counts up."""
    patterns = [pattern_of(text) for text in texts[at:]]
    end = 1
    while end < len(patterns) and patterns[end].template == patterns[0].template:
        rows = [pattern.numbers for pattern in patterns[max(0, end - 2) : end + 1]]
        steps = progression(rows)
        if steps is None or sum(map(bool, steps)) > 1 or not {0, 1} >= set(steps):
            break
        end += 1
    return at + end


def _comprehension(texts: Sequence[str]) -> str:
    patterns = [pattern_of(text) for text in texts]
    steps = progression([pattern.numbers for pattern in patterns]) or ()
    if not any(steps):
        return f"{texts[0]} for _ in range({len(texts)})"
    which = steps.index(1)
    start = patterns[0].numbers[which]
    numbers = [str(n) if at != which else "n" for at, n in enumerate(patterns[0].numbers)]
    pieces = patterns[0].template.split("\0")
    text = "".join(a + b for a, b in zip(pieces, [*numbers, ""], strict=True))
    return f"{text} for n in range({start}, {start + len(texts)})"
