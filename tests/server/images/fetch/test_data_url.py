"""Base64 `data:` URLs, decoded in memory."""

import asyncio
import base64
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.images.fetch import base64_text
from server.images.fetch.data_url import MAX_INLINE_BASE64_CHARACTERS
from server.images.fetch.errors import DataTooLarge, UrlInvalid
from server.images.fetch.fetcher import Fetcher
from tests.server.images.fetch.fetching import BODY, LIMIT, expect_error
from tests.server.loopback import build_loopback_options


@pytest.mark.parametrize(
    "header",
    [
        "data:image/png;base64",
        "DATA:IMAGE/PNG;BASE64",
        "Data:image/jpeg;Base64",
        "data:;base64",
        "data:text/plain;base64",  # the media type is ignored
        "data:image/png;charset=utf-8;base64",
        "data:image/png;name=a b.png;base64",
        "data:application/octet-stream;base64",
        "data:image/png; base64",
        "data:image/png;base64 ",
        "data:image/png;base64;charset=utf-8",
        " \ndata:image/png;base64",
    ],
)
async def test_data_url(header: str, offline_fetcher: Fetcher) -> None:
    assert await offline_fetcher.fetch(f"{header},{base64.b64encode(BODY).decode()}", "") == BODY


# All 64 digits, and lengths with one, two and no padding.
DATA = [bytes(range(256)) * 2 + bytes(n) for n in range(3)]
WRITERS: dict[str, Callable[[str], str]] = {
    "lines": lambda text: "\n".join(re.findall(".{1,76}", text)),
    "lines of 64 with CRLF": lambda text: "\r\n".join(re.findall(".{1,64}", text)) + "\r\n",
    "a newline at the end": lambda text: text + "\n",
    "a space first": lambda text: " " + text,
    "tabs": lambda text: "\t".join(text),
    "no padding": lambda text: text.rstrip("="),
    "half the padding": lambda text: text.removesuffix("="),
    "URL-safe": lambda text: text.replace("+", "-").replace("/", "_"),
    "URL-safe, no padding": lambda text: text.translate({43: "-", 47: "_", 61: None}),
    "percent": lambda text: quote(text, safe=""),
    "percent, lower case": lambda text: quote(text, safe="").replace("%2B", "%2b"),
    "percent and lines": lambda text: quote("\r\n".join(re.findall(".{1,76}", text))),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("data", DATA, ids=["AAAA", "AAA=", "AA=="])
async def test_base64_as_people_write_it(
    data: bytes, write: Callable[[str], str], offline_fetcher: Fetcher
) -> None:
    text = write(base64.b64encode(data).decode())
    assert await offline_fetcher.fetch(f"data:image/png;base64,{text}", "") == data


def test_escapes_at_the_edges_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "+%2B/%2F" * 10 + "AA" + "%3D" * 2
    expected = base64_text.clean_base64(text)
    for size in range(3, 12):
        monkeypatch.setattr(base64_text, "CHUNK", size)
        assert base64_text.clean_base64(text) == expected == b"++//" * 10 + b"AA=="


async def test_the_limit_counts_bytes_and_not_the_spelling() -> None:
    data = bytes(range(256)) * 4
    text = base64.b64encode(data).decode()
    for spelled in (
        "\r\n".join(re.findall("..", text)),
        "".join(f"{c}%0A" for c in text[:200]) + text[200:],
    ):
        for limit, is_refused in ((len(data), False), (len(data) - 1, True)):
            fetcher = Fetcher(build_loopback_options(max_bytes=limit, timeout_s=20))
            url = f"data:;base64,{spelled}"
            if is_refused:
                assert type(await expect_error(fetcher, url)) is DataTooLarge
            else:
                assert await fetcher.fetch(url, "") == data
            await fetcher.close()


@pytest.mark.parametrize("payload", ["", "\n"])
async def test_an_empty_data_url_is_named_as_such(payload: str, offline_fetcher: Fetcher) -> None:
    with pytest.raises(UrlInvalid, match="no data"):
        await offline_fetcher.fetch(f"data:image/png;base64,{payload}", "")


def test_any_bytes_within_the_limit() -> None:
    with asyncio.Runner() as runner:
        fetcher = Fetcher(build_loopback_options(max_bytes=LIMIT, timeout_s=20))

        @settings(max_examples=50)
        @given(st.binary(min_size=1, max_size=LIMIT))
        def check(data: bytes) -> None:
            url = f"data:;base64,{base64.b64encode(data).decode()}"
            assert runner.run(fetcher.fetch(url, "")) == data

        check()
        runner.run(fetcher.close())


async def test_a_large_data_url_is_decoded_off_the_event_loop() -> None:
    data = b"\x01\x02\x03" * (MAX_INLINE_BASE64_CHARACTERS // 4 + 1)
    fetcher = Fetcher(build_loopback_options(max_bytes=len(data) + 1, timeout_s=20))
    assert await fetcher.fetch(f"data:;base64,{base64.b64encode(data).decode()}", "") == data
    broken = f"data:;base64,{base64.b64encode(data).decode()[:-1]}!"
    assert type(await expect_error(fetcher, broken)) is UrlInvalid
    await fetcher.close()


@pytest.mark.parametrize(
    "url",
    [
        "data:",
        "data:,",
        "data:image/png",
        "data:image/png;base64",
        "data:image/png,AAAA",
        "data:image/png;base46,AAAA",
        "data:image/png;base64,A",
        "data:image/png;base64,A===",
        "data:image/png;base64,AA==AA==",
        "data:image/png;base64,AA=A",
        "data:image/png;base64,AAAA=",
        "data:image/png;base64,AAA==",
        "data:image/png;base64,====",
        "data:image/png;base64,AA%2",
        "data:image/png;base64,AA%252BA",
        "data:image/png;base64,AA%%2B2B",
        "data:image/png;base64,AA.A",
        "data:image/png" + ";a=b" * 1000 + ";base64,AAAA",
        "data:image/png;base64,AAA\u00e9",
        "data:image/png;base64,AA\x00A",
        "data:image/png;base64,{…}",
    ],
)
async def test_broken_data_url(url: str, offline_fetcher: Fetcher) -> None:
    assert type(await expect_error(offline_fetcher, url)) is UrlInvalid


async def test_a_data_url_over_the_limit_is_refused_before_it_is_decoded(
    offline_fetcher: Fetcher,
) -> None:
    # It is not base64 at all, so it cannot have been decoded.
    error = await expect_error(offline_fetcher, "data:;base64," + "!" * (LIMIT * 2))
    assert type(error) is DataTooLarge
    assert str(LIMIT) in str(error)


@pytest.mark.parametrize("limit", [996, 997, 998, 999, 1000])
async def test_a_data_url_of_exactly_the_limit(limit: int) -> None:
    fetcher = Fetcher(build_loopback_options(max_bytes=limit, timeout_s=20))
    data = bytes(limit)
    assert await fetcher.fetch(f"data:;base64,{base64.b64encode(data).decode()}", "") == data
    over = f"data:;base64,{base64.b64encode(bytes(limit + 1)).decode()}"
    assert type(await expect_error(fetcher, over)) is DataTooLarge
    await fetcher.close()


def test_a_payload_of_percent_signs_is_split_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base64_text, "CHUNK", 10)
    assert max(map(len, base64_text._split_between_escapes(b"%" * 1000))) <= 12
    escaped = b"%2B" * 50
    assert b"".join(map(base64_text._unescape, base64_text._split_between_escapes(escaped))) == (
        b"+" * 50
    )
