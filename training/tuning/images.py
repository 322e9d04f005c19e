"""A record's images as pixel values, by the server's own preprocessing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llava_spec.image_settings import AspectRatio, Channels, compute_pad_color
from server.images.decode.decode import DecodedImage, DecodeOptions, decode
from training.tuning.errors import DataError
from training.tuning.webdataset import TarMember

MAX_PIXELS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ImageReader:
    """Reads images below `folder` as (3, size, size) float32, normalised as the tower needs it."""

    folder: Path
    size: int
    aspect_ratio: AspectRatio
    mean: Channels
    std: Channels

    def find(self, image: str | TarMember) -> Path | TarMember:
        """Return an image's file, or its place in a shard. Raises `DataError` if it is missing."""
        if isinstance(image, TarMember):
            return image
        path = self.folder / image
        if not path.is_file():
            raise DataError(f"the image {path} is missing")
        return path

    def read(self, image: str | TarMember) -> Tensor:
        """Return an image's pixel values. Raises `DataError`."""
        file = self.find(image)
        data = file.read() if isinstance(file, TarMember) else file.read_bytes()
        decoded = decode(data, self._options)
        if not isinstance(decoded, DecodedImage):
            raise DataError(f"the image {file} cannot be read: {decoded.fault}")
        return self.normalise(decoded.views[0])

    def normalise(self, view: np.ndarray) -> Tensor:
        """Return a uint8 view (size, size, 3) as pixel values (3, size, size)."""
        pixels = torch.from_numpy(np.array(view)).permute(2, 0, 1).float() / 255
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (self.mean, self.std))
        return (pixels - mean) / std

    @property
    def _options(self) -> DecodeOptions:
        return DecodeOptions(
            size=self.size,
            aspect_ratio=self.aspect_ratio,
            max_pixels=MAX_PIXELS,
            pad_color=compute_pad_color(self.mean),
            fast_jpeg=False,
        )
