"""A record's images as pixel values, by the server's own preprocessing."""

import os
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
from training.tuning.errors import DataError, MissingImageError
from training.tuning.webdataset import TarMember

MAX_PIXELS = 1_000_000_000
# As much as the header of a JPEG nearly always takes, EXIF data and color profile included.
HEADER_BYTES = 1 << 16
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

    def find(self, image: str | TarMember) -> Path | TarMember:
        """Return an image's file, or its place in a shard. Raises `MissingImageError`."""
        if not self.has(image):
            raise MissingImageError(f"the image {self.folder / str(image)} is missing")
        return image if isinstance(image, TarMember) else self.folder / image

    def has(self, image: str | TarMember) -> bool:
        """Whether an image is there."""
        return isinstance(image, TarMember) or os.path.isfile(self.folder / image)

    def check(self, image: str | TarMember) -> None:
        """Raise `DataError` for a file that is missing or is not an image.

        The start of the file is nearly always enough to tell.
        """
        if read_image_size(_read(self.find(image), HEADER_BYTES), self._options) is None:
            self.read_size(image)

    def read_size(self, image: str | TarMember) -> Size:
        """Return an image's upright (width, height), from its header. Raises `DataError`."""
        file = self.find(image)
        data = _read(file, HEADER_BYTES)
        size = read_image_size(data, self._options) if data.startswith(JPEG_START) else None
        if size is None:
            size = read_image_size(_read(file), self._options)
        if size is None:
            raise DataError(
                f"the image {file} cannot be read: it is not an image, or its header is damaged"
            )
        return size

    def read(self, image: str | TarMember) -> PreparedImage:
        """Return an image. Raises `DataError`."""
        file = self.find(image)
        decoded = decode(_read(file), self._options)
        if not isinstance(decoded, DecodedImage):
            raise DataError(f"the image {file} cannot be read: {decoded.fault}")
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


def _read(file: Path | TarMember, max_bytes: int = -1) -> bytes:
    """Return a file's bytes, or the first `max_bytes` of them. Raises `DataError`."""
    try:
        if isinstance(file, TarMember):
            return file.read(max_bytes)
        with file.open("rb") as opened:
            return opened.read(max_bytes)
    except OSError as error:
        raise DataError(f"the image {file} cannot be read: {error.strerror}") from None
