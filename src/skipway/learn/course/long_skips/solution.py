"""9. Long skips: one way to write it."""

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
        fine = torch.relu(self.encode1(x))
        coarse = torch.relu(self.encode2(self.pool(fine)))
        below = torch.relu(self.bottom(self.pool(coarse)))
        below = torch.relu(self.decode2(self.join(coarse, below)))
        return self.decode1(self.join(fine, below))

    def join(self, skip: Tensor, below: Tensor) -> Tensor:
        """Return both along the channels, `below` made as large as `skip`."""
        below = self.up(below)
        rows, columns = skip.shape[2] - below.shape[2], skip.shape[3] - below.shape[3]
        return torch.cat([skip, F.pad(below, (0, columns, 0, rows))], dim=1)
