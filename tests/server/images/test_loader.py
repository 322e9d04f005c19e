"""Loading with real decode workers."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from server.errors import (
    ApiError,
    ImageCorrupt,
    ImageFormatUnsupported,
    ImageTooLarge,
    ImageUrlInvalid,
)
from server.images.decode.decode import DecodeOptions
from server.images.decode.image_processor import preprocess
from server.images.decode.view_choice import ViewChoice
from server.images.loader import ImageLoader
from server.images.source import MAX_INLINE_HASH_BYTES
from server.telemetry.metrics import Metrics
from tests.server.images.open_loader import OPTIONS, open_loader
from tests.server.origin import Responder, build_response, respond_with, serve_origin
from tests.server.pictures import build_data_url, encode_image, make_noise
from tests.server.released import anyres_views, pinpoints
from tests.server.samples import stage_count


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    """Return the shared loader's metrics."""
    return Metrics()


@pytest.fixture(scope="module")
def loader(metrics: Metrics) -> Iterator[ImageLoader]:
    """Return a loader that tests share; they do not harm its worker."""
    with open_loader(metrics=metrics) as loader:
        yield loader


@pytest.fixture
async def idle() -> AsyncIterator[ImageLoader]:
    """Return a loader for tests that decode nothing."""
    with open_loader() as loader:
        yield loader


async def test_decode_returns_views_and_times(loader: ImageLoader, metrics: Metrics) -> None:
    image = make_noise(150, 70)
    before = stage_count(metrics, "decode"), stage_count(metrics, "preprocess")
    decoded = await loader.decode(encode_image(image))
    assert np.array_equal(decoded.views, preprocess(image, 96, "pad"))
    after = stage_count(metrics, "decode"), stage_count(metrics, "preprocess")
    assert after == (before[0] + 1, before[1] + 1)


async def test_images_decode_side_by_side(loader: ImageLoader) -> None:
    images = [make_noise(40, 30, seed) for seed in range(8)]
    decoded = await asyncio.gather(*(loader.decode(encode_image(image)) for image in images))
    for image, each in zip(images, decoded, strict=True):
        assert np.array_equal(each.views, preprocess(image, 96, "pad"))


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"", ImageFormatUnsupported, "JPEG, PNG, WEBP, GIF"),
        (b"text", ImageFormatUnsupported, "JPEG, PNG, WEBP, GIF"),
        (encode_image(make_noise(50, 50), "JPEG")[:1000], ImageCorrupt, "damaged or cut short"),
        (
            encode_image(Image.new("1", (1001, 1000))),
            ImageTooLarge,
            "1001x1000 pixels; .* 1000000 in",
        ),
    ],
)
async def test_verdicts_become_errors(
    data: bytes, kind: type[ApiError], message: str, loader: ImageLoader, metrics: Metrics
) -> None:
    before = stage_count(metrics, "decode")
    with pytest.raises(kind, match=message) as caught:
        await loader.decode(data)
    assert type(caught.value) is kind
    assert stage_count(metrics, "decode") == before


FRAMES = [make_noise(8, 8, seed) for seed in range(3)]
ANIMATION = encode_image(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:])


@pytest.mark.parametrize(
    ("options", "data", "kind", "message"),
    [
        (
            DecodeOptions(96, "square", 1_000_000),
            encode_image(Image.new("1", (5000, 1))),
            ImageTooLarge,
            "too oblong: 5000x1 pixels",
        ),
        (replace(OPTIONS, max_frames=2), ANIMATION, ImageTooLarge, "more than 2 frames"),
        (
            replace(OPTIONS, animated_images="refuse"),
            ANIMATION,
            ImageFormatUnsupported,
            "Animated images are not accepted",
        ),
    ],
)
async def test_options_become_errors(
    options: DecodeOptions, data: bytes, kind: type[ApiError], message: str
) -> None:
    with open_loader(options) as loader, pytest.raises(kind, match=message):
        await loader.decode(data)


