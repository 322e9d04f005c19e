"""A record's images as pixel values, by the server's own preprocessing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llava_spec.anyres import Size
from llava_spec.image_settings import AspectRatio, Channels, compute_pad_color
from server.images.decode.decode import DecodedImage, DecodeOptions, decode
from server.images.decode.image_processor import Pixels
from server.images.decode.image_size import read_image_size
from training.tuning.record_files import DataError

MAX_PIXELS = 1_000_000_000
# As much of a JPEG as its header nearly always takes, EXIF data and color profile included.
JPEG_HEADER_BYTES = 1 << 16
JPEG_START = b"\xff\xd8"


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image's pixel values, (views, 3, size, size), and its own upright (width, height)."""

    pixel_values: Tensor
    size: Size


@dataclass(frozen=True, slots=True)
class ImageReader:
    """Reads images below `folder` as float32, normalised as the tower needs it.

    `anyres` with `grid_pinpoints` makes a base view and tiles, all else one view.
    """

    folder: Path
    size: int
    aspect_ratio: AspectRatio
    mean: Channels
    std: Channels
    grid_pinpoints: tuple[Size, ...] = ()

    def find(self, name: str) -> Path:
        """Return an image's file. Raises `DataError` if there is none below the folder."""
        path = self.folder / name
        if not path.is_file():
            raise DataError(f"the image {path} is missing")
        return path

    def read_size(self, name: str) -> Size:
        """Return an image's upright (width, height), from its header. Raises `DataError`."""
        path = self.find(name)
        with path.open("rb") as file:
            data = file.read(JPEG_HEADER_BYTES)
            size = read_image_size(data, self._options) if data.startswith(JPEG_START) else None
            if size is None:
                size = read_image_size(data + file.read(), self._options)
        if size is None:
            raise DataError(f"the image {path} cannot be read: its header is damaged")
        return size

    def read(self, name: str) -> PreparedImage:
        """Return an image. Raises `DataError`."""
        path = self.find(name)
        decoded = decode(path.read_bytes(), self._options)
        if not isinstance(decoded, DecodedImage):
            raise DataError(f"the image {path} cannot be read: {decoded.fault}")
        return PreparedImage(self.normalise(decoded.views), decoded.image_size)

    def normalise(self, views: Pixels) -> Tensor:
        """Return uint8 views (views, size, size, 3) as pixel values (views, 3, size, size)."""
        pixels = torch.from_numpy(np.array(views)).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (self.mean, self.std))
        return (pixels - mean) / std

    @property
    def _options(self) -> DecodeOptions:
        return DecodeOptions(
            size=self.size,
            aspect_ratio=self.aspect_ratio,
            max_pixels=MAX_PIXELS,
            grid_pinpoints=self.grid_pinpoints,
            pad_color=compute_pad_color(self.mean),
            fast_jpeg=False,
        )
