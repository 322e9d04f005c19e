"""Loads videos: fetching, a content key, and decoding sampled frames in a worker process."""

import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from server.errors import VideoCorrupt, VideoError, VideoFormatUnsupported, VideoTooLarge
from server.images.decode.video.containers import detect_container
from server.images.decode.video.decode import (
    DecodedVideo,
    VideoMeasure,
    decode_video,
    measure_video,
)
from server.images.decode.video.faults import VideoFailure, VideoFault, VideoOptions
from server.images.decode.video.sampling import FrameSampling
from server.images.decode.workers import DecodeWorkers
from server.images.fetch.fetcher import Fetcher
from server.images.media_kind import REENCODE_VIDEO, SMALLER_VIDEO, VIDEO
from server.images.source import LoadedMedia, MediaSource
from server.telemetry.metrics import Metrics
from server.telemetry.timeline import annotate

Result = TypeVar("Result")

REFUSALS: Final[Mapping[VideoFault, type[VideoError]]] = {
    VideoFault.FORMAT: VideoFormatUnsupported,
    VideoFault.CODEC: VideoFormatUnsupported,
    VideoFault.NO_VIDEO: VideoFormatUnsupported,
    VideoFault.CORRUPT: VideoCorrupt,
    VideoFault.PIXELS: VideoTooLarge,
    VideoFault.TOTAL: VideoTooLarge,
    VideoFault.SHAPE: VideoTooLarge,
    VideoFault.FRAMES: VideoTooLarge,
    VideoFault.SECONDS: VideoTooLarge,
    VideoFault.MEMORY: VideoTooLarge,
}


class VideoLoader:
    """Fetches and decodes videos. Concurrent loads of one URL share a fetch."""

    def __init__(
        self,
        fetcher: Fetcher,
        options: VideoOptions,
        workers: DecodeWorkers,
        *,
        variant: str,
        metrics: Metrics,
    ) -> None:
        """The workers may be those of images."""
        self._source = MediaSource(VIDEO, fetcher, variant, metrics, metrics.videos.bytes)
        self._options = options
        self._workers = workers
        self._metrics = metrics

    async def load(
        self,
        url: str,
        cache_partition: str,
        sampling: FrameSampling,
        *,
        deadline: float | None = None,
    ) -> LoadedMedia:
        """Return a video's encoded bytes and its content key. Raises `VideoError`.

        Fetches and keys are shared only within a `cache_partition`. `deadline` is when fetching
        ends, on the event loop's clock.
        """
        loaded = await self._source.load(url, cache_partition, repr(sampling), deadline)
        # Before it queues for a worker behind other videos.
        if detect_container(loaded.data, self._options.formats) is None:
            raise self._build_error(VideoFailure(VideoFault.FORMAT))
        return loaded

    async def decode(self, data: bytes, sampling: FrameSampling) -> DecodedVideo:
        """Decode and preprocess a video's sampled frames in a worker. Raises `VideoError`."""
        decoded = await self._run(decode_video, data, sampling)
        self._observe(decoded)
        return decoded

    async def measure(self, data: bytes, sampling: FrameSampling) -> VideoMeasure:
        """Count a video's sampled frames, as `measure_video`. Raises `VideoError`."""
        return await self._run(measure_video, data, sampling)

    async def _run(
        self,
        function: Callable[[bytes, VideoOptions, FrameSampling], Result | VideoFailure],
        data: bytes,
        sampling: FrameSampling,
    ) -> Result:
        with VIDEO.translate_worker_errors():
            result = await self._workers.run(function, data, self._options, sampling, is_video=True)
        if isinstance(result, VideoFailure):
            raise self._build_error(result)
        return result

    def _observe(self, decoded: DecodedVideo) -> None:
        now = time.perf_counter()
        self._metrics.record_stage("decode", now - decoded.decode_s, now)
        annotate("llava.video.format", decoded.format)
        annotate("llava.video.frames", decoded.num_frames)
        metrics = self._metrics.videos
        metrics.decoded.labels(decoded.format).inc()
        metrics.frames.observe(decoded.num_frames)
        metrics.decode_s.observe(decoded.decode_s)

    def _build_error(self, failure: VideoFailure) -> VideoError:
        return REFUSALS[failure.fault](_describe(failure, self._options))


def _describe(failure: VideoFailure, options: VideoOptions) -> str:
    """Return what a client is told about a refused video."""
    size = f"{failure.size[0]}x{failure.size[1]}"
    formats = ", ".join(options.formats)
    return {
        VideoFault.FORMAT: f"The data is not a video of a supported container ({formats}).",
        VideoFault.CODEC: f"Videos of the codec {failure.codec} are not accepted;"
        f" {REENCODE_VIDEO}.",
        VideoFault.NO_VIDEO: "The file holds no video: sound or pictures only. Send pictures as"
        " image_url.",
        VideoFault.CORRUPT: f"The video is damaged or cut short; {REENCODE_VIDEO}.",
        VideoFault.PIXELS: f"A frame has {size} pixels, of at most {options.max_pixels} in all;"
        f" {SMALLER_VIDEO}.",
        VideoFault.TOTAL: f"The frames that are to be used have {size} pixels each, which is more"
        f" than {options.max_total_pixels} together; ask for fewer frames, or send a smaller"
        " video.",
        VideoFault.SHAPE: f"The video is too oblong: {size} pixels; crop it.",
        VideoFault.FRAMES: f"The video has more than {options.max_frames} frames; {SMALLER_VIDEO}.",
        VideoFault.SECONDS: f"The video lasts more than {options.max_s:g} seconds; send a part.",
        VideoFault.MEMORY: f"Decoding the video takes more memory than allowed; {SMALLER_VIDEO}.",
    }[failure.fault]
