"""Rewire a network: which skips, where, and what the code looks like then.

```
rewire ── observe ─► _plan: runs of layers in series (_runs) to places (_streams, _places), or long
                       │    skips by resolution (_hourglass); _decay says which; _densify
                       └─► _placing: a Plan to places in this network, or what does not fit
                             └─► Changes (_added_skip, _dense_block) ─► _apply, by scope (_scope)
       a scope's forward ─┬─ _reading: read it with fx (_forward), hold it to the run (_faithful)
                          ├─ _edits: Join, Gather, Swap, which _statements writes into it
                          ├─ _attributes: what its new modules are called, and who builds them
                          ├─ _classes: that text as a subclass
                          └─ _relay: hooks, where it cannot be read
```
"""

from __future__ import annotations

from ._reconnect import reconnect
from ._skips import skips
from ._verb import rewire

__all__ = ["reconnect", "rewire", "skips"]
