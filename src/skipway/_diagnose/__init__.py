"""Where does the gradient die, and why?

```
diagnose ─► _check (is there something to diagnose?)
         ─► one measured pass (_trace._probe), one step on a copy (_step) ─► _facts
         ─► _verdict: the rules in order; a few steps on a copy (_trial) where they tell more
```
"""

from __future__ import annotations

from ._examine import diagnose
from ._watch._verb import watch
from ._watch._watching import Watch

__all__ = ["Watch", "diagnose", "watch"]
