"""Loading with real decode workers, some of which crash, hang or are killed."""

import asyncio
import multiprocessing
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

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
from server.images.decode.sandbox import DecodeLimits
from server.images.decode.workers import TRIES
from server.images.fetch.fetcher import Fetcher
from server.images.loader import MAX_INLINE_HASH_BYTES, ImageLoader
from server.telemetry.metrics import Metrics
from tests.server.images.fetch.hanging import BusyOptions, CrashingOptions, HangingOptions
from tests.server.loopback import build_loopback_options
from tests.server.origin import Responder, build_response, respond_with, serve_origin
from tests.server.pictures import build_data_url, encode_image, make_noise
from tests.server.released import anyres_views, pinpoints
from tests.server.samples import sample, stage_count

OPTIONS = DecodeOptions(96, "pad", 1_000_000)


@contextmanager
def open_loader(
    options: DecodeOptions = OPTIONS,
    *,
    workers: int = 1,
    timeout_s: float = 20,
    cpu_s: int = 20,
    memory_mib: int = 2048,
    open_files: int = 3,
    variant: str = "",
    metrics: Metrics | None = None,
) -> Iterator[ImageLoader]:
    """Yield a loader and close it."""
    loader = ImageLoader(
        Fetcher(build_loopback_options(max_bytes=10_000_000, timeout_s=20)),
        options,
        workers=workers,
        limits=DecodeLimits(memory_mib * 2**20, cpu_s, timeout_s, open_files),
        variant=variant,
        metrics=metrics or Metrics(),
    )
    try:
        yield loader
    finally:
        loader.close()


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    """Return the shared loader's metrics."""
    return Metrics()


@pytest.fixture(scope="module")
def loader(metrics: Metrics) -> Iterator[ImageLoader]:
    """Return a loader shared by tests that leave its worker alive."""
    with open_loader(metrics=metrics) as loader:
        yield loader


