"""torchvision, which the networks are held against.

Beside a torch it was not built for, it finds none of its compiled operators and stops in the middle
of its import. No network needs them, so they are declared, without a kernel.
"""

from __future__ import annotations

import warnings

import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        import torchvision
    except RuntimeError:
        operators = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

__all__ = ["torchvision"]
