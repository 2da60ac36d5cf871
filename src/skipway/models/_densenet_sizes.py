"""The DenseNets of the paper, by name."""

from __future__ import annotations

from .._errors import SkipwayError
from ._dense._plan import Memory
from ._densenet import DenseNet


def densenet121(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    drop_rate: float = 0.0,
    memory: Memory = "fast",
    plain: bool = False,
) -> DenseNet:
    """Build DenseNet-121: blocks of 6, 12, 24 and 16 layers, `k = 32`; 7,978,856 parameters.

    Args:
        num_classes: how many outputs.
        in_channels: of the images.
        drop_rate: of the features a layer adds.
        memory: `"fast"`, `"lean"` or `"plain"`, see `DenseNet`.
        plain: build the twin without concatenations (7,976,330 parameters).

    Source: Huang et al. 2016, arXiv:1608.06993, table 1.

    Example:
        >>> net = densenet121(num_classes=10)
    """
    return DenseNet(
        32,
        (6, 12, 24, 16),
        initial=64,
        num_classes=num_classes,
        in_channels=in_channels,
        drop_rate=drop_rate,
        memory=memory,
        plain=plain,
    )


def densenet161(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    drop_rate: float = 0.0,
    memory: Memory = "fast",
    plain: bool = False,
) -> DenseNet:
    """Build DenseNet-161: blocks of 6, 12, 36 and 24 layers, `k = 48`; 28,681,000 parameters.

    Args:
        num_classes: how many outputs.
        in_channels: of the images.
        drop_rate: of the features a layer adds.
        memory: `"fast"`, `"lean"` or `"plain"`, see `DenseNet`.
        plain: build the twin without concatenations (28,683,850 parameters).

    Source: Huang et al. 2016, arXiv:1608.06993, table 1.

    Example:
        >>> net = densenet161(num_classes=10)
    """
    return DenseNet(
        48,
        (6, 12, 36, 24),
        initial=96,
        num_classes=num_classes,
        in_channels=in_channels,
        drop_rate=drop_rate,
        memory=memory,
        plain=plain,
    )


def densenet169(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    drop_rate: float = 0.0,
    memory: Memory = "fast",
    plain: bool = False,
) -> DenseNet:
    """Build DenseNet-169: blocks of 6, 12, 32 and 32 layers, `k = 32`; 14,149,480 parameters.

    Args:
        num_classes: how many outputs.
        in_channels: of the images.
        drop_rate: of the features a layer adds.
        memory: `"fast"`, `"lean"` or `"plain"`, see `DenseNet`.
        plain: build the twin without concatenations (14,150,456 parameters).

    Source: Huang et al. 2016, arXiv:1608.06993, table 1.

    Example:
        >>> net = densenet169(num_classes=10)
    """
    return DenseNet(
        32,
        (6, 12, 32, 32),
        initial=64,
        num_classes=num_classes,
        in_channels=in_channels,
        drop_rate=drop_rate,
        memory=memory,
        plain=plain,
    )


def densenet201(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    drop_rate: float = 0.0,
    memory: Memory = "fast",
    plain: bool = False,
) -> DenseNet:
    """Build DenseNet-201: blocks of 6, 12, 48 and 32 layers, `k = 32`; 20,013,928 parameters.

    Args:
        num_classes: how many outputs.
        in_channels: of the images.
        drop_rate: of the features a layer adds.
        memory: `"fast"`, `"lean"` or `"plain"`, see `DenseNet`.
        plain: build the twin without concatenations (20,016,724 parameters).

    Source: Huang et al. 2016, arXiv:1608.06993, table 1.

    Example:
        >>> net = densenet201(num_classes=10)
    """
    return DenseNet(
        32,
        (6, 12, 48, 32),
        initial=64,
        num_classes=num_classes,
        in_channels=in_channels,
        drop_rate=drop_rate,
        memory=memory,
        plain=plain,
    )