@pytest.fixture
async def idle_loader() -> AsyncIterator[ImageLoader]:
    """Return a loader of its own; its workers start with the first decode."""
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
        (b"", ImageFormatUnsupported, "JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF"),
        (b"text", ImageFormatUnsupported, "JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF"),
        (encode_image(make_noise(50, 50), "JPEG")[:1000], ImageCorrupt, "damaged or cut short"),
        (
            encode_image(Image.new("1", (1001, 1000))),
            ImageTooLarge,
            "1001x1000 pixels; .* 1000000 in",
        ),
    ],
)
async def test_decode_faults_become_errors(
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
async def test_refusals_by_option_become_errors(
    options: DecodeOptions, data: bytes, kind: type[ApiError], message: str
) -> None:
    with open_loader(options) as loader, pytest.raises(kind, match=message):
        await loader.decode(data)


async def test_the_content_key_depends_on_the_bytes(idle_loader: ImageLoader) -> None:
    data, other = encode_image(make_noise(8, 8)), encode_image(make_noise(8, 8, seed=1))
    image = await idle_loader.load(build_data_url(data))
    assert image.data == data
    assert re.fullmatch(r"[0-9a-f]{64}", image.key)
    assert (await idle_loader.load(build_data_url(data, "image/jpeg"))).key == image.key
    assert (await idle_loader.load(build_data_url(other))).key != image.key


async def test_the_content_key_depends_on_the_variant() -> None:
    url = build_data_url(encode_image(make_noise(8, 8)))
    keys = set()
    for variant in ("model a", "model b", ""):
        with open_loader(variant=variant) as one, open_loader(variant=variant) as same:
            key = (await one.load(url)).key
            assert (await same.load(url)).key == key
            keys.add(key)
    assert len(keys) == 3


async def test_low_detail_is_another_image_to_an_anyres_model_only() -> None:
    image = make_noise(150, 70)
    url = build_data_url(encode_image(image))
    anyres = DecodeOptions(24, "anyres", 1_000_000, pinpoints(24))
    with open_loader(anyres) as loader:
        high, low = await loader.load(url), await loader.load(url, low_detail=True)
        assert high.key != low.key
        assert (high.base_view_only, low.base_view_only) == (False, True)
        all_views = await loader.decode(high.data)
        base = await loader.decode(low.data, base_view_only=True)
    assert np.array_equal(all_views.views, anyres_views(image, 24, pinpoints(24)))
    assert np.array_equal(base.views, all_views.views[:1])
    assert base.image_size == all_views.image_size == (150, 70)
    with open_loader() as loader:
        assert await loader.load(url, low_detail=True) == await loader.load(url)


async def test_large_images_are_hashed_in_a_thread_to_the_same_key(
    idle_loader: ImageLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = build_data_url(bytes(MAX_INLINE_HASH_BYTES + 1))
    in_thread = await idle_loader.load(url)
    monkeypatch.setattr("server.images.loader.MAX_INLINE_HASH_BYTES", 10 * MAX_INLINE_HASH_BYTES)
    inline = await idle_loader.load(url)
    assert in_thread == inline
    assert len(in_thread.data) == MAX_INLINE_HASH_BYTES + 1


async def test_load_raises_the_errors_of_fetching(idle_loader: ImageLoader) -> None:
    with pytest.raises(ImageUrlInvalid):
        await idle_loader.load("data:image/png,AAAA")
    with pytest.raises(ImageUrlInvalid):
        await idle_loader.load("ftp://example.org")


async def test_load_is_timed() -> None:
    with open_loader(metrics=(own := Metrics())) as loader:
        await loader.load(build_data_url(b"x"))
        assert stage_count(own, "load") == 1
        with pytest.raises(ImageUrlInvalid):
            await loader.load("data:")
        assert stage_count(own, "load") == 1


async def test_concurrent_loads_of_one_url_share_a_fetch(idle_loader: ImageLoader) -> None:
    data = encode_image(make_noise(8, 8))
    requested, go = asyncio.Event(), asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requested.set()
        await go.wait()
        writer.write(build_response("200 OK", data))

    async with serve_origin(
        {"/a": answer, "/b": respond_with(build_response("200 OK", data))}
    ) as server:
        loads = [asyncio.create_task(idle_loader.load(f"{server.url}/a")) for _ in range(5)]
        other = await idle_loader.load(f"{server.url}/b")
        await requested.wait()
        go.set()
        images = await asyncio.gather(*loads)
        assert len(server.requests) == 2
        assert all(image == other for image in images)
        await idle_loader.load(f"{server.url}/a")  # a later load fetches again
        assert len(server.requests) == 3


async def test_a_failed_fetch_is_not_cached(idle_loader: ImageLoader) -> None:
    answers: dict[str, Responder] = {"/": respond_with(build_response("503 Later"))}
    async with serve_origin(answers) as server:
        with pytest.raises(ApiError, match="answered 503"):
            await idle_loader.load(f"{server.url}/")
        answers["/"] = respond_with(build_response("200 OK", b"fine"))
        assert (await idle_loader.load(f"{server.url}/")).data == b"fine"


# Workers that hang or are killed, and clients that disconnect.


async def test_the_image_of_a_killed_worker_is_decoded_again(tmp_path: Path) -> None:
    hanging = HangingOptions.make(tmp_path)
    with open_loader(hanging.as_options(), open_files=99, metrics=(own := Metrics())) as loader:
        decoding = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        worker = await asyncio.to_thread(hanging.wait_for_worker)
        os.kill(worker, signal.SIGKILL)
        assert await asyncio.to_thread(hanging.wait_for_worker) != worker
        await asyncio.to_thread(hanging.release)
        assert (await decoding).views.shape == (1, 96, 96, 3)
        assert sample(own, "decode_workers_replaced_total") == 1
        assert sample(own, "decode_workers") == 1


async def test_an_image_whose_worker_is_killed_at_every_try_is_refused(tmp_path: Path) -> None:
    hanging = HangingOptions.make(tmp_path)
    with open_loader(hanging.as_options(), open_files=99) as loader:
        decoding = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        for _ in range(TRIES):
            os.kill(await asyncio.to_thread(hanging.wait_for_worker), signal.SIGKILL)
        with pytest.raises(ImageCorrupt) as caught:
            await decoding
        assert caught.value.message == "The image could not be decoded."


async def test_a_crash_in_a_codec_fails_only_its_image() -> None:
    with open_loader(
        cast(DecodeOptions, CrashingOptions()), open_files=99, metrics=(own := Metrics())
    ) as loader:
        with pytest.raises(ImageCorrupt, match="could not be decoded"):
            await loader.decode(encode_image(make_noise(8, 8)))
        # More than one where a worker died before the pool knew that it had begun.
        assert 1 <= sample(own, "decode_workers_replaced_total") <= TRIES


async def test_a_decode_that_exceeds_its_cpu_time_is_ended() -> None:
    with (
        open_loader(
            cast(DecodeOptions, BusyOptions()), cpu_s=1, open_files=99, metrics=(own := Metrics())
        ) as loader,
        pytest.raises(ImageCorrupt, match="could not be decoded\\.'"),
    ):
        await loader.decode(encode_image(make_noise(8, 8)))
    assert sample(own, "decode_workers_replaced_total") == 1


async def test_a_decode_that_exceeds_its_memory_is_refused() -> None:
    options = DecodeOptions(96, "pad", 100_000_000)
    with open_loader(options, memory_mib=64, metrics=(own := Metrics())) as loader:
        with pytest.raises(ImageTooLarge, match="more memory than allowed"):
            await loader.decode(encode_image(Image.new("RGB", (6000, 5000))))
        assert (await loader.decode(encode_image(make_noise(8, 8)))).views.shape == (1, 96, 96, 3)
    assert sample(own, "decode_workers_replaced_total") == 0


async def test_workers_killed_under_load_fail_no_image() -> None:
    pictures = [encode_image(make_noise(300, 200, seed)) for seed in range(60)]
    others = set(multiprocessing.active_children())
    with open_loader(workers=2) as loader:
        decoding = [asyncio.create_task(loader.decode(data)) for data in pictures]
        for done in (5, 25, 45):
            await decoding[done]
            (set(multiprocessing.active_children()) - others).pop().kill()
        shapes = {each.views.shape for each in await asyncio.gather(*decoding)}
    assert shapes == {(1, 96, 96, 3)}


async def test_a_decode_that_hangs_is_ended(tmp_path: Path) -> None:
    hanging = HangingOptions.make(tmp_path)
    with open_loader(hanging.as_options(), open_files=99, timeout_s=1.0) as loader:
        decoding = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        worker = await asyncio.to_thread(hanging.wait_for_worker)
        with pytest.raises(ImageCorrupt):
            await decoding
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


async def test_a_cancelled_decode_leaves_its_worker_alive(tmp_path: Path) -> None:
    hanging = HangingOptions.make(tmp_path)
    with open_loader(hanging.as_options(), open_files=99) as loader:
        decoding = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        worker = await asyncio.to_thread(hanging.wait_for_worker)
        decoding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await decoding
        # The pool would kill it at its next round, in a tenth of a second.
        (process,) = (each for each in multiprocessing.active_children() if each.pid == worker)
        await asyncio.to_thread(process.join, 0.5)
        assert process.is_alive()
        waiting = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        await asyncio.to_thread(hanging.release)
        assert await asyncio.to_thread(hanging.wait_for_worker) == worker
        await asyncio.to_thread(hanging.release)
        assert (await waiting).views.shape == (1, 96, 96, 3)


def test_an_unused_loader_closes() -> None:
    with open_loader():
        pass


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_idle_worker_fails_no_image(workers: int) -> None:
    data = encode_image(make_noise(8, 8))
    others = set(multiprocessing.active_children())
    with open_loader(workers=workers) as loader:
        await loader.decode(data)
        process = (set(multiprocessing.active_children()) - others).pop()
        process.kill()
        await asyncio.to_thread(process.join)
        await asyncio.sleep(0.5)  # the pool looks ten times a second
        assert (await loader.decode(data)).views.shape == (1, 96, 96, 3)


async def test_a_decode_cancelled_in_the_queue_never_starts(tmp_path: Path) -> None:
    hanging = HangingOptions.make(tmp_path)
    with open_loader(hanging.as_options(), open_files=99, timeout_s=5) as loader:
        first = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        worker = await asyncio.to_thread(hanging.wait_for_worker)
        second = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        await asyncio.sleep(0.2)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await asyncio.to_thread(hanging.release)
        await first
        (process,) = (each for each in multiprocessing.active_children() if each.pid == worker)
        await asyncio.to_thread(process.join, 1)
        assert process.is_alive()
