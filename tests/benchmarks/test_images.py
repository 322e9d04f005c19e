"""Images of the load: valid, of the right size, unique and reproducible."""

import hashlib
import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.images import JpegImages, Pixels, PngImages, generate_noise
from benchmarks.requests import ImageSource
from server.images.decode.decode import DecodedImage, DecodeOptions, decode

WIDTH, HEIGHT, SIDE = 160, 120, 40
NUMBERS = range(64)
HASH = """
import sys
from hashlib import sha256
from pathlib import Path
from benchmarks.images import JpegImages, PngImages
for pictures in (JpegImages(160, 120, Path(sys.argv[1])), PngImages(40)):
    print(sha256(b"".join(pictures.build(number) for number in range(64))).hexdigest())
"""


@pytest.fixture(params=["jpeg", "png"])
def pictures(request: pytest.FixtureRequest, tmp_path: Path) -> ImageSource:
    """Return an image source of either format."""
    return JpegImages(WIDTH, HEIGHT, tmp_path) if request.param == "jpeg" else PngImages(SIDE)


def pixels(data: bytes) -> Pixels:
    """Decode an image."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and data of each chunk of a PNG, and check its checksum."""
    place = 8
    while place < len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        data = png[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", png, place + 8 + length) == (zlib.crc32(kind + data),)
        yield kind, data
        place += 12 + length


def test_different_numbers_differ_in_bytes_and_in_pixels(pictures: ImageSource) -> None:
    files = [pictures.build(number) for number in NUMBERS]
    assert len(set(files)) == len(NUMBERS)
    assert len({pixels(file).tobytes() for file in files}) == len(NUMBERS)


def test_a_number_always_gives_the_same_bytes(pictures: ImageSource) -> None:
    first = [pictures.build(number) for number in NUMBERS]
    assert [pictures.build(number) for number in reversed(NUMBERS)] == first[::-1]


def test_another_process_makes_the_same_bytes(tmp_path: Path) -> None:
    ours: tuple[ImageSource, ...] = (
        JpegImages(WIDTH, HEIGHT, tmp_path / "ours"),
        PngImages(SIDE),
    )
    expected = [
        hashlib.sha256(b"".join(each.build(number) for number in NUMBERS)).hexdigest()
        for each in ours
    ]
    command = [sys.executable, "-c", HASH, str(tmp_path / "theirs")]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert theirs.stdout.split() == expected


def test_the_server_accepts_them_whole(pictures: ImageSource) -> None:
    size = (WIDTH, HEIGHT) if isinstance(pictures, JpegImages) else (SIDE, SIDE)
    for number in (0, 1, 2**20 + 7):
        decoded = decode(pictures.build(number), DecodeOptions(24, "pad", WIDTH * HEIGHT))
        assert isinstance(decoded, DecodedImage)
        assert decoded.image_size == size


@pytest.mark.parametrize("size", [(160, 120), (120, 160), (97, 61)])
def test_photos_have_their_size(size: tuple[int, int], tmp_path: Path) -> None:
    with Image.open(io.BytesIO(JpegImages(*size, tmp_path).build(3))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", size)
        image.load()


def test_photos_are_near_what_they_were_made_of(tmp_path: Path) -> None:
    found = pixels(JpegImages(WIDTH, HEIGHT, tmp_path, bases=1).build(12345)).astype(float)
    assert np.abs(found - generate_noise(WIDTH, HEIGHT, 0)).mean() < 10
    assert np.abs(found - generate_noise(WIDTH, HEIGHT, 1)).mean() > 30


def test_photos_are_kept_between_runs(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    first = JpegImages(WIDTH, HEIGHT, folder, bases=2)
    made = {each: each.stat().st_mtime_ns for each in folder.iterdir()}
    again = JpegImages(WIDTH, HEIGHT, folder, bases=2)
    assert {each: each.stat().st_mtime_ns for each in folder.iterdir()} == made
    assert len(made) == 2
    assert all(pixels(each.read_bytes()).shape == (HEIGHT, WIDTH, 3) for each in made)
    assert first.build(5) == again.build(5)


@pytest.mark.parametrize("number", [0, 1, 8, 10**9])
def test_a_png_is_valid_to_its_last_checksum(number: int) -> None:
    png = PngImages(SIDE).build(number)
    parts = list(chunks(png))
    assert [kind for kind, _ in parts] == [b"IHDR", b"IDAT", b"IEND"]
    assert len(zlib.decompress(parts[1][1])) == SIDE * (1 + SIDE * 3)  # Adler-32 is compared
    Image.open(io.BytesIO(png)).verify()
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (SIDE, SIDE))


def test_pngs_differ_from_what_they_were_made_of_in_the_first_row_only() -> None:
    made_of = generate_noise(SIDE, SIDE, 0)
    found = pixels(PngImages(SIDE, bases=1).build(7))
    assert np.array_equal(found[1:], made_of[1:])
    assert not np.array_equal(found[0], made_of[0])


@pytest.mark.parametrize(("width", "height"), [(160, 120), (60, 200)])
def test_noise_has_shape_contrast_and_a_seed(width: int, height: int) -> None:
    one = generate_noise(width, height, 1)
    assert one.shape == (height, width, 3)
    assert one.std() > 20
    assert np.array_equal(one, generate_noise(width, height, 1))
    assert not np.array_equal(one, generate_noise(width, height, 2))


def test_large_numbers_differ_too(tmp_path: Path) -> None:
    photos = JpegImages(WIDTH, HEIGHT, tmp_path)
    assert photos.build(3) != photos.build(3 + 2**24)
