"""What the new modules of a scope are called: `self.fuse`, or `self.fuses[3]` of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import nn

import skipway

from ._change import Change, Part

_WIDTH = 88
_PLURALS = {"fuse": "fuses"}


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
        texts = [part.constructor for part in self.parts]
        if len(set(texts)) == 1:
            return f"nn.ModuleList({texts[0]} for _ in range({len(texts)}))"
        items = list(_shortened(texts))
        inside = "".join(f"            {item},\n" for item in items)
        return f"nn.ModuleList([\n{inside}        ])"

    def build(self, model: nn.Module) -> nn.Module:
        """Build it from the very text that is shown, on the device of the layers it serves."""
        built: nn.Module = eval(self.constructor, {"skipway": skipway, "nn": nn})
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
    name = (_PLURALS.get(role, f"{role}s")) if several else role
    number = 2
    free = name
    while hasattr(scope, free):
        free, number = f"{name}_{number}", number + 1
    return free


def _shortened(texts: Sequence[str]) -> list[str]:
    """Return the items of a list display: what repeats three times or more stands once."""
    found: list[str] = []
    for text, group in groupby(texts):
        count = len(list(group))
        found += [f"*({text} for _ in range({count}))"] if count > 2 else [text] * count
    return found