async def test_load_names_content(idle: ImageLoader) -> None:
    data, other = encode_image(make_noise(8, 8)), encode_image(make_noise(8, 8, seed=1))
    image = await idle.load(build_data_url(data), "")
    assert image.data == data
    assert re.fullmatch(r"[0-9a-f]{64}", image.key)
    assert (await idle.load(build_data_url(data, "image/jpeg"), "")).key == image.key
    assert (await idle.load(build_data_url(other), "")).key != image.key


async def test_the_key_depends_on_all_else_that_shapes_the_embedding() -> None:
    url = build_data_url(encode_image(make_noise(8, 8)))
    keys = set()
    for variant in ("model a", "model b", ""):
        with open_loader(variant=variant) as one, open_loader(variant=variant) as same:
            key = (await one.load(url, "")).key
            assert (await same.load(url, "")).key == key
            keys.add(key)
    assert len(keys) == 3


async def test_each_choice_of_views_is_another_image() -> None:
    image = make_noise(150, 70)
    url = build_data_url(encode_image(image))
    anyres = DecodeOptions(24, "anyres", 1_000_000, pinpoints(24))
    with open_loader(anyres) as loader:
        loaded = [await loader.load(url, "", views=views) for views in ViewChoice]
        assert len({each.key for each in loaded}) == len(ViewChoice)
        decoded = [
            await loader.decode(each.data, views)
            for each, views in zip(loaded, ViewChoice, strict=True)
        ]
    all_views, base, padded = decoded
    assert np.array_equal(all_views.views, anyres_views(image, 24, pinpoints(24)))
    assert np.array_equal(base.views, all_views.views[:1])
    assert np.array_equal(padded.views, preprocess(image, 24, "pad"))
    assert {each.image_size for each in decoded} == {(150, 70)}


async def test_large_images_are_hashed_in_a_thread_to_the_same_key(
    idle: ImageLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = build_data_url(bytes(MAX_INLINE_HASH_BYTES + 1))
    in_thread = await idle.load(url, "")
    monkeypatch.setattr("server.images.source.MAX_INLINE_HASH_BYTES", 10 * MAX_INLINE_HASH_BYTES)
    inline = await idle.load(url, "")
    assert in_thread == inline
    assert len(in_thread.data) == MAX_INLINE_HASH_BYTES + 1


async def test_load_passes_on_what_fetching_says(idle: ImageLoader) -> None:
    with pytest.raises(ImageUrlInvalid):
        await idle.load("data:image/png,AAAA", "")
    with pytest.raises(ImageUrlInvalid):
        await idle.load("ftp://example.org", "")


async def test_load_is_timed() -> None:
    with open_loader(metrics=(own := Metrics())) as loader:
        await loader.load(build_data_url(b"x"), "")
        assert stage_count(own, "load") == 1
        with pytest.raises(ImageUrlInvalid):
            await loader.load("data:", "")
        assert stage_count(own, "load") == 1


async def test_concurrent_loads_of_one_url_share_a_fetch(idle: ImageLoader) -> None:
    data = encode_image(make_noise(8, 8))
    asked, go = asyncio.Event(), asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go.wait()
        writer.write(build_response("200 OK", data))

    async with serve_origin(
        {"/a": answer, "/b": respond_with(build_response("200 OK", data))}
    ) as server:
        loads = [asyncio.create_task(idle.load(f"{server.url}/a", "")) for _ in range(5)]
        other = await idle.load(f"{server.url}/b", "")
        await asked.wait()
        go.set()
        images = await asyncio.gather(*loads)
        assert len(server.requests) == 2
        assert all(image == other for image in images)
        await idle.load(f"{server.url}/a", "")  # a later load asks again
        assert len(server.requests) == 3


async def test_a_failed_fetch_is_not_remembered(idle: ImageLoader) -> None:
    answers: dict[str, Responder] = {"/": respond_with(build_response("503 Later"))}
    async with serve_origin(answers) as server:
        with pytest.raises(ApiError, match="answered 503"):
            await idle.load(f"{server.url}/", "")
        answers["/"] = respond_with(build_response("200 OK", b"fine"))
        assert (await idle.load(f"{server.url}/", "")).data == b"fine"
