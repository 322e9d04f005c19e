"""The check of an image agrees with reading it, and says what is wrong with it."""

from dataclasses import replace
from pathlib import Path

import pytest

from server.images.decode.decode import DecodeFailure, DecodeFault
from server.images.decode.jpeg_scans import MAX_SCANS
from tests.server.images.decode.test_jpeg_scans import repeat_last_scan
from tests.server.pictures import encode_image, make_photo
from tests.training.tuning.fixtures import make_reader
from training.tuning import images
from training.tuning.errors import DataError

COLORS = [make_photo(8, 8), make_photo(8, 8).rotate(90)]
FRAMES = encode_image(COLORS[0], "GIF", save_all=True, append_images=COLORS[::-1] * 501)


@pytest.mark.parametrize("data", [repeat_last_scan(MAX_SCANS), FRAMES])
def test_limits_of_a_server_are_not_those_of_training(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    reader = replace(make_reader("pad"), folder=tmp_path)
    reader.check("a")
    assert reader.read("a").size == reader.read_size("a")


@pytest.mark.parametrize(
    ("ratio", "limit", "reason"),
    [
        ("pad", 100, "it has more than 1,000,000,000 pixels"),
        ("square", 900, "one of its sides is far longer than the other"),
    ],
)
def test_an_image_beyond_a_limit_is_told_by_the_check_and_by_reading(
    ratio: str, limit: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", limit)
    (tmp_path / "a.png").write_bytes(encode_image(make_photo(60, 10), "PNG"))
    reader = replace(make_reader(ratio), folder=tmp_path)
    for read in (reader.check, reader.read_size, reader.read):
        with pytest.raises(DataError) as caught:
            read("a.png")
        assert str(caught.value) == f"the image {tmp_path / 'a.png'} cannot be read: {reason}"


def test_an_image_that_memory_is_too_short_for_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "measure_image", lambda *_: DecodeFailure(DecodeFault.MEMORY))
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"a\.png cannot be read: there is not enough memory"):
        replace(make_reader("pad"), folder=tmp_path).check("a.png")
