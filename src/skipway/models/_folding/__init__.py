"""Fold a network for inference.

```
_verb: fold ─┬─ _dense_blocks: dense blocks and transitions become those of _dense_modules,
             │    which run as _dense._folded does
             ├─ a norm into the convolution that it alone reads
             └─ _packed: convolutions whose weights oneDNN need not rearrange in every call
```
"""

from __future__ import annotations

from ._verb import fold

__all__ = ["fold"]
