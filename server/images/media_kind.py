"""What errors of fetching and decoding are to clients: errors about an image, or about a video."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from server.errors import (
    ApiError,
    ImageCorrupt,
    ImageError,
    ImageFetchFailed,
    ImageTooLarge,
    ImageUrlForbidden,
    ImageUrlInvalid,
    VideoCorrupt,
    VideoError,
    VideoFetchFailed,
    VideoTooLarge,
    VideoUrlForbidden,
    VideoUrlInvalid,
)
from server.images.decode.workers import DecodeCrashed, DecodeTimedOut
from server.images.fetch.errors import (
    DataTooLarge,
    FetchError,
    FetchFailed,
    UrlForbidden,
    UrlInvalid,
)

SMALLER_VIDEO: Final = "send smaller or fewer frames, or a part of the video"
REENCODE_VIDEO: Final = "encode it anew, as H.264 in MP4 for example"


@dataclass(frozen=True, slots=True)
class MediaKind:
    """Images or videos: the `base` of their errors, and the texts that differ.

    `timed_out` stands before the limit of a decode, `timeout_remedy` after it. `frames_note` tells
    that not all frames are used.
    """

    name: str
    base: type[ApiError]
    url_invalid: type[ApiError]
    url_forbidden: type[ApiError]
    fetch_failed: type[ApiError]
    too_large: type[ApiError]
    corrupt: type[ApiError]
    timed_out: str
    timeout_remedy: str
    crashed: str
    frames_note: str

    @contextmanager
    def translate_fetch_errors(self) -> Iterator[None]:
        """Raise what stops a fetch as an error of this kind."""
        try:
            yield
        except FetchError as error:
            kinds = {
                UrlInvalid: self.url_invalid,
                UrlForbidden: self.url_forbidden,
                FetchFailed: self.fetch_failed,
                DataTooLarge: self.too_large,
            }
            raise kinds[type(error)](str(error)) from None

    @contextmanager
    def translate_worker_errors(self) -> Iterator[None]:
        """Raise what ends a decode worker as an error of this kind."""
        try:
            yield
        except DecodeTimedOut as error:
            raise self.too_large(
                f"{self.timed_out} within {error}; {self.timeout_remedy}."
            ) from None
        except DecodeCrashed:
            raise self.corrupt(self.crashed) from None


IMAGE: Final = MediaKind(
    "image",
    ImageError,
    ImageUrlInvalid,
    ImageUrlForbidden,
    ImageFetchFailed,
    ImageTooLarge,
    ImageCorrupt,
    timed_out="The image could not be decoded",
    timeout_remedy="send a smaller one, or encode it anew, as a plain JPEG for example",
    crashed="The image could not be decoded.",
    frames_note="the first of {total} frames was used",
)
VIDEO: Final = MediaKind(
    "video",
    VideoError,
    VideoUrlInvalid,
    VideoUrlForbidden,
    VideoFetchFailed,
    VideoTooLarge,
    VideoCorrupt,
    timed_out="The video's frames could not be decoded",
    timeout_remedy=SMALLER_VIDEO,
    crashed=f"Decoding the video failed; {REENCODE_VIDEO}.",
    frames_note="{used} of {total} frames were used",
)
