"""JPEGs whose scans would take long are refused before a pixel is decoded; others are not."""

from dataclasses import replace

import pytest

from server.images.decode.decode import DecodedImage, DecodeFailure, DecodeFault, decode
from server.images.decode.jpeg_scans import END_OF_IMAGE, MAX_SCANS, START_OF_SCAN
from tests.server.images.decode.decoding import PAD, expect_failure
from tests.server.pictures import encode_image, make_photo

JPEG = encode_image(make_photo(60, 40), "JPEG", progressive=True)
NUM_SCANS = JPEG.count(START_OF_SCAN)


def repeat_last_scan(count: int) -> bytes:
    """Return the JPEG with its last scan, and that scan's tables, `count` times more."""
    tables = JPEG.rindex(b"\xff\xc4", 0, JPEG.rindex(START_OF_SCAN))
    return JPEG[:-2] + JPEG[tables:-2] * count + END_OF_IMAGE


def test_the_limit_on_scans_is_exact() -> None:
    assert isinstance(decode(repeat_last_scan(MAX_SCANS - NUM_SCANS), PAD), DecodedImage)
    refused = expect_failure(repeat_last_scan(MAX_SCANS - NUM_SCANS + 1))
    assert refused == DecodeFailure(DecodeFault.SCANS, 60, 40)


def test_the_limit_on_scans_may_be_left_out() -> None:
    options = replace(PAD, max_scans=10**9)
    assert isinstance(decode(repeat_last_scan(MAX_SCANS), options), DecodedImage)


@pytest.mark.parametrize("progressive", [False, True])
def test_what_looks_like_scans_elsewhere_does_not_count(progressive: bool) -> None:
    lookalikes = START_OF_SCAN * 1000
    data = encode_image(
        make_photo(60, 40),
        "JPEG",
        progressive=progressive,
        comment=lookalikes,
        restart_marker_rows=1,
    )
    assert isinstance(decode(data + lookalikes, PAD), DecodedImage)


@pytest.mark.parametrize("marker", [b"\xff\x01", b"\xff\xd0"])
def test_scans_behind_a_marker_without_a_length_count(marker: bytes) -> None:
    scans = repeat_last_scan(MAX_SCANS)
    start = len(JPEG) - 2
    # Read as a length, 0xFFFF would lead behind all scans.
    hidden = scans[:start] + marker + b"\xff\xff" + scans[start:-2] + b"\xff" * 65535 + END_OF_IMAGE
    assert expect_failure(hidden).fault is DecodeFault.SCANS


def test_scans_of_a_jpeg_without_an_end_count() -> None:
    assert expect_failure(repeat_last_scan(MAX_SCANS)[:-2]).fault is DecodeFault.SCANS
