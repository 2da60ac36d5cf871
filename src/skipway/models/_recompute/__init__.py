"""Convolutions, norms and ReLUs that keep only the convolutions' outputs for the backward.

Autograd keeps two tensors for each convolution: its output, which the norm's backward reads, and
what norm and ReLU make of it, which the next convolution's backward reads. The second is a scale,
a shift and a maximum away from the first, so it is computed again instead. Each file here has one
function of that kind with its backward; `why_plain` tells where they must not be used.
"""

from __future__ import annotations

from ._activation import channels_last
from ._norm_add_relu import norm_add_relu
from ._norm_relu_convolution import norm_relu_convolution
from ._norm_relu_pool import norm_relu_pool
from ._tail import norm_relu_convolution_norm_add_relu
from ._why_plain import why_plain

__all__ = [
    "channels_last",
    "norm_add_relu",
    "norm_relu_convolution",
    "norm_relu_convolution_norm_add_relu",
    "norm_relu_pool",
    "why_plain",
]
