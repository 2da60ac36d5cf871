"""`Verdict`: what came of running a learner's answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ._picture import Picture

Kind = Literal["right", "wrong", "unwritten", "error"]


@dataclass(frozen=True)
class Verdict:
    """Right or not, and why; `line` is the learner's line that it is about, where there is one."""

    kind: Kind
    message: str = ""
    line: int | None = None
    printed: str = ""
    picture: Picture | None = None

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.kind == "right"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Verdict:
        """Return what `to_dict` was made of."""
        picture = data.pop("picture")
        return cls(**data, picture=Picture(**picture) if picture else None)
