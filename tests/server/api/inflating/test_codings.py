"""Every coding is undone in bounded steps, and what is damaged or endless is refused."""

import gzip
import random
from collections.abc import Callable

import pytest
from backports import zstd

from server.api.inflating.codings import Inflater, parse_codings
from server.api.inflating.decoders import MAX_PARTS, STEP_BYTES
from server.errors import BodyTooLarge, InvalidContentEncoding, UnsupportedContentEncoding
from tests.server.api.inflating.samples import COMPRESSORS, MIB

DATA = random.Random(1).randbytes(5000) + bytes(range(256)) * 200
Compress = Callable[[bytes], bytes]
each_coding = pytest.mark.parametrize(("coding", "compress"), COMPRESSORS)


def inflate(
    codings: list[str], data: bytes, step: int = 1000, max_bytes: int = MIB
) -> tuple[bytes, int]:
    """Return what comes out, and the largest piece of it."""
    inflater = Inflater(codings, max_bytes)
    pieces = [
        piece
        for start in range(0, len(data), step)
        for piece in inflater.inflate(data[start : start + step])
    ]
    inflater.finish()
    return b"".join(pieces), max(map(len, pieces))


@each_coding
@pytest.mark.parametrize("step", [1, 7, 1000, 1_000_000])
def test_codings_are_undone(coding: str, compress: Compress, step: int) -> None:
    assert inflate([coding], compress(DATA), step)[0] == DATA
    assert inflate([coding], compress(b""), step)[0] == b""


@each_coding
def test_two_codings_are_undone_in_their_order(coding: str, compress: Compress) -> None:
    data = zstd.compress(compress(DATA))
    assert inflate(parse_codings([f"{coding}, zstd"]), data)[0] == DATA
    assert inflate(parse_codings([coding, "identity", " ZSTD "]), data)[0] == DATA


@pytest.mark.parametrize(("coding", "compress"), [COMPRESSORS[0], COMPRESSORS[-1]])
def test_bodies_in_parts_are_one_body(coding: str, compress: Compress) -> None:
    assert inflate([coding], compress(DATA) + compress(b"") + compress(DATA))[0] == DATA + DATA


@each_coding
@pytest.mark.parametrize("cut", [1, 8, 2000])
def test_what_is_cut_short_is_refused(coding: str, compress: Compress, cut: int) -> None:
    with pytest.raises(InvalidContentEncoding, match=f"not valid {coding}: it ends early"):
        inflate([coding], compress(DATA)[:-cut])


@each_coding
@pytest.mark.parametrize("step", [3, 100_000])
def test_what_is_corrupt_is_refused(coding: str, compress: Compress, step: int) -> None:
    for data in (compress(DATA) + b"more of it", b'{"model": "m"}', b"\xff" * 100):
        with pytest.raises(InvalidContentEncoding, match=f"not valid {coding}: "):
            inflate([coding], data, step)


@each_coding
def test_a_bomb_ends_at_the_limit(coding: str, compress: Compress) -> None:
    bomb = compress(bytes(40 * MIB))
    pieces: list[bytes] = []
    with pytest.raises(BodyTooLarge, match=f"limit of {MIB} bytes once decompressed"):
        pieces.extend(Inflater([coding], MIB).inflate(bomb))
    assert max(map(len, pieces)) <= 2 * STEP_BYTES
    assert sum(map(len, pieces)) <= MIB


def test_a_bomb_in_the_outer_coding_ends_at_the_limit() -> None:
    """Its output is input of the inner coding, which makes nothing of it."""
    empty_blocks = gzip.compress(b"")[:10] + b"\0\0\0\xff\xff" * (4 * MIB)
    with pytest.raises(BodyTooLarge):
        inflate(["zstd", "gzip"], zstd.compress(empty_blocks), 1_000_000)


@pytest.mark.parametrize(("coding", "compress"), [COMPRESSORS[0], COMPRESSORS[-1]])
def test_parts_are_bounded(coding: str, compress: Compress) -> None:
    assert inflate([coding], compress(b"") * MAX_PARTS, 100_000)[0] == b""
    with pytest.raises(InvalidContentEncoding, match=f"more than {MAX_PARTS} parts"):
        inflate([coding], compress(b"") * (MAX_PARTS + 1), 100_000)


def test_a_zstandard_body_may_not_ask_for_much_memory() -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27}
    stream = zstd.ZstdCompressor(options=options)
    data = stream.compress(bytes(MIB)) + stream.flush()
    with pytest.raises(InvalidContentEncoding, match=r"not valid zstd: .*memory"):
        inflate(["zstd"], data)


@pytest.mark.parametrize(
    ("headers", "codings"),
    [
        ([], []),
        ([""], []),
        (["identity"], []),
        (["gzip"], ["gzip"]),
        (["GZip, BR"], ["br", "gzip"]),
    ],
)
def test_headers_name_codings(headers: list[str], codings: list[str]) -> None:
    assert parse_codings(headers) == codings


@pytest.mark.parametrize(
    "headers",
    [["lzma"], ["gzip, compress"], ["gzip, gzip, gzip"], ["gzip", "br", "br"], ["gzip;q=1"]],
)
def test_other_codings_are_refused(headers: list[str]) -> None:
    with pytest.raises(UnsupportedContentEncoding, match="gzip, deflate, br or zstd") as caught:
        parse_codings(headers)
    assert caught.value.headers["accept-encoding"] == "gzip, deflate, br, zstd"
