"""9. Long skips.

To say for each pixel what it belongs to, a network needs two things: the whole picture, for which
an encoder makes images smaller and smaller, and the exact place, which is lost on that way. A U-Net
makes images larger again in a decoder, and at each level hands the encoder's features, which still
know the place, straight across.

        x -> encode1 ---------------- long skip ---------------> decode1 -> out
                | pool                                           ^ up
                +--> encode2 ---------- long skip ------> decode2
                        | pool                            ^ up
                        +-----------> bottom -------------+

UNet.forward(x)
    encode1, encode2, bottom and decode2 have a ReLU behind them, decode1 has none. On the way down
    use self.pool between them. On the way up use self.up, then concatenate along the channels: the
    encoder's features of that level first, then what comes from below.

    Odd sizes must work too: pooling 9 rows gives 4, and self.up makes 8 of them. Bring what comes
    from below to the encoder's size, by padding it with zeros (F.pad), say.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UNet(nn.Module):
    """A U-Net of two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.encode1 = nn.Conv2d(1, 4, 3, padding=1)
        self.encode2 = nn.Conv2d(4, 8, 3, padding=1)
        self.bottom = nn.Conv2d(8, 8, 3, padding=1)
        self.decode2 = nn.Conv2d(8 + 8, 4, 3, padding=1)
        self.decode1 = nn.Conv2d(4 + 4, 1, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return one number for each pixel, `(batch, 1, height, width)` to the same."""
        raise NotImplementedError
