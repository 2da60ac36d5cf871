"""Dense blocks without copies: how a block and what follows it are computed.

`run` takes a block as a user sees it, `plan` decides what it may do in this call, and the files
below it do it: `_training` with its `_forward` and `_backward`, `_folded` for inference, `_stem`
and `_tail` for what stands before and behind a block.
"""
