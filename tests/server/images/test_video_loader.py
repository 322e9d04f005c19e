"""Videos that are refused: by their first bytes, or by a worker that ended of them."""

import asyncio
import base64
from pathlib import Path
from typing import cast

import pytest

from server.errors import VideoCorrupt, VideoFormatUnsupported, VideoTooLarge
from server.images.decode.video.faults import VideoOptions
from server.images.decode.video.sampling import FrameSampling
from server.images.decode.workers import DecodeWorkers
from server.images.fetch.fetcher import Fetcher
from server.images.video_loader import VideoLoader
from server.telemetry.metrics import Metrics
from tests.server.images.decode.hanging import BusyOptions, CrashingOptions, HangingOptions
from tests.server.images.open_loader import open_workers
from tests.server.loopback import build_loopback_options
from tests.server.pictures import encode_image, make_noise
from tests.server.samples import sample

GIFS = ("gif",)
GIF = encode_image(make_noise(8, 8), "GIF")
ONE = FrameSampling(1, None, 1)


def make_video_loader(workers: DecodeWorkers, options: object, metrics: Metrics) -> VideoLoader:
    """Return a loader of videos with these workers."""
    return VideoLoader(
        Fetcher(build_loopback_options(max_bytes=1_000_000, timeout_s=20)),
        cast(VideoOptions, options),
        workers,
        variant="video",
        metrics=metrics,
    )


async def test_what_is_no_video_is_refused_without_a_worker(tmp_path: Path) -> None:
    hanging, metrics = HangingOptions.make(tmp_path), Metrics()
    hanging.formats = GIFS
    with open_workers(open_files=99, metrics=metrics) as workers:
        loader = make_video_loader(workers, hanging, metrics)
        decoding = [asyncio.create_task(loader.decode(GIF, ONE)) for _ in range(3)]
        await asyncio.to_thread(hanging.wait_for_worker)
        assert sample(metrics, "num_decodes_waiting") == 2  # for the only slot of videos
        url = f"data:video/mp4;base64,{base64.b64encode(b'no video').decode()}"
        options = VideoOptions(8, True, 1_000, 10, 10.0, GIFS, 10**9)
        with pytest.raises(VideoFormatUnsupported):
            await make_video_loader(workers, options, Metrics()).load(url, "", ONE)
        for each in decoding:
            each.cancel()
        hanging.release()


async def test_a_video_that_takes_too_much_cpu_time_is_too_large() -> None:
    with open_workers(cpu_s=1, open_files=99) as workers:
        loader = make_video_loader(workers, BusyOptions(formats=GIFS), Metrics())
        with pytest.raises(VideoTooLarge, match="within 1 seconds of CPU time; send smaller"):
            await loader.decode(GIF, ONE)


async def test_a_video_that_takes_too_long_is_too_large(tmp_path: Path) -> None:
    hanging = HangingOptions.make(tmp_path)
    hanging.formats = GIFS
    with open_workers(timeout_s=0.5, open_files=99) as workers:
        loader = make_video_loader(workers, hanging, Metrics())
        with pytest.raises(VideoTooLarge, match=r"within 0\.5 seconds; send smaller"):
            await loader.decode(GIF, ONE)


async def test_a_video_that_crashes_a_codec_is_corrupt() -> None:
    with open_workers(open_files=99) as workers:
        loader = make_video_loader(workers, CrashingOptions(formats=GIFS), Metrics())
        with pytest.raises(VideoCorrupt, match="failed; encode it anew"):
            await loader.decode(GIF, ONE)