def densenet264(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    drop_rate: float = 0.0,
    memory: Memory = "fast",
    plain: bool = False,
) -> DenseNet:
    """Build DenseNet-264: blocks of 6, 12, 64 and 48 layers, `k = 32`; 33,337,704 parameters.

    Args:
        num_classes: how many outputs.
        in_channels: of the images.
        drop_rate: of the features a layer adds.
        memory: `"fast"`, `"lean"` or `"plain"`, see `DenseNet`.
        plain: build the twin without concatenations (33,339,552 parameters).

    Source: Huang et al. 2016, arXiv:1608.06993, table 1.

    Example:
        >>> net = densenet264(num_classes=10)
    """
    return DenseNet(
        32,
        (6, 12, 64, 48),
        initial=64,
        num_classes=num_classes,
        in_channels=in_channels,
        drop_rate=drop_rate,
        memory=memory,
        plain=plain,
    )


def cifar_densenet(
    depth: int,
    growth_rate: int,
    *,
    bottleneck: bool = False,
    reduction: float | None = None,
    num_classes: int = 10,
    in_channels: int = 3,
    drop_rate: float = 0.0,
    memory: Memory = "fast",
    plain: bool = False,
) -> DenseNet:
    """Build a DenseNet for small images: three blocks, a 3 × 3 stem.

    With `bottleneck=False` the plain DenseNet (L, k), whose transitions keep all channels; with
    `bottleneck=True` DenseNet-BC, whose transitions keep half of them.

    Args:
        depth: `L`, counted as in the paper: `3 n + 4`, or `6 n + 4` with bottlenecks.
        growth_rate: `k`, how many features a layer adds.
        bottleneck: whether a layer has a 1 × 1 convolution to `4 k` before its 3 × 3.
        reduction: which share of the channels a transition keeps, by default 0.5 with bottlenecks
            and 1 without.
        num_classes: how many outputs.
        in_channels: of the images.
        drop_rate: of the features a layer adds; the paper takes 0.2 without augmentation.
        memory: `"fast"`, `"lean"` or `"plain"`, see `DenseNet`.
        plain: build the twin without concatenations, see `DenseNet`.

    Parameters, for ten classes, and those of the plain twin:

    | | DenseNet | plain twin |
    |---|---|---|
    | (40, 12) | 1,019,722 | 1,019,954 |
    | (100, 12) | 6,979,642 | 6,979,146 |
    | (100, 24) | 27,249,082 | 27,247,552 |
    | BC (100, 12) | 769,162 | 769,062 |
    | BC (250, 24) | 15,324,406 | 15,326,142 |
    | BC (190, 40) | 25,624,430 | 25,625,022 |

    Raises:
        SkipwayError: no three blocks of whole layers give this depth.

    Source: Huang et al. 2016, arXiv:1608.06993, section 3 and table 2.

    Example:
        >>> net = cifar_densenet(100, 12, bottleneck=True)
        >>> sum(parameter.numel() for parameter in net.parameters())
        769162
    """
    per_layer = 2 if bottleneck else 1
    count, rest = divmod(depth - 4, 3 * per_layer)
    if rest or count < 1:
        nearest = 3 * per_layer * max(count, 1) + 4
        raise SkipwayError(
            f"A DenseNet{'-BC' if bottleneck else ''} for small images has a depth of "
            f"{3 * per_layer} n + 4, not {depth}; try {nearest}.",
            page="models#which-there-are",
        )
    return DenseNet(
        growth_rate,
        (count,) * 3,
        initial=2 * growth_rate if bottleneck else 16,
        bottleneck=4 if bottleneck else None,
        reduction=reduction if reduction is not None else (0.5 if bottleneck else 1.0),
        stem="cifar",
        num_classes=num_classes,
        in_channels=in_channels,
        drop_rate=drop_rate,
        memory=memory,
        plain=plain,
    )
