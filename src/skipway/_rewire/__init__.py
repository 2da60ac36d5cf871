"""Rewire a network: which skips, where, and what the code looks like then.

```
rewire ── observe ─► _plan: chains to places to a Plan (_places, _shortcuts, _decay)
                       └─► _apply, for each forward ─┬─ _forward: read it (fx), _faithful: check it
                                                     ├─ _statements: write it, with the skips
                                                     ├─ _classes: that text as a subclass
                                                     └─ _relay: hooks, where it cannot be read
```
"""

from __future__ import annotations

from ._skips import skips
from ._verb import rewire

__all__ = ["rewire", "skips"]
