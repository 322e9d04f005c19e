"""What the images of one request may take together: how many, how large, how long to fetch."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from server.errors import ImageTooLarge


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an operator grants each request."""

    max_images: int
    max_pixels: int
    fetch_timeout_s: float

    def budget(self) -> "ImageBudget":
        """Return what a request that begins now may spend."""
        deadline = asyncio.get_running_loop().time() + self.fetch_timeout_s
        return ImageBudget(deadline, self.max_pixels)


class MeasuredImage(Protocol):
    """What a budget needs to know of an image."""

    @property
    def pixels(self) -> int:
        """Pixels of the picture, known or decoded."""

    @property
    def frames(self) -> int:
        """Frames that the file holds."""


@dataclass(slots=True)
class ImageBudget:
    """What is left of one request's limits, and what its sender should know of its images.

    `deadline` is when fetching ends, on the event loop's clock.
    """

    deadline: float
    max_pixels: int
    notes: list[str] = field(default_factory=list)
    spent_pixels: int = 0

    def spend(self, picture: MeasuredImage, param: str) -> None:
        """Count an image. Raises `ImageTooLarge` when the images together have too many pixels.

        Known images count as new ones do: what a request may hold depends on nobody else's.
        """
        self.spent_pixels += picture.pixels
        if self.spent_pixels > self.max_pixels:
            raise ImageTooLarge(
                f"The request's images have at least {self.spent_pixels} pixels together;"
                f" the limit is {self.max_pixels}."
            )
        if picture.frames > 1:
            self.notes.append(f"{param}: the first of {picture.frames} frames was used")
