"""Rewire a network: which skips, where, and what the code looks like then.

```
rewire ── observe ─► _places: chains to a Plan ─► _apply ─┬─ _scopes: who calls what
                                                          ├─ _read: the scope's forward (fx)
                                                          ├─ _write: the same as Python, with skips
                                                          ├─ _classes: that Python as a subclass
                                                          └─ _wires: hooks where fx cannot read
```
"""

from __future__ import annotations

from ._rewire import rewire
from ._skips import skips

__all__ = ["rewire", "skips"]
