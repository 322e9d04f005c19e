"""Limits of one request's images and videos: number, pixels, tokens, time to fetch them."""

import asyncio
from dataclasses import dataclass, field

from server.errors import ContextLengthExceeded
from server.images.media_kind import MediaKind
from server.images.vision.cache import MeasuredMedia
from server.telemetry.token_meter import UNMETERED, TokenMeter


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """The operator's limits for the images and videos of each request, and the model's context."""

    max_images: int
    max_pixels: int
    fetch_timeout_s: float
    max_model_len: int
    max_videos: int = 1

    def start_budget(self, meter: TokenMeter = UNMETERED) -> "MediaBudget":
        """Return the budget of a request that starts now, whose key's limits `meter` knows."""
        deadline = asyncio.get_running_loop().time() + self.fetch_timeout_s
        return MediaBudget(deadline, self.max_pixels, self.max_model_len, meter)


@dataclass(slots=True)
class MediaBudget:
    """The pixels, tokens and time that one request may spend on media, and notes for the client.

    `deadline` is when fetching ends, on the event loop's clock. `max_model_len` is the context in
    tokens, which must also hold the text and the answer.
    """

    deadline: float
    max_pixels: int
    max_model_len: int
    meter: TokenMeter = UNMETERED
    notes: list[str] = field(default_factory=list)
    spent_pixels: int = 0
    spent_tokens: int = 0

    def spend(self, media: MeasuredMedia, kind: MediaKind, param: str) -> None:
        """Count an image or video, and note frames that are not used. Raises as `spend_pixels`.

        Cached ones count like new ones: a limit must not depend on other requests.
        """
        self.spend_pixels(media.pixels, kind)
        if media.num_frames < media.total_frames:
            note = kind.frames_note.format(used=media.num_frames, total=media.total_frames)
            self.notes.append(f"{param}: {note}")

    def check_context(self, num_tokens: int) -> None:
        """Raise `ContextLengthExceeded` if that many tokens leave no room for an answer.

        Media are never cut, so truncation would not help.
        """
        if num_tokens >= self.max_model_len:
            raise ContextLengthExceeded(
                f"The images and videos have at least {num_tokens} tokens; the model's context is"
                f" {self.max_model_len} tokens and must also hold the text and the answer. Send"
                " fewer images or videos, or ask for fewer frames. Smaller images or 'detail':"
                " 'low' help only where the model splits an image into tiles.",
                "messages",
            )

    def spend_tokens(self, num_tokens: int) -> None:
        """Count the tokens of an image or video, here and for the request's key.

        Raises `ContextLengthExceeded` if those so far do not fit together, or `TooManyRequests`.
        """
        self.spent_tokens += num_tokens
        self.check_context(self.spent_tokens)
        self.meter.charge_image_tokens(num_tokens)

    def spend_pixels(self, pixels: int, kind: MediaKind) -> None:
        """Count pixels of an image or video. Raises the kind's `too_large` if all have too many."""
        self.spent_pixels += pixels
        if self.spent_pixels > self.max_pixels:
            raise kind.too_large(
                f"The request's images and frames of videos have at least {self.spent_pixels}"
                f" pixels together; the limit is {self.max_pixels}. Send smaller or fewer"
                " ones, or ask for fewer frames."
            )


@dataclass(slots=True)
class Charge:
    """Counts one image or video of a request, once.

    It is made before the vision tower runs, or after another request has had it encoded. `param`
    names the image or video. It `is_refused` if the budget does not suffice.
    """

    budget: MediaBudget
    kind: MediaKind
    param: str
    is_made: bool = False
    is_refused: bool = False

    def make(self, media: MeasuredMedia, num_tokens: int) -> None:
        """Count it, unless that is done. Raises as `MediaBudget` does."""
        if not self.is_made:
            self.is_made = self.is_refused = True
            self.budget.spend(media, self.kind, self.param)
            self.budget.spend_tokens(num_tokens)
            self.is_refused = False
