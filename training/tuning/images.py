"""A record's images as pixel values, by the server's own preprocessing."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from llava_spec.anyres import Size
from llava_spec.image_settings import AspectRatio, Channels, compute_pad_color
from server.images.decode.decode import (
    DecodedImage,
    DecodeFailure,
    DecodeFault,
    DecodeOptions,
    decode,
)
from server.images.decode.image_processor import Pixels
from server.images.decode.image_size import measure_image
from training.tuning.errors import DataError, MissingImageError
from training.tuning.webdataset import TarMember

MAX_PIXELS = 1_000_000_000
# As much as the header of a JPEG nearly always takes, EXIF data and color profile included.
HEADER_BYTES = 1 << 16
JPEG_START = b"\xff\xd8"
REASONS: Final[Mapping[DecodeFault, str]] = {
    DecodeFault.FORMAT: "it is not an image, or its header is damaged",
    DecodeFault.CORRUPT: "it is damaged",
    DecodeFault.PIXELS: f"it has more than {MAX_PIXELS:,} pixels",
    DecodeFault.SHAPE: "one of its sides is far longer than the other",
    DecodeFault.MEMORY: "there is not enough memory to decode it",
}


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
        start = _read(self.find(image), HEADER_BYTES)
        if isinstance(measure_image(start, self._options), DecodeFailure):
            self.read_size(image)

    def read_size(self, image: str | TarMember) -> Size:
        """Return an image's upright (width, height), from its header. Raises `DataError`."""
        file = self.find(image)
        start = _read(file, HEADER_BYTES)
        if start.startswith(JPEG_START):
            size = measure_image(start, self._options)
            if not isinstance(size, DecodeFailure):
                return size
        size = measure_image(_read(file), self._options)
        if isinstance(size, DecodeFailure):
            raise _refuse(file, size)
        return size

    def read(self, image: str | TarMember) -> PreparedImage:
        """Return an image. Raises `DataError`."""
        file = self.find(image)
        decoded = decode(_read(file), self._options)
        if not isinstance(decoded, DecodedImage):
            raise _refuse(file, decoded)
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
            # Limits that protect a server from its clients. The check, which reads the start of a
            # file, would not see that they are exceeded.
            max_frames=sys.maxsize,
            max_scans=sys.maxsize,
        )


def _refuse(file: Path | TarMember, failure: DecodeFailure) -> DataError:
    reason = REASONS.get(failure.fault, failure.fault)
    return DataError(f"the image {file} cannot be read: {reason}")


def _read(file: Path | TarMember, max_bytes: int = -1) -> bytes:
    """Return a file's bytes, or the first `max_bytes` of them. Raises `DataError`."""
    try:
        if isinstance(file, TarMember):
            return file.read(max_bytes)
        with file.open("rb") as opened:
            return opened.read(max_bytes)
    except OSError as error:
        raise DataError(f"the image {file} cannot be read: {error.strerror}") from None
