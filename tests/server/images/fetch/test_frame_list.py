"""Frames that a client has chosen itself, in a `data:video/jpeg` URL."""

import base64

import pytest

from server.images.fetch.errors import DataTooLarge, UrlInvalid
from server.images.fetch.fetcher import Fetcher
from server.images.fetch.frame_list import read_frame_list
from tests.server.loopback import build_loopback_options
from tests.server.pictures import encode_image, make_noise

RED, BLUE = (encode_image(make_noise(8, 8, seed), "JPEG") for seed in range(2))


def build_frame_list(*frames: bytes) -> str:
    """Return the URL of a list of frames."""
    return "data:video/jpeg;base64," + ",".join(base64.b64encode(each).decode() for each in frames)


async def test_a_list_of_frames_is_joined() -> None:
    assert await read_frame_list(build_frame_list(RED, BLUE), 10_000) == RED + BLUE
    padded = build_frame_list(RED, BLUE).replace("data:video/jpeg", " data:Video/JPEG")
    assert await read_frame_list(padded, 10_000) == RED + BLUE


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (build_frame_list(RED, BLUE[:-2]), "Frame 2 of the data URL is not a whole JPEG"),
        (build_frame_list(RED, b"GIF89a"), "Frame 2 of the data URL is not a whole JPEG"),
        (build_frame_list(RED) + ",", "Frame 2 of the data URL is not a whole JPEG"),
        (build_frame_list(RED) + ",/9j?", "The base64 of frame 2 of the data URL is broken"),
        (build_frame_list(*[RED] * 1025), "more than 1024 frames"),
        ("data:video/jpeg;base64," + "," * 10**6, "more than 1024 frames"),
    ],
    ids=["cut", "gif", "empty", "base64", "many", "commas"],
)
async def test_bad_lists_of_frames_are_refused(url: str, reason: str) -> None:
    with pytest.raises(UrlInvalid, match=reason):
        await read_frame_list(url, 10**7)


async def test_frames_are_bounded_together() -> None:
    with pytest.raises(DataTooLarge):
        await read_frame_list(build_frame_list(RED, BLUE), len(RED) + len(BLUE) - 1)


async def test_an_image_is_no_list_of_frames() -> None:
    """All but the first would be left out without a word."""
    fetcher = Fetcher(build_loopback_options(max_bytes=10_000, timeout_s=1.0))
    assert await fetcher.fetch(build_frame_list(RED), "") == RED
    with pytest.raises(UrlInvalid, match="base64 is broken"):
        await fetcher.fetch(build_frame_list(RED, BLUE), "")
    await fetcher.close()
