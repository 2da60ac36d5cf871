"""What to do about the errors of Python and PyTorch that learners meet most."""

from __future__ import annotations

import re

_ADVICE = (
    (
        r"does not require grad|One of the differentiated Tensors does not require grad",
        "PyTorch only keeps track of a tensor that asks for it: call .requires_grad_() on it "
        "before you compute with it.",
    ),
    (
        r"backward through the graph a second time",
        "The history of an earlier step is still attached. Use .detach() on the tensor before the "
        "next step.",
    ),
    (
        r"leaf Variable that requires grad is being used in an in-place",
        "Make a new tensor (w = w - ...), or write into it under torch.no_grad().",
    ),
    (
        r"modified by an inplace operation",
        "Something was overwritten (+=, relu_, inplace=True) that the backward still needs. Make a "
        "new tensor instead.",
    ),
    (
        r"NoneType",
        "Something is None: a function without a return, or a .grad that no backward has filled.",
    ),
    (
        r"must be tuple of Tensors",
        "It takes a list: torch.cat([a, b], dim=1).",
    ),
    (
        r"to have \d+ channels, but got",
        "A convolution was given a tensor with other channels than it was made for. Print the "
        ".shape of what goes into it: the channels are the second number.",
    ),
    (
        r"Sizes of tensors must match|must match the size of tensor|shapes cannot be multiplied|"
        r"Expected size for|not compatible|size mismatch|inconsistent tensor size",
        "Two shapes do not fit. Print the .shape of both, right above this line.",
    ),
    (
        r"positional arguments? but \d|missing \d+ required positional|unexpected keyword",
        "Keep the arguments that each function came with; the check passes exactly those.",
    ),
    (
        r"cannot be converted to Scalar|can only be called on|only one element tensors",
        "This tensor holds more than one number. Is a .mean(), .norm() or .sum() missing?",
    ),
)


def advice(text: str) -> str:
    """Return what to do about an error with this text, or nothing.

    Example:
        >>> advice("cat(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
        'It takes a list: torch.cat([a, b], dim=1).'
    """
    return next((say for pattern, say in _ADVICE if re.search(pattern, text)), "")
