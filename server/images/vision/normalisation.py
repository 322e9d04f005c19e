"""Rescales and normalises pixels on the tower's device."""

import torch
from torch import Tensor, nn

from llava_spec.image_settings import Channels


class Normalisation(nn.Module):
    """Mean and standard deviation of channels, in float32 as in CLIP's preprocessing."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Channels, std: Channels) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            channels = torch.tensor(values, dtype=torch.float32, device="cpu").view(3, 1, 1)
            self.register_buffer(name, channels, persistent=False)

    def forward(self, views: Tensor) -> Tensor:
        """Turn uint8 views (views, size, size, 3) into pixel_values (views, 3, size, size)."""
        pixels = views.permute(0, 3, 1, 2).float() / 255
        return (pixels - self.mean) / self.std
