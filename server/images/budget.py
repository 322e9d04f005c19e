"""Limits of one request's images: their number, their pixels and the time to fetch them."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from server.errors import ImageTooLarge
from server.telemetry.token_meter import UNMETERED, TokenMeter


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The operator's limits for the images of each request."""

    max_images: int
    max_pixels: int
    fetch_timeout_s: float

    def start_budget(self, meter: TokenMeter = UNMETERED) -> "ImageBudget":
        """Return the budget of a request that starts now, whose key's limits `meter` knows."""
        deadline = asyncio.get_running_loop().time() + self.fetch_timeout_s
        return ImageBudget(deadline, self.max_pixels, meter)


class MeasuredImage(Protocol):
    """An image whose size is known."""

    @property
    def pixels(self) -> int:
        """Pixels of the full image."""

    @property
    def frames(self) -> int:
        """Frames in the file."""


@dataclass(slots=True)
class ImageBudget:
    """The pixels and the time that one request may spend on its images, and notes for the client.

    `deadline` is when fetching ends, on the event loop's clock.
    """

    deadline: float
    max_pixels: int
    meter: TokenMeter = UNMETERED
    notes: list[str] = field(default_factory=list)
    spent_pixels: int = 0

    def spend(self, image: MeasuredImage, param: str) -> None:
        """Count an image. Raises `ImageTooLarge` if the images together have too many pixels.

        Cached images count like new ones: a limit must not depend on other requests.
        """
        self.spent_pixels += image.pixels
        if self.spent_pixels > self.max_pixels:
            raise ImageTooLarge(
                f"The request's images have at least {self.spent_pixels} pixels together;"
                f" the limit is {self.max_pixels}."
            )
        if image.frames > 1:
            self.notes.append(f"{param}: the first of {image.frames} frames was used")
