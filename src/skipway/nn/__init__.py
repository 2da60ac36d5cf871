"""Building blocks of skip connections."""

from __future__ import annotations

from ._fuse import Fuse
from ._shortcut import Shortcut

__all__ = ["Fuse", "Shortcut"]
